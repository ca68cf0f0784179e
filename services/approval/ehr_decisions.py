"""Decisions taken in the EHR's own inbox: the Task has changed, it is read afresh, and what it says is decided."""

import logging

from nats.aio.msg import Msg

from services.approval import domain, ehr_word
from services.approval.desk import Desk
from services.approval.directory import Directory
from services.approval.ehr_word import Asked, Word
from services.approval.hold import read_hold
from services.approval.provenances import provenances_of
from services.approval.refusal import Refused
from services.approval.resources import Resource
from services.approval.tasks import Tasks
from shared.clinical.fhir_client import FhirClient, NotFoundError
from shared.contracts.case import fold
from shared.contracts.ehr import parse_task_changed
from shared.contracts.envelope import RecordedEvent
from shared.contracts.errors import PermanentError, TransientError
from shared.contracts.events import Actor, Rejected
from shared.messaging.access_log import AccessLog
from shared.messaging.connection import Bus
from shared.messaging.deadletter import alert
from shared.messaging.steps import Steps

logger = logging.getLogger(__name__)

OPEN_IT = "Open the draft in Countersign to do so."
UNOPENED = "Not signed: the draft has not been opened. Open it in Countersign, then countersign it there or here."


class EhrDecisions:
    """However it was heard that a Task has changed, and however often: one decision, or none and a person is told."""

    def __init__(
        self,
        steps: Steps,
        ehr: FhirClient,
        desk: Desk,
        directory: Directory,
        tasks: Tasks,
        log: AccessLog,
        *,
        draft_shown: bool,
    ) -> None:
        """`draft_shown`: the EHR itself shows the draft beside the Task, so that nobody has to open our page."""
        self._ehr = ehr
        self._desk = desk
        self._directory = directory
        self._tasks = tasks
        self._log = log
        self._draft_shown = draft_shown
        steps.effect("approval-ehr-task", self.on_task)

    def attach(self, bus: Bus) -> None:
        self._bus = bus

    async def on_task(self, message: Msg) -> None:
        """A Task has changed."""
        fact = parse_task_changed(message.subject, message.data)
        try:
            task = await self._ehr.read("Task", fact.task_id)
        except NotFoundError:
            return  # deleted: nothing was decided, and the review goes on in our own inbox
        except PermanentError as error:  # what a physician decided is not given up for it
            raise TransientError(error.reason) from None
        asked, word = ehr_word.asked_by(task), ehr_word.word_of(task)
        if asked is None or word is None:
            return
        history = await self._desk.history(asked.case_id)
        if not history:  # another installation on the same EHR
            logger.warning("Task %s asks for the review of a case that is not known here", asked.task)
            return
        match domain.heard(history, asked.digest, asked.focus):
            case "later":
                raise TransientError("the review is not on the trail yet")
            case "settled":
                await self._tell_declined(asked, task, history)  # or the process died between deciding and telling
            case "stale":
                await self._not_taken(asked, history, "stale")
            case "decide":
                await self._may_count()
                await self._hear(asked, word, task, history)

    async def _may_count(self) -> None:
        """What is decided in the EHR waits while a person has not said that it counts. Raises TransientError."""
        hold = await read_hold(self._bus)
        if hold is not None and hold.held:
            raise TransientError(f"decisions in the EHR are held ({hold.why}): countersign ehr-decisions allow")

    async def _hear(self, asked: Asked, word: Word, task: Resource, history: list[RecordedEvent]) -> None:
        if word.kind in ("gone", "unclear"):
            await self._not_taken(asked, history, word.kind)
            return
        who = ehr_word.signer_of(task, await self._provenances(asked.task))
        supervisor = await self._directory.supervisor(history[-1].case.department)
        if who is None:
            await self._not_taken(asked, history, "nobody-known")
        elif not domain.may_sign(fold(history), who, (ehr_word.owner_of(task), supervisor)):
            await self._not_taken(asked, history, "forbidden")
        elif word.kind == "approve" and not await self._opened(history, who, supervisor):
            await self._send_back(asked, history, "unopened", UNOPENED)
        else:
            role = "supervisor" if who == supervisor else "physician"
            by = Actor(subject=who, role=role, practitioner=who, method="ehr")
            await self._decide(asked, word, by, history)
            await self._tell_declined(asked, task, await self._desk.history(asked.case_id))

    async def _decide(self, asked: Asked, word: Word, by: Actor, history: list[RecordedEvent]) -> None:
        cause = f"Task/{asked.task}/{asked.digest}"
        try:
            if word.kind == "approve":
                await self._desk.approve_in_ehr(asked.case_id, asked.digest, by, cause)
            else:
                await self._desk.reject_in_ehr(asked.case_id, asked.digest, by, cause, word.action, word.text)
        except Refused as refused:
            if refused.why in ("unresolved", "incomplete"):
                await self._send_back(asked, history, refused.why, f"{refused.detail} {OPEN_IT}")
            elif refused.why not in ("decided", "not-open"):  # somebody else was faster
                await self._not_taken(asked, history, refused.why)

    async def _opened(self, history: list[RecordedEvent], who: str, supervisor: str) -> bool:
        """Whether the signer has seen what they sign."""
        if self._draft_shown:
            return True
        return domain.has_opened(fold(history), who, supervisor, await self._log.of_case(history[-1].case.id))

    async def _send_back(self, asked: Asked, history: list[RecordedEvent], why: str, words: str) -> None:
        """The Task waits again, and says what for; the alert comes first, so that no crash keeps it back."""
        await self._not_taken(asked, history, why)
        await self._tasks.send_back(asked.task, words)

    async def _tell_declined(self, asked: Asked, task: Resource, history: list[RecordedEvent]) -> None:
        """Whoever declines a Task may only mean "not me": a person looks after the letter that nobody writes here."""
        if task.get("status") == "rejected":
            for event in history:
                body = event.body
                if isinstance(body, Rejected) and body.channel == "ehr" and body.draft.digest == asked.digest:
                    await self._tell("review-declined", asked, history, body.action)

    async def _provenances(self, task: str) -> list[Resource]:
        return await provenances_of(self._ehr, f"Task/{task}")  # none where the EHR does not say who changed what

    async def _not_taken(self, asked: Asked, history: list[RecordedEvent], why: str) -> None:
        """The review goes on, with its escalations, in our own inbox."""
        logger.warning("case %s: what Task %s says is not taken as a decision: %s", asked.case_id, asked.task, why)
        await self._tell("ehr-decision-not-taken", asked, history, why)

    async def _tell(self, kind: str, asked: Asked, history: list[RecordedEvent], why: str) -> None:
        department = history[-1].case.department
        await alert(
            self._bus,
            "warning",
            kind,
            id=f"{asked.task}-{why}",
            case=asked.case_id,
            department=department,
            task=asked.task,
            why=why,
        )
