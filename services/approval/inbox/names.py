"""Names for a list, from the drafts that are shown; remembered, as a draft never changes."""

import json
from collections import OrderedDict
from collections.abc import Sequence
from typing import NamedTuple

from shared.messaging.artifacts import Artifacts
from shared.messaging.connection import Bus

REMEMBERED = 20_000  # drafts; a few megabytes


class Shown(NamedTuple):
    """What a list shows of a draft; empty where the record had no name."""

    initials: str = ""
    attending: str = ""


class Names:
    def __init__(self, bus: Bus) -> None:
        self._known: OrderedDict[str, Shown] = OrderedDict()
        self._artifacts = Artifacts(bus)

    async def of(self, drafts: Sequence[tuple[str, str]]) -> dict[str, Shown]:
        """By the draft's digest; `drafts` are pairs of case and digest."""
        missing = [(case, digest) for case, digest in drafts if digest not in self._known]
        for digest, data in (await self._artifacts.read(missing, whole=False)).items():
            draft = json.loads(data)
            self._known[digest] = Shown(draft.get("initials", ""), draft.get("attending", ""))
        found = {digest: self._known.get(digest, Shown()) for _, digest in drafts}
        while len(self._known) > REMEMBERED:
            self._known.popitem(last=False)
        return found
