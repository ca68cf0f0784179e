"""The census: visits that an ADT feed named, for servers whose Encounters cannot be searched by time.

Oracle Health answers searches by `_id`, `patient` and `identifier` only. A visit leaves the census 30 days after the
feed or the EHR last said something new about it: its entry in the bucket `reconciled` expires.
"""

from collections.abc import AsyncIterator
from dataclasses import dataclass, replace

from services.ingest.domain import DISCHARGED
from services.ingest.stored_reports import StoredReports
from shared.contracts.model import Model
from shared.contracts.visits import IdentifierValue, visit_token
from shared.messaging.buckets import Bucket
from shared.messaging.connection import NatsConnection

TTL_S = 30 * 86_400
VISITS, SEEN = "visits", "seen"  # written by the ADT feed, and by the poll
MAX_RECENT = 50_000  # visits that a process need not write again


class SeenVisit(Model):
    """What the poll knows of a visit: its Encounter, and the version that was considered last."""

    encounter: str
    version: str | None = None


@dataclass(frozen=True, slots=True)
class VisitEntry:
    """One stay to ask for. `token` is that of the visit, or of the Encounter where no feed named it."""

    token: str
    visit: IdentifierValue | None = None
    seen: SeenVisit | None = None


class VisitIndex:
    def __init__(self, bus: NatsConnection) -> None:
        self._bucket = Bucket(bus, "reconciled")
        self._reports = StoredReports(bus)
        self._recent: dict[str, int] = {}

    async def admit(self, visit: IdentifierValue, day: int) -> None:
        """Add a visit, or keep it in the census, at most once a `day`. Raises TransientError, PermanentError."""
        token = visit_token(visit.value)
        if self._recent.get(token) == day:
            return
        await self._bucket.put(f"{VISITS}.{token}", visit.model_dump_json(exclude_none=True).encode(), ttl=TTL_S)
        if len(self._recent) >= MAX_RECENT:
            self._recent.clear()
        self._recent[token] = day

    async def entries(self) -> list[VisitEntry]:
        """Return the visits of the feed, and every encounter whose discharge was reported in the last 30 days."""
        found = {
            entry.key.partition(".")[2]: VisitEntry(
                entry.key.partition(".")[2], IdentifierValue.model_validate_json(entry.value)
            )
            async for entry in self._bucket.scan(VISITS)
        }
        async for entry in self._bucket.scan(SEEN):
            token = entry.key.partition(".")[2]
            found[token] = replace(found.get(token, VisitEntry(token)), seen=SeenVisit.read(entry.value))
        asked = {entry.seen.encounter for entry in found.values() if entry.seen is not None}
        async for encounter in self._discharged():
            if encounter not in asked:
                asked.add(encounter)
                token = visit_token(f"Encounter/{encounter}")
                found[token] = VisitEntry(token, seen=SeenVisit(encounter=encounter))
        return list(found.values())

    async def considered(self, entry: VisitEntry, seen: SeenVisit) -> None:
        """Note which version of the Encounter was considered. Raises TransientError, PermanentError."""
        if entry.seen != seen or entry.visit is None:
            value = seen.model_dump_json(exclude_none=True).encode()
            await self._bucket.put(f"{SEEN}.{entry.token}", value, ttl=TTL_S)

    async def _discharged(self) -> AsyncIterator[str]:
        async for item in self._reports.since(DISCHARGED, "*", 0):
            yield item.report.fact.encounter_id
