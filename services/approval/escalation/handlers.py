"""Escalate reviews that nobody decides: timers of open reviews, and the Tasks of those who are notified."""

from collections.abc import Sequence

from nats.aio.msg import Msg

from services.approval import domain
from services.approval.ehr_tasks.tasks import ReviewTasks
from services.approval.escalation import rules as escalation_rules
from services.approval.escalation.directory import Directory
from services.approval.filing.resources import DISCHARGE_CANCELLED, WITHDRAWN
from services.approval.filing.write_back import document_in_ehr
from shared.contracts.case import fold
from shared.contracts.envelope import RecordedEvent, decode
from shared.contracts.errors import TransientError
from shared.contracts.events import (
    Approved,
    Drafted,
    Escalated,
    Reassigned,
    Reimported,
    Rejected,
    ReviewRequested,
    Withdrawn,
)
from shared.contracts.subjects import CaseRef, derived_id
from shared.messaging.connection import NatsConnection
from shared.messaging.event_store import EventStore, WrongExpectedVersionError
from shared.messaging.steps import Clock
from shared.messaging.timers import FiredTimer, Timers, read_due

MAX_ATTEMPTS = 5


class EscalationHandler:
    def __init__(self, bus: NatsConnection, tasks: ReviewTasks, directory: Directory, clock: Clock) -> None:
        self._tasks = tasks
        self._directory = directory
        self._clock = clock
        self._event_store = EventStore(bus, "approval")
        self._timers = Timers(bus)

    async def escalate(self, message: Msg) -> None:
        """Handle a fired timer: append the escalation unless the review is decided, and set the next timer."""
        due = read_due(message.subject, message.headers or {})
        history, level = await self._append_escalation(due)
        await self._set_timer(due.case, due.clock, level, history)
        await self._timers.delete_fired(due, message.metadata.sequence.stream)

    async def _append_escalation(self, due: FiredTimer) -> tuple[Sequence[RecordedEvent], int]:
        """Append the escalation if it is due; return the history on which that was decided, and the next timer's level.

        The deadline is in the event stream. A timer that fires before it, because the server's clock is ahead, has to
        wait: raises TransientError. One of an earlier attempt to request the review is set again for the deadline.
        """
        history: Sequence[RecordedEvent] = await self._event_store.history(due.case)
        for _ in range(MAX_ATTEMPTS):
            case = fold(history)
            # The timer is set before the review is requested, and may fire first where the server's clock is ahead.
            if case.awaits == "request-review" and all(event.id != due.clock for event in history):
                raise TransientError("a timer has fired before its review was requested")
            if not escalation_rules.is_current(case, due.clock):
                return history, due.level + 1
            deadline = escalation_rules.next_deadline(case, due.clock, due.level - 1)
            match escalation_rules.timing(due.time, deadline, self._clock()):
                case "early":
                    raise TransientError("a timer has fired before its time")
                case "superseded":
                    return history, due.level
            last = escalation_rules.next_deadline(case, due.clock, due.level) is None
            supervisor = await self._directory.supervisor(due.case.department) if last else None
            deputies = self._directory.deputies(due.case.department)
            event = escalation_rules.escalate(history, due.clock, due.level, due.time, supervisor, deputies)
            if event is None:
                return history, due.level + 1
            id = derived_id(f"{due.clock}/{due.level}", "escalated")
            try:
                await self._event_store.append(
                    history[-1].case, event, after=history[-1].head, id=id, time=self._clock()
                )
                return history, due.level + 1
            except WrongExpectedVersionError as conflict:
                history = conflict.history
        raise TransientError("the case changed too often while it was being escalated")

    async def _set_timer(self, case: CaseRef, clock: str, level: int, history: Sequence[RecordedEvent]) -> None:
        """Set the timer of `level` while the clock runs, and take it back where a decision came at the same time.

        A decision is appended before it takes back timers. Either it finds ours, or we find the decision here.
        """
        due = escalation_rules.next_deadline(fold(history), clock, level - 1)
        if due is None:
            return
        sequence = await self._timers.schedule(case, clock, level, due)
        if not escalation_rules.is_current(fold(await self._event_store.history(case)), clock):
            await self._timers.cancel_exactly(case, level, sequence)

    async def follow(self, message: Msg) -> None:
        """Update timers and Tasks after an event that starts or ends an escalation run."""
        event = decode(message.subject, message.headers or {}, message.data, message.metadata.sequence.stream)
        decided = isinstance(event.body, Approved | Rejected)
        if decided and not await self._event_store.stored(event.case.subject("escalated")):
            return  # most reviews: nobody was notified, so nothing has to be cancelled
        history: Sequence[RecordedEvent] = await self._event_store.history(event.case)
        match event.body:
            case Escalated() as escalated:
                history = await self._after_escalation(event, escalated, history)
            case Reassigned() as reassigned:
                await self._after_reassignment(event, reassigned, history)
            case Withdrawn() as withdrawn:
                await self._after_withdrawal(withdrawn, history)
            case Reimported(signature=Approved() as signed):
                await self._after_reimport(signed, history)
        for escalation in escalation_rules.escalations(history):
            if (end := escalation_rules.ended_by(escalation, history)) is not None:
                await self._tasks.end_escalation(escalation, end)

    async def _after_escalation(
        self, event: RecordedEvent, escalated: Escalated, history: Sequence[RecordedEvent]
    ) -> Sequence[RecordedEvent]:
        """Create a Task for each person notified, and hand the review's own Task to a supervisor who takes over.

        Returns the history afterwards: a decision that arrived in between may have looked for Tasks too early.
        """
        escalation = next((item for item in escalation_rules.escalations(history) if item.event.id == event.id), None)
        case = fold(history)
        if escalation is None or not escalation_rules.is_current(case, escalation.clock):
            return history
        if escalated.owner is not None:
            await self._tasks.reassign(escalation.review.task, case.owner or escalated.owner)
        supervisor = escalated.owner or await self._directory.supervisor(event.case.department)
        await self._tasks.escalate(escalation, supervisor)
        return await self._event_store.history(event.case)

    async def _after_reassignment(
        self, event: RecordedEvent, reassigned: Reassigned, history: Sequence[RecordedEvent]
    ) -> None:
        """Replace the timer of the old clock by the new one's; then assign the Task in the EHR to its new owner."""
        case = fold(history)
        if escalation_rules.is_current(case, event.id):
            await self._timers.cancel(event.case.id)
            # Not always the first level: this event may be redelivered after that one was reached.
            await self._set_timer(event.case, event.id, case.level + 1, history)
        if case.open and case.review is not None:
            due = case.review.deadlines[0] if reassigned.deadlines else None
            await self._tasks.reassign(case.review.task, case.owner or reassigned.owner, due)

    async def _after_withdrawal(self, withdrawn: Withdrawn, history: Sequence[RecordedEvent]) -> None:
        if fold(history).state != "withdrawn":
            return  # discharged again in the meantime
        await self._timers.cancel(history[-1].case.id)
        for event in history:
            if isinstance(event.body, ReviewRequested | Drafted):
                why = WITHDRAWN if withdrawn.by is not None else DISCHARGE_CANCELLED
                await self._tasks.end(event.case, event.body.draft, None, why=why)

    async def _after_reimport(self, signed: Approved, history: Sequence[RecordedEvent]) -> None:
        """End every Task and timer for a document that was signed before the restore.

        Includes Tasks of drafts and levels that are not in this event stream either.
        """
        ref, case = history[-1].case, fold(history)
        await self._timers.cancel(ref.id)
        document = document_in_ehr(case.document)
        reviewed, last = domain.reviewed(history), 0
        for draft, outcome in reviewed:
            await self._tasks.end(ref, draft, outcome, document if outcome and outcome.code == "approved" else None)
            last = max(last, draft.number)
        lost, outcome = reviewed[-1]
        while await self._tasks.end(ref, lost.model_copy(update={"number": (last := last + 1)}), outcome, document):
            pass
        if outcome is not None:
            await self._tasks.end_all(ref, signed.stay.encounter, outcome, document)
        for escalation in escalation_rules.possible(history, self._directory.deputies(ref.department)):
            await self._tasks.end_escalation(escalation, escalation_rules.EscalationEnd("approved", done=True))
