"""Check ended cases again: a write whose answer was lost may reach the chart after the case has ended.

A search cannot find what a server has not committed or indexed yet, so each case is checked twice: after the longest
time that a write may hang, and again for slow indexes. The position is stored in a bucket: a crash skips no check, and
a repeated check changes nothing.
"""

import logging
from collections.abc import Sequence
from datetime import datetime, timedelta

from services.approval import domain
from services.approval.corrections import rules as correction_rules
from services.approval.ehr_tasks.tasks import ReviewTasks
from services.approval.escalation import rules as escalation_rules
from services.approval.filing.write_back import WriteBacks, document_in_ehr
from shared.clinical.fhir_client import FhirClient
from shared.contracts.case import Case, fold
from shared.contracts.envelope import RecordedEvent
from shared.contracts.errors import PermanentError, TransientError
from shared.contracts.model import Model
from shared.contracts.subjects import CaseRef, case_filter, parse_case_subject
from shared.messaging.buckets import Bucket, KvEntry
from shared.messaging.connection import NatsConnection, WrongSequenceError
from shared.messaging.dead_letter_queue import publish_alert
from shared.messaging.event_store import STREAM, EventStore, RawMessage, raw_message_of
from shared.messaging.steps import Clock

logger = logging.getLogger(__name__)

# Clients time out after 15 s, gateways after a minute or two.
CHECK_DELAYS = (timedelta(minutes=2), timedelta(hours=1))
END_EVENTS = ("filed", "closed", "withdrawn", "retraction-filed", "reimported")
PAGE = 20  # cases for each stored position
MAX_CASES_PER_RUN = 200  # of one kind
INITIAL_EVENTS = 500  # events before the first start that are checked, too
ALERT_AFTER_FAILURES = 3  # consecutive runs without progress


class LateWritePosition(Model):
    """The position in the event stream up to which one kind of end was checked, for one delay."""

    at: int
    failed: int = 0  # runs without progress since then


class LateWriteCheck:
    def __init__(
        self, bus: NatsConnection, ehr: FhirClient, write_backs: WriteBacks, tasks: ReviewTasks, clock: Clock
    ) -> None:
        self._ehr = ehr
        self._write_backs = write_backs
        self._tasks = tasks
        self._clock = clock
        self._bus = bus
        self._event_store = EventStore(bus, "approval")
        self._positions = Bucket(bus, "reconciled")

    async def start(self) -> None:
        last = (await self._bus.jetstream.stream_info(STREAM)).state.last_seq
        for key in (_key(name, wait) for name in END_EVENTS for wait in CHECK_DELAYS):
            await self._initialize_position(key, last)

    async def _initialize_position(self, key: str, last: int) -> None:
        """Store a first position, also where the stored one is past the stream's end: an older backup was restored."""
        entry = await self._positions.get(key)
        if entry is not None and LateWritePosition.read(entry.value).at <= last:
            return
        value = LateWritePosition(at=max(0, last - INITIAL_EVENTS)).model_dump_json().encode()
        try:
            await self._positions.put(key, value, revision=entry.revision if entry else 0)
        except WrongSequenceError:
            return  # another process has begun

    async def run(self) -> None:
        """Check every case that is due."""
        for name in END_EVENTS:
            for wait in CHECK_DELAYS:
                try:
                    await self._check(name, wait)
                except WrongSequenceError:
                    continue  # another process does this one

    async def _check(self, name: str, wait: timedelta) -> None:
        key = _key(name, wait)
        entry = await self._positions.get(key)
        if entry is None:
            return
        position = LateWritePosition.read(entry.value)
        for _ in range(0, MAX_CASES_PER_RUN, PAGE):
            query = {"seq": position.at + 1, "next_by_subj": case_filter(name), "batch": PAGE}
            page = [raw_message_of(message) for message in await self._bus.direct_get(STREAM, query)]
            following = await self._check_events(position, due(page, self._clock() - wait))
            if following == position:
                return
            entry = await self._save_position(key, following, entry)
            position = following
            if position.failed or len(page) < PAGE:
                return

    async def _save_position(self, key: str, position: LateWritePosition, entry: KvEntry) -> KvEntry:
        value = position.model_dump_json().encode()
        return KvEntry(key, value, await self._positions.put(key, value, revision=entry.revision))

    async def _check_events(self, position: LateWritePosition, events: Sequence[RawMessage]) -> LateWritePosition:
        """Check the cases of `events` until one fails; return the position after the last that was checked."""
        for event in events:
            case, _ = parse_case_subject(event.subject)
            try:
                await self._check_case(case)
            except PermanentError as error:
                await self._alert(case, error.reason)
            except TransientError as error:
                logger.warning("case %s could not be checked after its end: %s", case.id, error.reason)
                if position.failed + 1 < ALERT_AFTER_FAILURES or not await self._ehr.ready():
                    return position.model_copy(update={"failed": position.failed + 1})
                await self._alert(case, error.reason)  # a problem of this case: others do not wait for it
            position = LateWritePosition(at=event.sequence)
        return position

    async def _check_case(self, ref: CaseRef) -> None:
        """Leave each document in its status, one Provenance for each signature and no open Task."""
        history = await self._event_store.history(ref)
        case = fold(history)
        if not correction_rules.has_ended(case):
            return  # it is checked when it ends
        left = await self._end_documents(ref, case)
        if left:
            await self._alert(ref, f"{left} surplus documents or Provenances: the EHR does not let them be retired")
        await self._end_tasks(ref, history, document_in_ehr(case.document))

    async def _end_documents(self, ref: CaseRef, case: Case) -> int:
        """Put the documents of the case in order; return how many surplus Provenances could not be deleted."""
        left = 0
        for entry in (*case.earlier, *case.entries):
            if (filed := entry.filed) is not None:
                repair = self._write_backs.repair_of(filed)
                left += await repair.repair_document(ref, case, entry) if repair is not None else 0
        if case.retracted is not None and (repair := self._write_backs.repair_of(case.retracted)) is not None:
            left += await repair.repair_retraction(case)
        return left

    async def _end_tasks(self, ref: CaseRef, history: Sequence[RecordedEvent], document: str | None) -> None:
        for draft, outcome in domain.reviewed(history):
            await self._tasks.end(ref, draft, outcome, document if outcome and outcome.code == "approved" else None)
        for escalation in escalation_rules.escalations(history):
            if (end := escalation_rules.ended_by(escalation, history)) is not None:
                await self._tasks.end_escalation(escalation, end)

    async def _alert(self, case: CaseRef, reason: str) -> None:
        logger.warning("case %s: the chart was not put in order: %s", case.id, reason)
        await publish_alert(
            self._bus,
            "warning",
            "chart-not-in-order",
            id=case.id,
            case=case.id,
            department=case.department,
            reason=reason,
        )


def due(page: Sequence[RawMessage], until: datetime) -> list[RawMessage]:
    """Return the leading messages of `page`, in stream order, up to the first that is younger than `until`."""
    found: list[RawMessage] = []
    for event in page:
        if datetime.fromisoformat(event.headers["ce-time"]) > until:
            break
        found.append(event)
    return found


def _key(name: str, wait: timedelta) -> str:
    return f"{name}-{wait.total_seconds():g}"
