"""What approval does when something happened: ask for the review, escalate it, carry out the decision."""

import asyncio
from collections.abc import Sequence

from nats.aio.msg import Msg

from services.approval import domain
from services.approval.directory import Directory
from services.approval.filing import Filing
from services.approval.reviews import Reviews
from services.approval.settings import Escalations
from services.approval.tasks import Tasks
from shared.contracts.case import fold
from shared.contracts.draft import Draft
from shared.contracts.envelope import Recorded, decode, digest
from shared.contracts.events import (
    Approved,
    Closed,
    Drafted,
    Escalated,
    Filed,
    Reassigned,
    RedraftRequested,
    Rejected,
    ReviewRequested,
    Withdrawn,
)
from shared.contracts.failures import PermanentError, TransientError
from shared.contracts.subjects import derived_id
from shared.messaging.artifacts import Artifacts
from shared.messaging.connection import Bus
from shared.messaging.deadletter import Severity, alert
from shared.messaging.journal import Conflict, Journal
from shared.messaging.steps import Clock, Steps, Work
from shared.messaging.timers import Due, Timers, read_due


class Approval:
    def __init__(
        self,
        steps: Steps,
        tasks: Tasks,
        filing: Filing,
        directory: Directory,
        reviews: Reviews,
        escalate_after: Escalations,
        clock: Clock,
    ) -> None:
        self._tasks = tasks
        self._filing = filing
        self._directory = directory
        self._reviews = reviews
        self._escalate_after = escalate_after
        self._clock = clock
        steps.step("approval-request", self.request_review, undo=self.take_back_request)
        steps.step("approval-file", self.file)
        steps.step("approval-settle", self.settle_rejection)
        steps.effect("approval-follow", self.follow)
        steps.effect("approval-escalate", self.escalate)

    async def attach(self, bus: Bus) -> None:
        self._bus = bus
        self._journal = Journal(bus, "approval")
        self._artifacts = Artifacts(bus)
        self._timers = Timers(bus)
        await self._reviews.start(bus)

    async def request_review(self, work: Work) -> ReviewRequested:
        """A Task in the EHR and the timers: all there before the event says so."""
        drafted, case = work.cause.body, work.cause.case
        assert isinstance(drafted, Drafted)  # noqa: S101 - the step's consumer is filtered to it
        now = self._clock()
        due = domain.deadlines(now, self._escalate_after)
        review = derived_id(work.cause.id, "review-requested")
        task, _ = await asyncio.gather(
            self._tasks.request(case, drafted, due[0]), self._timers.schedule(case, review, 1, due[0])
        )
        return domain.request(drafted, task, due)

    async def take_back_request(self, cause: Recorded) -> None:
        """The case was withdrawn while the review was being requested."""
        assert isinstance(cause.body, Drafted)  # noqa: S101
        await self._timers.cancel(cause.case.id)
        await self._tasks.cancel(cause.case, cause.body.draft)

    async def file(self, work: Work) -> Filed:
        """Stop the clock, put the signed document into the chart, complete the Task."""
        approved, case = work.cause.body, work.cause.case
        assert isinstance(approved, Approved)  # noqa: S101
        _, text = await asyncio.gather(self._timers.cancel(case.id), self._signed_text(approved))
        filed = await self._filing.file(work.cause, approved, text)
        await self._tasks.complete(approved.task, "approved", f"DocumentReference/{filed.document_reference}")
        return filed

    async def _signed_text(self, approved: Approved) -> str:
        """Exactly what was signed.

        Raises PermanentError when it is not what the signature's digest says.
        """
        if approved.edited:
            return (await self._artifacts.get(approved.signed)).decode()
        draft = Draft.model_validate_json(await self._artifacts.get(approved.draft.digest))
        if digest(draft.text.encode()) != approved.signed:
            raise PermanentError("the draft is not the text that was signed")
        return draft.text

    async def settle_rejection(self, work: Work) -> RedraftRequested | Closed:
        """Stop the clock, complete the Task with the refusal, and send the case back or end it."""
        rejected, case = work.cause.body, work.cause.case
        assert isinstance(rejected, Rejected)  # noqa: S101
        await self._timers.cancel(case.id)
        await self._tasks.complete(rejected.task, f"rejected-{rejected.action}")
        return domain.after_rejection(rejected)

    async def follow(self, message: Msg) -> None:
        """Make the EHR's Task true after an escalation, a reassignment or a withdrawal."""
        event = decode(message.subject, message.headers or {}, message.data, message.metadata.sequence.stream)
        history = await self._journal.history(event.case)
        if isinstance(event.body, Withdrawn):
            await self._after_withdrawal(history)
        else:
            await self._tell(event, history)

    async def _after_withdrawal(self, history: list[Recorded]) -> None:
        case = fold(history)
        if case.state != "withdrawn":
            return  # discharged again in the meantime
        await self._timers.cancel(history[-1].case.id)
        for event in history:
            if isinstance(event.body, ReviewRequested | Drafted):
                await self._tasks.cancel(event.case, event.body.draft)

    async def _tell(self, event: Recorded, history: list[Recorded]) -> None:
        case = fold(history)
        task = case.review.task if case.review else None
        owner = event.body.owner if isinstance(event.body, Escalated | Reassigned) else None
        if owner is not None and case.open:
            await self._tasks.give_to(task, case.owner or owner)
        if isinstance(event.body, Escalated):
            severity: Severity = "critical" if owner is not None else "warning"
            await alert(
                self._bus,
                severity,
                "review-overdue",
                id=event.id,
                case=event.case.id,
                department=event.case.department,
                level=event.body.level,
            )

    async def escalate(self, message: Msg) -> None:
        """A timer fired: say so on the trail, unless somebody has decided, and set the timer of the next level."""
        due = read_due(message.subject, message.headers or {})
        history = await self._tell_trail(due)
        following = domain.next_deadline(history, due.review, due.level)
        if following is not None:
            await self._timers.schedule(due.case, due.review, due.level + 1, following)
        await self._timers.forget(due)

    async def _tell_trail(self, due: Due) -> Sequence[Recorded]:
        """Append the escalation where it is due; returns the history it was decided on."""
        history: Sequence[Recorded] = await self._journal.history(due.case)
        for _ in range(5):
            last = domain.next_deadline(history, due.review, due.level) is None
            supervisor = await self._directory.supervisor(due.case.department) if last else None
            event = domain.escalate(history, due.review, due.level, due.time, supervisor)
            if event is None:
                return history
            id = derived_id(f"{due.review}/{due.level}", "escalated")
            try:
                await self._journal.append(history[-1].case, event, after=history[-1].head, id=id, time=self._clock())
                return history
            except Conflict as conflict:
                history = conflict.history
        raise TransientError("the case changed too often while it was being escalated")
