"""Initials and names for lists, read from the drafts and cached: a draft never changes."""

import json
from collections import OrderedDict
from collections.abc import Sequence
from typing import NamedTuple

from shared.messaging.artifacts import Artifacts
from shared.messaging.connection import NatsConnection

CACHE_SIZE = 20_000  # drafts; a few megabytes


class DraftLabel(NamedTuple):
    """What a list shows of a draft; empty where the record had no name."""

    initials: str = ""
    attending: str = ""


class DraftLabels:
    def __init__(self, bus: NatsConnection) -> None:
        self._known: OrderedDict[str, DraftLabel] = OrderedDict()
        self._artifacts = Artifacts(bus)

    async def of(self, drafts: Sequence[tuple[str, str]]) -> dict[str, DraftLabel]:
        """Return the labels by draft digest; `drafts` are pairs of case and digest."""
        missing = [(case, digest) for case, digest in drafts if digest not in self._known]
        for digest, data in (await self._artifacts.read(missing, whole=False)).items():
            draft = json.loads(data)
            self._known[digest] = DraftLabel(draft.get("initials", ""), draft.get("attending", ""))
        found = {digest: self._known.get(digest, DraftLabel()) for _, digest in drafts}
        while len(self._known) > CACHE_SIZE:
            self._known.popitem(last=False)
        return found
