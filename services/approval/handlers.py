"""What approval does when something happened: ask for the review, carry out the decision."""

import asyncio
import logging

from services.approval import clocks, domain
from services.approval.directory import Directory
from services.approval.filing import Filing
from services.approval.renditions.writer import Renditions
from services.approval.reviews import Reviews
from services.approval.tasks import Tasks
from shared.contracts.draft import Draft
from shared.contracts.envelope import Recorded, digest
from shared.contracts.events import (
    Approved,
    Closed,
    Drafted,
    Filed,
    RedraftRequested,
    Rejected,
    ReviewRequested,
)
from shared.contracts.failures import PermanentError, never_permanent
from shared.contracts.subjects import CaseRef, derived_id
from shared.messaging.artifacts import Artifacts
from shared.messaging.connection import Bus
from shared.messaging.deadletter import alert
from shared.messaging.steps import Clock, Steps, Work
from shared.messaging.timers import Timers

logger = logging.getLogger(__name__)


class Approval:
    def __init__(
        self,
        steps: Steps,
        tasks: Tasks,
        filing: Filing,
        renditions: Renditions,
        directory: Directory,
        reviews: Reviews,
        clock: Clock,
    ) -> None:
        self._tasks = tasks
        self._filing = filing
        self._renditions = renditions
        self._directory = directory
        self._reviews = reviews
        self._clock = clock
        steps.step("approval-request", self.request_review, undo=self.take_back_request)
        steps.step("approval-file", self.file)
        steps.step("approval-settle", self.settle_rejection)

    async def attach(self, bus: Bus) -> None:
        self._bus = bus
        self._artifacts = Artifacts(bus)
        self._renditions.attach(bus)
        self._timers = Timers(bus)
        await self._reviews.start(bus)

    async def request_review(self, work: Work) -> ReviewRequested:
        """A Task in the EHR and the timers: all there before the event says so."""
        drafted, case = work.cause.body, work.cause.case
        assert isinstance(drafted, Drafted)  # noqa: S101 - the step's consumer is filtered to it
        now = self._clock()
        due = clocks.deadlines(now, self._directory.times(case.department))
        clock = derived_id(work.cause.id, "review-requested")
        task, _ = await asyncio.gather(
            self._tasks.request(case, drafted, due[0]), self._timers.schedule(case, clock, 1, due[0])
        )
        return domain.request(drafted, task, due)

    async def take_back_request(self, cause: Recorded) -> None:
        """The case was withdrawn while the review was being requested."""
        assert isinstance(cause.body, Drafted)  # noqa: S101
        await self._timers.cancel(cause.case.id)
        await self._tasks.end(cause.case, cause.body.draft, None)

    async def file(self, work: Work) -> Filed:
        """Stop the clock, put the signed document into the chart, complete the Task.

        What is signed is not given up, whatever the EHR answers; only a text that is not the signed one is.
        """
        approved, case = work.cause.body, work.cause.case
        assert isinstance(approved, Approved)  # noqa: S101
        _, text = await asyncio.gather(self._timers.cancel(case.id), self._signed_text(approved))
        with never_permanent():
            renditions = await self._renditions.of(work.cause, approved, text)
            filed = await self._filing.file(work.cause, approved, text, renditions)
        if refused := sorted(renditions.keys() - filed.renditions.keys()):
            await self._tell_of_refused(case, refused)
        document = f"DocumentReference/{filed.document_reference}"
        await self._tasks.complete(case, approved.draft, approved.task, "approved", document)
        return filed

    async def _tell_of_refused(self, case: CaseRef, refused: list[str]) -> None:
        """The EHR took the signed text and not the rest: somebody may have to set what it takes."""
        names = ", ".join(refused)
        logger.warning("case %s: the EHR did not take %s, the document was filed without", case.id, names)
        await alert(
            self._bus,
            "info",
            "renditions-refused",
            id=case.id,
            case=case.id,
            department=case.department,
            refused=names,
        )

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
        await self._tasks.complete(case, rejected.draft, rejected.task, f"rejected-{rejected.action}")
        return domain.after_rejection(rejected)
