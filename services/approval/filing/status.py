"""Why signed documents are not in the chart yet, for the inbox: failed attempts are in no event."""

from collections.abc import Iterable
from datetime import datetime
from typing import Literal

from pydantic import ValidationError

from services.approval.filing.last_restore import RestoreRecord, read_last_restore
from shared.contracts.envelope import RecordedEvent
from shared.contracts.errors import CountersignError
from shared.contracts.model import Model
from shared.messaging.buckets import Bucket
from shared.messaging.connection import NatsConnection
from shared.messaging.steps import Clock

BUCKET, PREFIX = "reconciled", "unfiled"


class FilingStatus(Model):
    """`retrying`: attempts fail since `since`, the last one for `reason`. `transfer`: a person has to take it there."""

    decision: str  # id of the signature's event
    state: Literal["retrying", "transfer"]
    since: datetime
    reason: str = ""


class FilingStatuses:
    """Best effort: where the bucket does not answer, filing goes on without it."""

    def __init__(self, bus: NatsConnection, clock: Clock) -> None:
        self._bus = bus
        self._bucket = Bucket(bus, BUCKET)
        self._clock = clock

    async def failed(self, decision: RecordedEvent, reason: str) -> None:
        """Record that an attempt has failed; `since` stays that of the first one."""
        try:
            known = (await self.of([decision.case.id])).get(decision.case.id)
            same = known is not None and known.decision == decision.id and known.state == "retrying"
            since = known.since if known is not None and same else self._clock()
            status = FilingStatus(decision=decision.id, state="retrying", since=since, reason=reason)
            await self._put(decision.case.id, status)
        except CountersignError:
            return

    async def waits_for_transfer(self, decision: RecordedEvent) -> None:
        """Record that a person has to take the document to the chart. Raises TransientError: nothing else says it."""
        known = (await self.of([decision.case.id])).get(decision.case.id)
        if known is None or known.decision != decision.id or known.state != "transfer":
            await self._put(decision.case.id, FilingStatus(decision=decision.id, state="transfer", since=self._clock()))

    async def last_restore(self) -> RestoreRecord | None:
        """Return the last restore; None where there was none. Raises TransientError."""
        return await read_last_restore(self._bus)

    async def clear(self, case_id: str) -> None:
        """Forget the status of a case whose document is in the chart."""
        try:
            await self._bucket.delete(f"{PREFIX}.{case_id}")
        except CountersignError:
            return

    async def of(self, case_ids: Iterable[str]) -> dict[str, FilingStatus]:
        """Return the statuses of cases, in one request. Raises TransientError."""
        subjects = [f"$KV.{BUCKET}.{PREFIX}.{id}" for id in case_ids]
        if not subjects:
            return {}
        found = {}
        query = {"multi_last": subjects, "batch": len(subjects)}
        for message in await self._bus.direct_get(f"KV_{BUCKET}", query):
            headers = dict(message.headers or {})
            if "KV-Operation" in headers:
                continue
            try:
                found[headers["Nats-Subject"].rpartition(".")[2]] = FilingStatus.read(message.data)
            except ValidationError:
                continue
        return found

    async def _put(self, case_id: str, status: FilingStatus) -> None:
        await self._bucket.put(f"{PREFIX}.{case_id}", status.model_dump_json().encode())
