"""Apply decisions that were taken in the EHR's own inbox: a changed Task is read again, and its answer is decided."""

import logging

from nats.aio.msg import Msg

from services.approval import domain
from services.approval.ehr_tasks import task_decision
from services.approval.ehr_tasks.hold import read_hold
from services.approval.ehr_tasks.task_decision import ReviewTaskRef, TaskDecision
from services.approval.ehr_tasks.tasks import ReviewTasks
from services.approval.escalation.directory import Directory
from services.approval.filing.provenances import provenances_of
from services.approval.review.errors import DecisionRefusedError
from services.approval.review.service import ReviewService
from shared.clinical.elements import Resource
from shared.clinical.fhir_client import FhirClient, NotFoundError
from shared.contracts.case import fold
from shared.contracts.ehr import parse_task_changed
from shared.contracts.envelope import RecordedEvent
from shared.contracts.errors import PermanentError, TransientError
from shared.contracts.events import Actor, Rejected
from shared.messaging.access_log import AccessLog
from shared.messaging.connection import NatsConnection
from shared.messaging.dead_letter_queue import publish_alert

logger = logging.getLogger(__name__)

OPEN_IT = "Open the draft in Countersign to do so."
UNOPENED = "Not signed: the draft has not been opened. Open it in Countersign, then countersign it there or here."


class EhrDecisionHandler:
    """Handles changed Tasks, however often they are reported: one decision, or none and an alert."""

    def __init__(
        self,
        bus: NatsConnection,
        ehr: FhirClient,
        review: ReviewService,
        directory: Directory,
        tasks: ReviewTasks,
        log: AccessLog,
        *,
        draft_shown: bool,
    ) -> None:
        """With `draft_shown`, the EHR shows the draft beside the Task, so that nobody has to open our page."""
        self._ehr = ehr
        self._review = review
        self._directory = directory
        self._tasks = tasks
        self._log = log
        self._draft_shown = draft_shown
        self._bus = bus

    async def on_task(self, message: Msg) -> None:
        """Handle a changed Task."""
        fact = parse_task_changed(message.subject, message.data)
        try:
            task = await self._ehr.read("Task", fact.task_id)
        except NotFoundError:
            return  # deleted: nothing was decided, and the review continues in our own inbox
        except PermanentError as error:  # retried without limit: a physician's decision must not be lost
            raise TransientError(error.reason) from None
        review, decision = task_decision.parse_review_task(task), task_decision.parse_decision(task)
        if review is None or decision is None:
            return
        history = await self._review.cases.history(review.case_id)
        if not history:  # another installation on the same EHR
            logger.warning("Task %s asks for the review of a case that is not known here", review.task)
            return
        match domain.classify_decision(history, review.digest, review.focus):
            case "later":
                raise TransientError("the review is not in the event stream yet")
            case "already-decided":
                await self._alert_declined(review, task, history)  # may be missing after a crash
            case "stale":
                await self._alert_not_applied(review, history, "stale")
            case "decide":
                await self._require_no_hold()
                await self._apply(review, decision, task, history)

    async def _require_no_hold(self) -> None:
        """Raise TransientError while decisions in the EHR are held: they are retried until an operator allows them."""
        hold = await read_hold(self._bus)
        if hold is not None and hold.held:
            raise TransientError(f"decisions in the EHR are held ({hold.why}): countersign ehr-decisions allow")

    async def _apply(
        self, review: ReviewTaskRef, decision: TaskDecision, task: Resource, history: list[RecordedEvent]
    ) -> None:
        if decision.kind in ("gone", "unclear"):
            await self._alert_not_applied(review, history, decision.kind)
            return
        who = task_decision.signer_of(task, await self._provenances(review.task))
        supervisor = await self._directory.supervisor(history[-1].case.department)
        if who is None:
            await self._alert_not_applied(review, history, "nobody-known")
        elif not domain.may_sign(fold(history), who, (task_decision.owner_of(task), supervisor)):
            await self._alert_not_applied(review, history, "forbidden")
        elif decision.kind == "approve" and not await self._has_seen_draft(history, who, supervisor):
            await self._send_back(review, history, "unopened", UNOPENED)
        else:
            role = "supervisor" if who == supervisor else "physician"
            by = Actor(subject=who, role=role, practitioner=who, method="ehr")
            await self._decide(review, decision, by, history)
            await self._alert_declined(review, task, await self._review.cases.history(review.case_id))

    async def _decide(
        self, review: ReviewTaskRef, decision: TaskDecision, by: Actor, history: list[RecordedEvent]
    ) -> None:
        cause = f"Task/{review.task}/{review.digest}"
        try:
            if decision.kind == "approve":
                await self._review.approve_in_ehr(review.case_id, review.digest, by, cause)
            else:
                await self._review.reject_in_ehr(
                    review.case_id, review.digest, by, cause, decision.action, decision.text
                )
        except DecisionRefusedError as refused:
            if refused.code in ("unresolved", "incomplete"):
                await self._send_back(review, history, refused.code, f"{refused.detail} {OPEN_IT}")
            elif refused.code not in ("decided", "not-open"):  # otherwise another decision came first
                await self._alert_not_applied(review, history, refused.code)

    async def _has_seen_draft(self, history: list[RecordedEvent], who: str, supervisor: str) -> bool:
        """Return whether the signer has seen the draft."""
        if self._draft_shown:
            return True
        return domain.has_opened(fold(history), who, supervisor, await self._log.of_case(history[-1].case.id))

    async def _send_back(self, review: ReviewTaskRef, history: list[RecordedEvent], why: str, words: str) -> None:
        """Reopen the Task with the reason. The alert is raised first, so that a crash cannot suppress it."""
        await self._alert_not_applied(review, history, why)
        await self._tasks.send_back(review.task, words)

    async def _alert_declined(self, review: ReviewTaskRef, task: Resource, history: list[RecordedEvent]) -> None:
        """Alert that a Task was declined: "not me" was perhaps meant, and nobody would write the document."""
        if task.get("status") == "rejected":
            for event in history:
                body = event.body
                if isinstance(body, Rejected) and body.channel == "ehr" and body.draft.digest == review.digest:
                    await self._alert("review-declined", review, history, body.action)

    async def _provenances(self, task: str) -> list[Resource]:
        return await provenances_of(self._ehr, f"Task/{task}")  # none where the EHR does not say who changed what

    async def _alert_not_applied(self, review: ReviewTaskRef, history: list[RecordedEvent], why: str) -> None:
        """Alert that a decision was not applied. The review continues, with its escalations, in our own inbox."""
        logger.warning("case %s: what Task %s says is not taken as a decision: %s", review.case_id, review.task, why)
        await self._alert("ehr-decision-not-taken", review, history, why)

    async def _alert(self, kind: str, review: ReviewTaskRef, history: list[RecordedEvent], why: str) -> None:
        department = history[-1].case.department
        await publish_alert(
            self._bus,
            "warning",
            kind,
            id=f"{review.task}-{why}",
            case=review.case_id,
            department=department,
            task=review.task,
            why=why,
        )
