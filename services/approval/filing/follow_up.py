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
from services.approval.filing.correction_resources import identifier_of
from services.approval.filing.filing import Filing
from shared.clinical.fhir_client import FhirClient
from shared.contracts.case import Case, fold
from shared.contracts.corrections import Retracted
from shared.contracts.envelope import RecordedEvent
from shared.contracts.errors import PermanentError, TransientError
from shared.contracts.model import Model
from shared.contracts.subjects import CaseRef, case_filter, parse_case_subject
from shared.messaging.buckets import Bucket, KvEntry
from shared.messaging.connection import Bus, WrongSequenceError
from shared.messaging.dead_letter_queue import publish_alert
from shared.messaging.event_store import STREAM, EventStore, RawMessage, raw_message_of
from shared.messaging.steps import Clock

logger = logging.getLogger(__name__)

# A client gives a write up after 15 s, a gateway after a minute or two.
LOOKS = (timedelta(minutes=2), timedelta(hours=1))
ENDS = ("filed", "closed", "withdrawn", "retraction-filed", "reimported")  # events
PAGE = 20  # cases between two marks
MOST = 200  # cases of one kind in one run; the rest is for the next
BEFORE = 500  # events before the first start that are looked through too
TELL_AFTER = 3  # runs that come no further, one after the other


class FollowUpPosition(Model):
    """The position in the event stream up to which one kind of end was checked, for one delay."""

    at: int
    failed: int = 0  # runs since then that came no further


class FollowUp:
    def __init__(self, bus: Bus, ehr: FhirClient, filing: Filing, tasks: ReviewTasks, clock: Clock) -> None:
        self._ehr = ehr
        self._filing = filing
        self._tasks = tasks
        self._clock = clock
        self._bus = bus
        self._journal = EventStore(bus, "approval")
        self._marks = Bucket(bus, "reconciled")

    async def start(self) -> None:
        last = (await self._bus.jetstream.stream_info(STREAM)).state.last_seq
        for key in (_key(name, wait) for name in ENDS for wait in LOOKS):
            await self._begin(key, last)

    async def _begin(self, key: str, last: int) -> None:
        """Store a first position, also where the stored one is past the stream's end: an older backup was restored."""
        entry = await self._marks.get(key)
        if entry is not None and FollowUpPosition.read(entry.value).at <= last:
            return
        value = FollowUpPosition(at=max(0, last - BEFORE)).model_dump_json().encode()
        try:
            await self._marks.put(key, value, revision=entry.revision if entry else 0)
        except WrongSequenceError:
            return  # another process has begun

    async def run(self) -> None:
        """Check every case that is due."""
        for name in ENDS:
            for wait in LOOKS:
                try:
                    await self._look(name, wait)
                except WrongSequenceError:
                    continue  # another process does this one

    async def _look(self, name: str, wait: timedelta) -> None:
        key = _key(name, wait)
        entry = await self._marks.get(key)
        if entry is None:
            return
        mark = FollowUpPosition.read(entry.value)
        for _ in range(0, MOST, PAGE):
            query = {"seq": mark.at + 1, "next_by_subj": case_filter(name), "batch": PAGE}
            page = [raw_message_of(message) for message in await self._bus.direct_get(STREAM, query)]
            following = await self._follow(mark, due(page, self._clock() - wait))
            if following == mark:
                return
            entry = await self._keep(key, following, entry)
            mark = following
            if mark.failed or len(page) < PAGE:
                return

    async def _keep(self, key: str, mark: FollowUpPosition, entry: KvEntry) -> KvEntry:
        value = mark.model_dump_json().encode()
        return KvEntry(key, value, await self._marks.put(key, value, revision=entry.revision))

    async def _follow(self, mark: FollowUpPosition, events: Sequence[RawMessage]) -> FollowUpPosition:
        """The mark after as many of `events` as the EHR lets us look at."""
        for event in events:
            case, _ = parse_case_subject(event.subject)
            try:
                await self._case(case)
            except PermanentError as error:
                await self._tell(case, error.reason)
            except TransientError as error:
                logger.warning("the end of case %s could not be looked at: %s", case.id, error.reason)
                if mark.failed + 1 < TELL_AFTER or not await self._ehr.ready():
                    return mark.model_copy(update={"failed": mark.failed + 1})
                await self._tell(case, error.reason)  # it is about this case: the others do not wait for it
            mark = FollowUpPosition(at=event.sequence)
        return mark

    async def _case(self, ref: CaseRef) -> None:
        """Leave each document as it is to stand, one Provenance for each signature and no open Task."""
        history = await self._journal.history(ref)
        case = fold(history)
        if not correction_rules.has_ended(case):
            return  # it goes on: it is looked at when it ends
        left = await self._end_documents(ref, case)
        if left:
            await self._tell(ref, f"{left} surplus Provenance: the EHR does not let it be deleted")
        document = f"DocumentReference/{case.document.document_reference}" if case.document else None
        await self._end_tasks(ref, history, document)

    async def _end_documents(self, ref: CaseRef, case: Case) -> int:
        """How many Provenances are left that are too many."""
        left = 0
        for entry in (*case.earlier, *case.entries):
            if (filed := entry.filed) is not None:
                signature = correction_rules.signature_of(entry)
                number = correction_rules.number_of(case, entry.signature)
                left += await self._filing.follow_up(
                    ref,
                    filed,
                    entry.signature.head.digest,
                    identifier_of(ref, signature, number),
                    correction_rules.status_of(case, entry),
                )
        if case.retraction is not None and isinstance(body := case.retraction.body, Retracted) and case.retracted:
            left += await self._filing.clear(case.retraction.head.digest, case.retracted.provenance, body.documents)
        return left

    async def _end_tasks(self, ref: CaseRef, history: Sequence[RecordedEvent], document: str | None) -> None:
        for draft, outcome in domain.reviewed(history):
            await self._tasks.end(ref, draft, outcome, document if outcome and outcome.code == "approved" else None)
        for told in escalation_rules.escalations(history):
            if (end := escalation_rules.ended_by(told, history)) is not None:
                await self._tasks.end_escalation(told, end)

    async def _tell(self, case: CaseRef, reason: str) -> None:
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
