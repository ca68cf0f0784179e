"""Create and update the review Task in the EHR. Where an EHR takes no Tasks, reviews are in our own inbox only."""

import logging
from collections.abc import Callable
from datetime import datetime

from services.approval.domain import DraftOutcome
from services.approval.ehr_tasks.task_decision import cancelled_by_us
from services.approval.escalation.rules import EscalationEnd, EscalationRecord
from services.approval.filing import resources
from services.approval.filing.resources import with_identifier
from shared.clinical.elements import Resource, children
from shared.clinical.fhir_client import FhirClient, NotFoundError, PreconditionFailedError, etag_of, oldest
from shared.contracts.errors import PermanentError, TransientError, as_transient
from shared.contracts.events import Drafted, DraftRef
from shared.contracts.subjects import CaseRef
from shared.messaging.steps import Clock

logger = logging.getLogger(__name__)

UPDATE_TRIES = 3
MAX_IDENTIFIERS = 50  # cancelled discharges of one stay; ends the search if a server keeps returning wrong results
FINAL_STATUSES = ("completed", "cancelled", "rejected", "failed", "entered-in-error")
NOT_STARTED = ("draft", "requested", "received", "accepted", "ready")

Change = Callable[[Resource], Resource | None]  # None: nothing to change


class Devices:
    """Device resources of the drafting model, one for each version of model and prompt."""

    def __init__(self, ehr: FhirClient) -> None:
        self._ehr = ehr
        self._ids: dict[str, str] = {}

    async def id_of(self, draft: DraftRef) -> str:
        """Return the id of the Device, which is created on first use."""
        name = resources.device_name(draft)
        if name not in self._ids:
            identifier = resources.DEVICE_SYSTEM, name
            query = {"identifier": "|".join(identifier)}
            found = with_identifier(await self._ehr.search("Device", query, fresh=True), identifier)
            if not found:
                found = [(await self._ehr.create(resources.device(draft), if_none_exist=query)).resource]
            self._ids[name] = str(oldest(found)["id"])
        return self._ids[name]


class ReviewTasks:
    def __init__(self, ehr: FhirClient, devices: Devices, clock: Clock, public_url: str) -> None:
        self._ehr = ehr
        self._devices = devices
        self._clock = clock
        self._public_url = public_url.rstrip("/")

    async def request(self, case: CaseRef, drafted: Drafted, due: datetime, owner: str | None) -> str | None:
        """Create the review Task for `owner` and return its id; idempotent. None where the EHR takes no Tasks."""
        link = self.link(case)
        try:
            device = await self._devices.id_of(drafted.draft)
            wanted = resources.task(case, drafted.stay, drafted.draft, device, self._clock(), due, link, owner)
            for again in range(MAX_IDENTIFIERS):
                identifier = resources.review_identifier(case, drafted.draft, again)
                found = await self._ehr.create(
                    wanted | {"identifier": resources.identified(identifier)},
                    if_none_exist={"identifier": "|".join(identifier)},
                )
                if not cancelled_by_us(found.resource):
                    return str(found.resource["id"])
        except PermanentError as error:
            logger.warning("the EHR takes no review Task, our inbox serves alone: %s", error.reason)
        return None

    async def mark_in_progress(self, task: str | None) -> None:
        """Set the Task to in-progress; a Task in a later state stays as it is."""
        await self._change(
            task, lambda found: resources.begun(found, self._clock()) if found.get("status") in NOT_STARTED else None
        )

    async def send_back(self, task: str, words: str) -> None:
        """Set a Task that was completed too early to waiting again, with the reason.

        In an EHR that does not change ended Tasks, the review continues in our own inbox.
        """

        def change(found: Resource) -> Resource | None:
            return resources.sent_back(found, words, self._clock()) if found.get("status") == "completed" else None

        try:
            await self._change(task, change, ended=True)
        except PreconditionFailedError:
            raise TransientError("the Task changed too often") from None
        except PermanentError as error:
            logger.warning("the EHR does not take a Task back to its inbox: %s", error.reason)

    def link(self, case: CaseRef) -> str:
        """Return the address of the review page; empty where the public address is not configured."""
        return f"{self._public_url}/reviews/{case.id}" if self._public_url else ""

    async def escalate(self, escalation: EscalationRecord, supervisor: str) -> None:
        """Create a Task for the supervisor and for each deputy; idempotent."""
        if escalation.review.task is None:
            return  # this EHR takes no Task
        case = escalation.event.case
        try:
            parent = await self._ehr.read("Task", escalation.review.task)
            for number, who in enumerate((supervisor, *escalation.deputies)):
                identifier = resources.escalation_identifier(case, escalation.clock, escalation.level, number)
                wanted = resources.escalation(
                    parent, identifier, resources.person(who), escalation.level, self._clock(), self.link(case)
                )
                await self._ehr.create(wanted, if_none_exist={"identifier": "|".join(identifier)})
        except PermanentError as error:
            logger.warning("the EHR takes no Task about an escalation: %s", error.reason)

    async def end_escalation(self, escalation: EscalationRecord, end: EscalationEnd) -> None:
        """End the Tasks of an escalation."""
        if escalation.review.task is None:
            return

        def change(found: Resource) -> Resource:
            now = self._clock()
            if end.done:
                return resources.completed(found, end.outcome, now)
            return resources.cancelled(found, now, end.outcome)

        with as_transient():
            for number in range(1 + len(escalation.deputies)):
                identifier = resources.escalation_identifier(
                    escalation.event.case, escalation.clock, escalation.level, number
                )
                for found in await self._with(identifier):
                    await self._change(str(found["id"]), change)

    async def complete(
        self, case: CaseRef, draft: DraftRef, task: str | None, outcome: DraftOutcome, document: str | None = None
    ) -> None:
        """Complete the Tasks of `draft` after the decision about it.

        `task` is the id of its Task in the event stream. A Task whose create was answered too late, or never, is found
        by its identifier.
        """
        if task is None:
            return  # this EHR takes no Task

        with as_transient():
            await self._change(task, lambda found: self._completed(found, outcome, document))
        await self.end(case, draft, outcome, document)

    async def end(
        self,
        case: CaseRef,
        draft: DraftRef,
        outcome: DraftOutcome | None,
        document: str | None = None,
        why: str = resources.DISCHARGE_CANCELLED,
    ) -> bool:
        """End the Tasks of `draft`, and return whether there are any: completed with `outcome`; None: cancelled.

        `why` is the code of a cancelled one. Includes Tasks whose ids never reached the event stream.
        """

        def change(found: Resource) -> Resource:
            if outcome is None:
                return resources.cancelled(found, self._clock(), why)
            return self._completed(found, outcome, document)

        with as_transient():
            tasks = await self._of_review(case, draft)
            for found in tasks:
                if found.get("status") not in FINAL_STATUSES:
                    await self._change(str(found["id"]), change)
        return bool(tasks)

    async def end_all(self, case: CaseRef, encounter: str, outcome: DraftOutcome, document: str | None = None) -> None:
        """End every Task of ours for this case that the EHR finds by encounter, also of unknown drafts and clocks."""
        with as_transient():
            for found in await self._search({"encounter": encounter}):
                if is_of(case, found) and found.get("status") not in FINAL_STATUSES:
                    await self._change(str(found["id"]), lambda task: self._completed(task, outcome, document))

    def _completed(self, found: Resource, outcome: DraftOutcome, document: str | None) -> Resource:
        return resources.completed(found, outcome.code, self._clock(), document, outcome.event)

    async def reassign(self, task: str | None, owner: str, due: datetime | None = None) -> None:
        """Assign the Task to another owner; with `due`, also with another deadline."""
        reference = resources.person(owner)
        with as_transient():
            await self._change(task, lambda found: resources.owned_by(found, reference, self._clock(), due))

    async def _of_review(self, case: CaseRef, draft: DraftRef) -> list[Resource]:
        """Return every Task of the review of this draft, also of cancelled discharges."""
        found: list[Resource] = []
        for again in range(MAX_IDENTIFIERS):
            tasks = await self._with(resources.review_identifier(case, draft, again))
            found += tasks
            if not tasks:
                break
        return found

    async def _with(self, identifier: tuple[str, str]) -> list[Resource]:
        """Return the Tasks with the identifier; empty if the EHR cannot search by it."""
        return with_identifier(await self._search({"identifier": "|".join(identifier)}), identifier)

    async def _search(self, query: dict[str, str]) -> list[Resource]:
        try:
            return await self._ehr.search("Task", query, fresh=True)
        except PermanentError as error:
            logger.warning("the EHR does not find Tasks by their %s: %s", "".join(query), error.reason)
            return []

    async def _change(self, task: str | None, change: Change, *, ended: bool = False) -> None:
        """Update the Task of a review; with `ended`, also a completed or cancelled one."""
        if task is None:
            return
        for attempt in range(1, UPDATE_TRIES + 1):
            try:
                found = await self._ehr.read("Task", task)
            except NotFoundError:
                return  # deleted in the EHR: it is in no inbox
            if found.get("status") in FINAL_STATUSES and not ended:
                return
            changed = change(found)
            if changed is None:
                return
            try:
                await self._ehr.update(changed, if_match=etag_of(found))
                return
            except PreconditionFailedError:
                if attempt == UPDATE_TRIES:
                    raise


def is_of(case: CaseRef, task: Resource) -> bool:
    """Return whether one of our identifiers is of the case."""
    systems = (resources.REVIEW_SYSTEM, resources.ESCALATION_SYSTEM)
    return any(
        item.get("system") in systems and str(item.get("value", "")).partition("/")[0] == case.id
        for item in children(task, "identifier")
    )
