"""The patient's initials for a list, from the drafts that are shown; remembered, as a draft never changes."""

import json
from collections import OrderedDict
from collections.abc import Sequence

from shared.messaging.artifacts import Artifacts
from shared.messaging.connection import Bus

REMEMBERED = 20_000  # drafts; a few megabytes


class Initials:
    def __init__(self) -> None:
        self._known: OrderedDict[str, str] = OrderedDict()

    def attach(self, bus: Bus) -> None:
        self._artifacts = Artifacts(bus)

    async def of(self, drafts: Sequence[str]) -> dict[str, str]:
        """Initials by the draft's digest; empty where the record had no name."""
        missing = [digest for digest in drafts if digest not in self._known]
        for digest, data in (await self._artifacts.get_many(missing)).items():
            self._known[digest] = str(json.loads(data).get("initials", ""))
        while len(self._known) > REMEMBERED:
            self._known.popitem(last=False)
        return {digest: self._known.get(digest, "") for digest in drafts}
