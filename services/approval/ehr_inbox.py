"""Decisions that are taken in the EHR's own inbox: a review Task that somebody completed or rejected there.

They come by a subscription's event, and, where the EHR cannot notify, by one search for all Tasks every few minutes.
Both end at the desk, which appends one decision by compare-and-set; our own changes to a Task come after the decision
and find the case decided.
"""

import asyncio
import logging
from datetime import UTC, datetime, timedelta
from typing import Literal

from nats.aio.msg import Msg

from services.approval import domain, resources
from services.approval.desk import Desk
from services.approval.resources import Resource
from services.approval.tasks import Tasks
from shared.clinical.fhir import FhirClient, NotFoundError
from shared.contracts.case import fold
from shared.contracts.failures import Failure, PermanentError
from shared.contracts.subjects import parse_task_subject
from shared.messaging.connection import Bus
from shared.messaging.deadletter import alert
from shared.messaging.steps import Clock, Steps
from shared.messaging.timers import Timers
from shared.runtime.access import Caller

logger = logging.getLogger(__name__)

TIMER = "timers.reconcile.ehr"
DUE = "timers.due.reconcile.ehr"
SINCE = "countersign-since"
OVERLAP = timedelta(minutes=10)  # clocks differ, and a search index may be behind
FIRST_LOOK = timedelta(days=30)
SEARCHED = "completed,rejected"
REMEMBERED = 20_000  # Tasks that are known to be in progress


def decision_of(task: Resource) -> Literal["approve", "close"] | None:
    """What a Task says that somebody else completed or rejected; None where it says nothing yet. Pure.

    `rejected` is the performer declining: the physician will not sign this draft. `completed` signs the draft as it is,
    unless the outcome says that it was refused. https://hl7.org/fhir/R4/valueset-task-status.html
    """
    status = task.get("status")
    if status == "rejected":
        return "close"
    if status != "completed":
        return None
    said = str(task.get("businessStatus", "")) + str(task.get("output", ""))
    return "close" if any(word in said.lower() for word in ("reject", "refus", "declin")) else "approve"


def case_in(task: Resource) -> tuple[str, int] | None:
    """Case id and draft number of one of our review Tasks. Pure."""
    for identifier in task.get("identifier") or []:
        if identifier.get("system") == resources.REVIEW_SYSTEM:
            case, _, number = str(identifier.get("value", "")).partition("/")
            if number.isdigit() and case.replace("-", "").isalnum():
                return case, int(number)
    return None


class Opened:
    """Tells the EHR that a physician is at a review. Nobody waits for it: what gets lost, the next look brings."""

    def __init__(self, tasks: Tasks) -> None:
        self._tasks = tasks
        self._told: set[str] = set()
        self._running: set[asyncio.Task[None]] = set()

    def __call__(self, task: str | None) -> None:
        if task is None or task in self._told:
            return
        running = asyncio.create_task(self._tell(task))
        self._running.add(running)
        running.add_done_callback(self._running.discard)

    async def _tell(self, task: str) -> None:
        try:
            await self._tasks.opened(task)
        except Failure as failure:
            logger.info("a review Task was not set in progress: %s", failure.reason)
            return
        if len(self._told) >= REMEMBERED:
            self._told.clear()
        self._told.add(task)


class EhrInbox:
    def __init__(self, steps: Steps, ehr: FhirClient, desk: Desk, clock: Clock, every: timedelta) -> None:
        self._ehr = ehr
        self._desk = desk
        self._clock = clock
        self._every = every
        steps.effect("approval-ehr-task", self.on_task)
        steps.effect("approval-reconcile", self.on_timer)

    async def attach(self, bus: Bus) -> None:
        self._bus = bus
        self._timers = Timers(bus)
        # One chain of timers, whatever the number of processes: its next link waits, or has fired and is delivered.
        for subject in (TIMER, DUE):
            if await bus.direct_get("TIMERS", {"last_by_subj": subject}):
                return
        await self._wait(self._clock() - FIRST_LOOK)

    async def on_task(self, message: Msg) -> None:
        """The EHR says that a Task has changed: what it says by now is what counts."""
        try:
            task = await self._ehr.read("Task", parse_task_subject(message.subject))
        except NotFoundError:
            return  # not ours, or not there any more
        await self.take(task)

    async def on_timer(self, message: Msg) -> None:
        """Every review Task that was decided since the last look, in one search; then the next timer."""
        begun = self._clock()
        since = datetime.fromisoformat((message.headers or {})[SINCE])
        query = {"status": SEARCHED, "_lastUpdated": f"ge{resources.instant(since - OVERLAP)}"}
        try:
            found = await self._ehr.search("Task", query | {"identifier": f"{resources.REVIEW_SYSTEM}|"})
        except PermanentError as error:
            logger.warning("the EHR does not show its Tasks: %s", error.reason)
            found = []
        for task in found:
            await self.take(task)
        await self._wait(begun)
        await self._timers.purge(DUE, up_to=message.metadata.sequence.stream)

    async def _wait(self, since: datetime) -> None:
        await self._timers.set(TIMER, DUE, self._clock() + self._every, {SINCE: since.astimezone(UTC).isoformat()})

    async def take(self, task: Resource) -> None:
        """Decide as the Task says, where it is about the draft that is under review. Raises TransientError."""
        found, decision = case_in(task), decision_of(task)
        if found is None or decision is None:
            return
        case = fold(await self._desk.history(found[0]))
        if not case.open or case.review is None or case.review.draft.number != found[1]:
            return  # decided already, by us or before; or about an earlier draft
        owner = str((task.get("owner") or {}).get("reference") or case.owner or "")
        by = Caller(subject=f"ehr:{owner or 'unknown'}", role="physician", practitioner=owner or None, method="ehr")
        try:
            if decision == "approve":
                await self._desk.approve(found[0], case.review.draft.digest, by, None)
            else:
                words = str((task.get("statusReason") or {}).get("text") or "Declined in the EHR.")
                await self._desk.reject(found[0], case.review.draft.digest, by, "close", words)
        except domain.Refused as refused:
            if refused.why not in ("decided", "not-open", "stale"):
                id = f"{task['id']}/{task.get('meta', {}).get('versionId', '')}"
                await alert(self._bus, "warning", "ehr-decision-refused", id=id, case=found[0], reason=refused.why)
