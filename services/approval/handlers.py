"""What approval does when something happened: ask for the review, carry out the decision."""

import asyncio
import logging

from services.approval import clocks, corrections, domain
from services.approval.as_signed import NotAsSignedError
from services.approval.directory import Directory
from services.approval.filing import Filing
from services.approval.renditions.writer import Renditions
from services.approval.retracting import Retracting
from services.approval.reviews import Reviews
from services.approval.tasks import Tasks
from shared.contracts.case import Case, causing_event, fold
from shared.contracts.corrections import Addended, Amended, Retracted, RetractionFiled
from shared.contracts.draft import Draft
from shared.contracts.envelope import RecordedEvent, sha256_hex
from shared.contracts.errors import PermanentError, as_transient
from shared.contracts.events import (
    Approved,
    Closed,
    Drafted,
    Filed,
    RedraftRequested,
    Rejected,
    ReviewRequested,
    Signature,
)
from shared.contracts.model import read_strictly
from shared.contracts.subjects import CaseRef, derived_id
from shared.messaging.artifacts import Artifacts
from shared.messaging.connection import Bus
from shared.messaging.deadletter import alert
from shared.messaging.journal import Journal, MovedOn
from shared.messaging.steps import Clock, Steps, Work
from shared.messaging.timers import Timers

logger = logging.getLogger(__name__)


class Approval:
    def __init__(
        self,
        steps: Steps,
        tasks: Tasks,
        filing: Filing,
        retracting: Retracting,
        renditions: Renditions,
        directory: Directory,
        reviews: Reviews,
        clock: Clock,
    ) -> None:
        self._tasks = tasks
        self._filing = filing
        self._retracting = retracting
        self._renditions = renditions
        self._directory = directory
        self._reviews = reviews
        self._clock = clock
        steps.step("approval-request", self.request_review, undo=self.take_back_request)
        steps.step("approval-file", self.file)
        steps.step("approval-settle", self.settle_rejection)

    async def attach(self, bus: Bus) -> None:
        self._bus = bus
        self._journal = Journal(bus, "approval")
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

    async def take_back_request(self, cause: RecordedEvent) -> None:
        """The case was withdrawn while the review was being requested."""
        assert isinstance(cause.body, Drafted)  # noqa: S101
        await self._timers.cancel(cause.case.id)
        await self._tasks.end(cause.case, cause.body.draft, None)

    async def file(self, work: Work) -> Filed | RetractionFiled:
        """Bring into the chart what was signed: a document, its correction, an addendum, a retraction.

        What is signed is not given up, whatever the EHR answers; only a text that is not the signed one is, and what
        would stand in the chart beside something else under its identifier.
        """
        cause = work.cause
        case = await self._up_to(cause)
        if isinstance(cause.body, Retracted):
            with as_transient():
                return await self._retracting.retract(cause, cause.body)
        signature = cause.body
        assert isinstance(signature, Approved | Amended | Addended)  # noqa: S101
        if not isinstance(signature, Approved):
            return await self._file(cause, signature, signature.number)
        await self._timers.cancel(cause.case.id)
        filed = await self._file(cause, signature, corrections.number_of(case, cause))
        document = f"DocumentReference/{filed.document_reference}"
        await self._complete(cause, document)
        return filed

    async def _up_to(self, cause: RecordedEvent) -> Case:
        """The case. Raises MovedOn where it does not wait for what `cause` leads to: an approval that comes again must
        not bring back what was replaced or retracted since.
        """
        history = await self._journal.history(cause.case)
        case = fold(history)
        latest = causing_event("file", history)
        if any(item.id == cause.id for item in history) and (
            case.awaits != "file" or latest is None or latest.id != cause.id
        ):
            raise MovedOn
        return case

    async def _file(self, cause: RecordedEvent, signature: Signature, number: int) -> Filed:
        text = await self._signed_text(cause.case, signature)
        try:
            with as_transient(but=NotAsSignedError):
                renditions = await self._renditions.of(cause, signature, text, number)
                filed = await self._filing.file(cause, signature, text, renditions, number)
        except NotAsSignedError as error:
            await self._tell_of_other(cause.case, error)
            raise
        if refused := sorted(renditions.keys() - filed.renditions.keys()):
            await self._tell_of_refused(cause.case, refused)
        return filed

    async def _tell_of_other(self, case: CaseRef, error: NotAsSignedError) -> None:
        """What was signed is not in the chart, and something else is: nothing was filed, and a person has to look."""
        logger.error("case %s: not filed: %s", case.id, error.reason)
        await alert(
            self._bus,
            "critical",
            "chart-not-as-signed",
            id=case.id,
            case=case.id,
            department=case.department,
            reason=error.reason,
            page=f"/reviews/{case.id}",
        )

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

    async def _signed_text(self, case: CaseRef, signature: Signature) -> str:
        """Exactly what was signed.

        Raises PermanentError when it is not what the signature's digest says.
        """
        if not isinstance(signature, Approved) or signature.edited:
            return (await self._artifacts.of(case.id).get(signature.signed)).decode()
        draft = read_strictly(Draft, await self._artifacts.of(case.id).get(signature.draft.digest))
        if sha256_hex(draft.text.encode()) != signature.signed:
            raise PermanentError("the draft is not the text that was signed")
        return draft.text

    async def settle_rejection(self, work: Work) -> RedraftRequested | Closed:
        """Stop the clock, complete the Task with the refusal, and send the case back or end it."""
        rejected, case = work.cause.body, work.cause.case
        assert isinstance(rejected, Rejected)  # noqa: S101
        await self._timers.cancel(case.id)
        await self._complete(work.cause)
        return domain.after_rejection(rejected)

    async def _complete(self, decision: RecordedEvent, document: str | None = None) -> None:
        """Say in the review's Task what was decided."""
        body, outcome = decision.body, domain.outcome_of(decision)
        assert isinstance(body, Approved | Rejected)  # noqa: S101
        assert outcome is not None  # noqa: S101
        await self._tasks.complete(decision.case, body.draft, body.task, outcome, document)
