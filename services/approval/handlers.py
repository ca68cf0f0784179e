"""What approval does when something happened: ask for the review, carry out the decision."""

import asyncio
import logging

from services.approval import domain
from services.approval.absences.registry import AbsenceRegistry
from services.approval.corrections import rules as correction_rules
from services.approval.ehr_tasks.tasks import ReviewTasks
from services.approval.escalation import rules as escalation_rules
from services.approval.escalation.directory import Directory
from services.approval.filing import last_restore
from services.approval.filing.chart_check import NotAsSignedError
from services.approval.filing.errors import DocumentHeldError, ManualTransferRequiredError
from services.approval.filing.status import FilingStatuses
from services.approval.filing.write_back import SignedDocument, SignedRetraction, WriteBacks, document_in_ehr, filed_ids
from services.approval.projections.open_reviews import OpenReviewsProjection
from shared.contracts.case import Case, causing_event, fold
from shared.contracts.corrections import Addended, Amended, Retracted, RetractionFiled
from shared.contracts.draft import Draft
from shared.contracts.envelope import RecordedEvent, sha256_hex
from shared.contracts.errors import PermanentError, TransientError, as_transient
from shared.contracts.events import (
    Approved,
    Closed,
    Drafted,
    Failed,
    Filed,
    RedraftRequested,
    Rejected,
    Retried,
    ReviewRequested,
    Signature,
    WriteBackProfile,
)
from shared.contracts.model import read_strictly
from shared.contracts.subjects import CaseRef, derived_id
from shared.messaging.artifacts import Artifacts
from shared.messaging.connection import NatsConnection
from shared.messaging.dead_letter_queue import publish_alert
from shared.messaging.event_store import EventStore, StepNoLongerAwaitedError
from shared.messaging.steps import Clock, StepContext
from shared.messaging.timers import Timers

logger = logging.getLogger(__name__)


class Approval:
    def __init__(
        self,
        bus: NatsConnection,
        tasks: ReviewTasks,
        write_backs: WriteBacks,
        directory: Directory,
        reviews: OpenReviewsProjection,
        absences: AbsenceRegistry,
        clock: Clock,
    ) -> None:
        self._absences = absences
        self._tasks = tasks
        self._write_backs = write_backs
        self._directory = directory
        self._reviews = reviews
        self._clock = clock
        self._bus = bus
        self._event_store = EventStore(bus, "approval")
        self._artifacts = Artifacts(bus)
        self._status = FilingStatuses(bus, clock)
        self._timers = Timers(bus)

    async def request_review(self, work: StepContext[Drafted]) -> ReviewRequested:
        """Create the Task in the EHR and the timers, then return the event."""
        drafted, case = work.event, work.cause.case
        now = self._clock()
        due = escalation_rules.deadlines(now, self._directory.escalation_delays(case.department))
        clock = derived_id(work.cause.id, "review-requested")
        owner = await self._absences.owner_of(case.department, drafted.stay.attending)
        task, _ = await asyncio.gather(
            self._tasks.request(case, drafted, due[0], owner), self._timers.schedule(case, clock, 1, due[0])
        )
        return domain.request(drafted, task, due, owner)

    async def cancel_request(self, work: StepContext[Drafted]) -> None:
        """Cancel timers and Tasks of a review whose case was withdrawn while it was requested."""
        await self._timers.cancel(work.cause.case.id)
        await self._tasks.end(work.cause.case, work.event.draft, None)

    async def file(self, work: StepContext[Approved | Amended | Addended | Retracted]) -> Filed | RetractionFiled:
        """File what was signed: a document, its correction, an addendum, or a retraction.

        Filing is retried without limit. It fails only where a person has to act (DocumentHeldError). Where people
        enter documents into the chart, it ends without an event, and their confirmation is the event.
        """
        cause = work.cause
        history, case = await self._up_to(cause)
        if isinstance(work.event, Approved):
            await self._timers.cancel(cause.case.id)
        try:
            filed = await self._write(cause, work.event, case, history)
        except ManualTransferRequiredError:
            await self._status.waits_for_transfer(cause)
            if isinstance(work.event, Approved):
                await self._complete(cause, work.event)
            raise
        except TransientError as error:
            await self._status.failed(cause, error.reason)
            raise
        if work.attempt > 1:
            await self._status.clear(cause.case.id)
        if isinstance(work.event, Approved) and isinstance(filed, Filed):
            await self._complete(cause, work.event, document_in_ehr(filed))
        return filed

    async def _write(
        self, cause: RecordedEvent, event: Signature | Retracted, case: Case, history: list[RecordedEvent]
    ) -> Filed | RetractionFiled:
        follows = case.document if not isinstance(event, Approved) else None
        profile = await self._chosen(follows)
        doubt = last_restore.doubt_after_restore(await last_restore.read_last_restore(self._bus), history, event.stay)
        releases, released = _releases(history, cause)
        if isinstance(event, Retracted):
            with as_transient(but=DocumentHeldError):
                retraction = SignedRetraction(cause, event, case, releases, released, doubt)
                return await self._write_backs.of(profile).retract(retraction)
        number = correction_rules.number_of(case, cause)
        text = await self._signed_text(cause.case, event)
        known = filed_ids(case)
        document = SignedDocument(cause, event, text, number, releases, follows, known, released, doubt)
        try:
            with as_transient(but=DocumentHeldError):
                written = await self._write_backs.of(profile).file(document)
        except NotAsSignedError as error:
            await self._alert_not_as_signed(cause.case, error)
            raise
        if written.refused:
            await self._alert_refused_renditions(cause.case, list(written.refused))
        return written.filed

    async def _chosen(self, follows: Filed | None) -> WriteBackProfile:
        with as_transient():
            return await self._write_backs.chosen(follows)

    async def _up_to(self, cause: RecordedEvent) -> tuple[list[RecordedEvent], Case]:
        """Return the history and the case. Raises StepNoLongerAwaitedError unless it awaits the filing of `cause`.

        A redelivered approval must not bring back what was replaced or retracted since.
        """
        history = await self._event_store.history(cause.case)
        case = fold(history)
        latest = causing_event("file", history)
        if any(item.id == cause.id for item in history) and (
            case.awaits != "file" or latest is None or latest.id != cause.id
        ):
            raise StepNoLongerAwaitedError
        return history, case

    async def _alert_not_as_signed(self, case: CaseRef, error: NotAsSignedError) -> None:
        """Alert that the chart has another document than the signed one. Nothing was filed; a person has to check."""
        logger.error("case %s: not filed: %s", case.id, error.reason)
        await publish_alert(
            self._bus,
            "critical",
            "chart-not-as-signed",
            id=case.id,
            case=case.id,
            department=case.department,
            reason=error.reason,
            page=f"/reviews/{case.id}",
        )

    async def _alert_refused_renditions(self, case: CaseRef, refused: list[str]) -> None:
        """Alert that the EHR accepted only the text: the configured content types may have to be changed."""
        names = ", ".join(refused)
        logger.warning("case %s: the EHR did not take %s, the document was filed without", case.id, names)
        await publish_alert(
            self._bus,
            "info",
            "renditions-refused",
            id=case.id,
            case=case.id,
            department=case.department,
            refused=names,
        )

    async def _signed_text(self, case: CaseRef, signature: Signature) -> str:
        """Return exactly what was signed.

        Raises PermanentError when it does not have the digest of the signature.
        """
        if not isinstance(signature, Approved) or signature.edited:
            return (await self._artifacts.of(case.id).get(signature.signed)).decode()
        draft = read_strictly(Draft, await self._artifacts.of(case.id).get(signature.draft.digest))
        if sha256_hex(draft.text.encode()) != signature.signed:
            raise PermanentError("the draft is not the text that was signed")
        return draft.text

    async def settle_rejection(self, work: StepContext[Rejected]) -> RedraftRequested | Closed:
        """Stop the clock, complete the Task with the refusal, and send the case back or end it."""
        rejected, case = work.event, work.cause.case
        await self._timers.cancel(case.id)
        await self._complete(work.cause, rejected)
        return domain.after_rejection(rejected)

    async def _complete(self, decision: RecordedEvent, body: Approved | Rejected, document: str | None = None) -> None:
        """Complete the review's Task with the outcome of the decision."""
        outcome = domain.outcome_of(decision)
        assert outcome is not None  # noqa: S101 - an approval and a rejection have one
        await self._tasks.complete(decision.case, body.draft, body.task, outcome, document)


def _releases(history: list[RecordedEvent], cause: RecordedEvent) -> tuple[int, str]:
    """Return how often the filing of `cause` was held and a person released it, and the digest of the last release."""
    since = [item for item in history if item.head.sequence > cause.head.sequence]
    releases = sum(isinstance(item.body, Failed) and item.body.step == "file" for item in since)
    retried = [item for item in since if isinstance(item.body, Retried) and item.body.step == "file"]
    return releases, retried[-1].head.digest if retried and releases else ""
