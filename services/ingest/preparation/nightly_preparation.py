"""The nightly census: ask for a prepared draft of each stay of a department, within a budget of tokens."""

import logging
from collections.abc import Iterable, Mapping
from datetime import datetime, time, timedelta
from typing import NamedTuple
from urllib.parse import parse_qsl
from zoneinfo import ZoneInfo

from nats.aio.msg import Msg

from services.ingest.hl7.visits import is_inpatient
from services.ingest.preparation import rules
from services.ingest.publishers import EncounterPublisher, PendingDischarge
from services.ingest.refresh.schedule import next_run
from shared.clinical import elements, fhir_datetime
from shared.clinical.elements import Resource
from shared.clinical.fhir_client import FhirClient
from shared.contracts.subjects import census_timer_subjects, derived_id
from shared.knowledge.knowledge_file import Schedule
from shared.messaging.connection import NatsConnection
from shared.messaging.steps import Clock
from shared.messaging.timers import DUE_AT, REFRESHES, Timers

logger = logging.getLogger(__name__)

SCHEDULE_HEADER = "countersign-schedule"


class SearchBudget(NamedTuple):
    """Tokens that the model may use: for a department and night, and for one stay."""

    night: int
    stay: int


def stays_to_prepare(
    encounters: Iterable[Resource],
    department: str,
    now: datetime,
    budget: SearchBudget,
    planned_within: timedelta | None,
) -> list[PendingDischarge]:
    """Return what to ask for: stays that go on, those with the nearest planned end first. Pure.

    Each is allotted `budget.stay` tokens until `budget.night` is used up. Those that follow get none, and are drafted
    without a model. With `planned_within`, only stays whose Encounter states an end within that time.
    """
    ongoing = {
        str(item["id"]): _planned_end(item, now)
        for item in encounters
        if item.get("resourceType") == "Encounter" and item.get("status") == "in-progress" and is_inpatient(item)
    }
    if planned_within is not None:
        ongoing = {id: end for id, end in ongoing.items() if end is not None and end <= now + planned_within}
    found, left = [], budget.night
    for id, end in sorted(ongoing.items(), key=lambda pair: (pair[1] is None, pair[1] or now, pair[0])):
        tokens = budget.stay if budget.stay <= left else 0
        left -= tokens
        found.append(
            PendingDischarge(
                encounter_id=id,
                department=department,
                expected_at=end,
                trigger="census" if end is None else "planned-date",
                tokens=tokens,
            )
        )
    return found


def _planned_end(encounter: Resource, now: datetime) -> datetime | None:
    """Return the end that an Encounter in progress plans, which is still to come."""
    found = fhir_datetime.parse(elements.child(encounter, "period").get("end"))
    return found.ends if found is not None and found.ends > now else None


class NightlyPreparation:
    """Runs the census of each department at night, by a timer of NATS for each."""

    def __init__(
        self,
        bus: NatsConnection,
        ehr: FhirClient,
        encounters: EncounterPublisher,
        departments: Mapping[str, str],
        at: time,
        zone_of: Mapping[str, ZoneInfo],
        budget: SearchBudget,
        planned_within: timedelta | None,
        clock: Clock,
    ) -> None:
        """`departments` has the search parameters of each department's Encounters, `zone_of` its time zone."""
        self._bus = bus
        self._ehr = ehr
        self._encounters = encounters
        self._departments = departments
        self._schedules = {name: Schedule(at=at, time_zone=zone_of[name].key) for name in departments}
        self._budget = budget
        self._planned_within = planned_within
        self._clock = clock
        self._timers = Timers(bus, REFRESHES)

    async def start(self) -> None:
        """Set a timer for each department without one, or with a changed schedule."""
        for department, schedule in self._schedules.items():
            pending = await self._bus.direct_get(REFRESHES, {"last_by_subj": census_timer_subjects(department)[0]})
            if not pending or dict(pending[0].headers or {}).get(SCHEDULE_HEADER) != str(schedule):
                await self._set(department, schedule)

    async def on_timer(self, message: Msg) -> None:
        """Run the census of one night, and set the next night's timer first: a failed run does not end the chain."""
        department = message.subject.rpartition(".")[2]
        schedule = self._schedules.get(department)
        if schedule is not None:  # else it is not configured any more
            await self._set(department, schedule)
            await self.run(department, (message.headers or {})[DUE_AT])
        await self._timers.purge(message.subject)

    async def run(self, department: str, night: str) -> None:
        """Ask for the drafts of a department. A census that is repeated for the same `night` asks for each stay once.

        Raises TransientError, PermanentError.
        """
        params = dict(parse_qsl(self._departments[department]))
        encounters = await self._ehr.search("Encounter", params, fresh=True)
        asked = stays_to_prepare(encounters, department, self._clock(), self._budget, self._planned_within)
        for report in asked:
            id = derived_id(f"census/{department}/{night}/{report.encounter_id}", rules.PENDING)
            await self._encounters.publish_once(rules.PENDING, report, id)
        without = sum(report.tokens == 0 for report in asked)
        logger.info("census of %s: %d stays, %d of them beyond the budget of tokens", department, len(asked), without)

    async def _set(self, department: str, schedule: Schedule) -> None:
        set_subject, due_subject = census_timer_subjects(department)
        facts = {SCHEDULE_HEADER: str(schedule)}
        await self._timers.set(set_subject, due_subject, next_run(schedule, self._clock()), facts)
