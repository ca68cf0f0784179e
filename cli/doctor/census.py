"""Check the nightly census: that it runs, that the EHR can be searched for the stays, and what the budget covers."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from urllib.parse import parse_qsl

from nats import errors
from nats.js.errors import APIError

from services.drafter.kinds import load_shipped_kinds
from services.ingest.preparation.nightly_preparation import SearchBudget, stays_to_prepare
from services.ingest.publishers import PendingDischarge
from services.ingest.settings import CensusSettings
from shared.clinical.elements import Resource
from shared.clinical.fhir_client import Capabilities, FhirClient
from shared.contracts.errors import CountersignError
from shared.contracts.subjects import census_timer_subjects
from shared.messaging.connection import NatsConnection
from shared.messaging.event_store import raw_message_of
from shared.messaging.timers import DUE_AT, REFRESHES
from shared.runtime.checks.findings import Group

RUNBOOK = "docs/how-to/prepare-drafts.md"
DEPARTMENTS, TOKENS = "COUNTERSIGN_CENSUS_DEPARTMENTS", "COUNTERSIGN_CENSUS_TOKENS"
PER_STAY, PLANNED = "COUNTERSIGN_CENSUS_TOKENS_PER_STAY", "COUNTERSIGN_CENSUS_PLANNED_WITHIN"
TOLERANCE = timedelta(minutes=15)  # a census retries while the EHR is down


async def check_search(
    group: Group, ehr: FhirClient, server: Capabilities, settings: CensusSettings, now: datetime
) -> None:
    """Search the stays of each department as the census does; nothing is prepared."""
    if not settings.departments:
        return
    assess_budget(group, settings)
    for department, query in settings.departments.items():
        params = dict(parse_qsl(query))
        if not assess_parameters(group, department, params, server):
            continue
        try:
            found = await ehr.search("Encounter", params, fresh=True)
        except CountersignError as failure:
            fix = f"correct its search parameters in {DEPARTMENTS}, or let the EHR's team allow the search"
            group.fault(_name(department), f"the EHR cannot be searched: {failure.reason}", fix)
        else:
            assess_stays(group, department, found, settings, now)


def assess_parameters(group: Group, department: str, params: Mapping[str, str], server: Capabilities) -> bool:
    """Compare search parameters with those that the server states. Returns whether a search makes sense. Pure."""
    if not params:
        fix = f"set search parameters in {DEPARTMENTS}, such as status=in-progress&location=Location/ward-3"
        group.fault(_name(department), "it has no search parameters", fix)
        return False
    names = [name for name in (name.partition(":")[0].partition(".")[0] for name in params) if name[:1] != "_"]
    unknown = [name for name in names if not server.supports_parameter("Encounter", name)] if server.search else []
    if unknown:
        message = (
            f"the EHR does not state that Encounters can be searched by {', '.join(unknown)}: it may return all of them"
        )
        fix = f"use parameters of its CapabilityStatement, or prepare by ADT or REST instead: {RUNBOOK}"
        group.fault(_name(department), message, fix)
    return not unknown


def assess_stays(
    group: Group, department: str, found: Sequence[Resource], settings: CensusSettings, now: datetime
) -> None:
    """Report what the census would prepare of the Encounters that were found. Pure."""
    budget, name = SearchBudget(settings.tokens, settings.tokens_per_stay), _name(department)
    ongoing = stays_to_prepare(found, department, now, budget, None)
    asked = stays_to_prepare(found, department, now, budget, settings.planned_within)
    if not ongoing:
        message = f"of {len(found)} Encounters none is of an inpatient in progress"
        group.warning(name, message, f"check its search parameters in {DEPARTMENTS}, unless the department is empty")
    elif not asked:
        message = f"{len(ongoing)} stays go on, and none of their Encounters plans an end in time: nothing is prepared"
        group.warning(name, message, f"do not set {PLANNED} if the EHR records no planned end (period.end)")
    elif (beyond := _count_without_tokens(asked)) and settings.tokens:
        message = (
            f"{len(asked)} stays would be prepared, {beyond} of them without the model, beyond the budget of tokens"
        )
        group.warning(name, message, f"raise {TOKENS}, or set {PLANNED}")
    else:
        planned = sum(item.expected_at is not None for item in ongoing)
        group.ok(name, f"{len(asked)} stays would be prepared now; {planned} of {len(ongoing)} state a planned end")


def _count_without_tokens(asked: Sequence[PendingDischarge]) -> int:
    return sum(item.tokens == 0 for item in asked)


def assess_budget(group: Group, settings: CensusSettings) -> None:
    """Assess the tokens of a night and of a stay. Pure."""
    least, name = least_tokens(), "census budget"
    if not settings.tokens or not settings.tokens_per_stay:
        group.ok(name, "no tokens: prepared drafts are composed without the model")
    elif settings.tokens_per_stay < least:
        message = f"{settings.tokens_per_stay} tokens a stay are less than any prompt needs: the model is never asked"
        group.warning(name, message, f"raise {PER_STAY} to {least} at least; the facts of a stay need more")
    elif settings.tokens < settings.tokens_per_stay:
        message = f"{settings.tokens} tokens a night are less than one stay is allotted: the model is never asked"
        group.warning(name, message, f"raise {TOKENS}")
    else:
        stays = settings.tokens // settings.tokens_per_stay
        group.ok(name, f"{stays} stays of a department and night are drafted with the model")


def least_tokens() -> int:
    """Return the tokens of the smallest prompt and its longest answer, counted as the drafter does (`writing.py`)."""
    kinds = load_shipped_kinds()
    return min(len(kind.prompt.text) // 2 + kind.prompt.content.max_tokens for kind in kinds.all.values())


async def check_timers(bus: NatsConnection, group: Group, settings: CensusSettings, now: datetime) -> None:
    """Check that ingest has set the timer of each department's census, and that none is overdue."""
    try:
        due = await _timers(bus)
    except (CountersignError, APIError, errors.Error) as error:
        group.fault("census timers", f"NATS cannot be read ({type(error).__name__})", "see the findings about streams")
        return
    assess_timers(group, due, settings, now)


async def _timers(bus: NatsConnection) -> dict[str, datetime]:
    """Return when the next census of each department is due. A fired timer that was not handled counts."""
    found: dict[str, datetime] = {}
    for subject in census_timer_subjects("*"):
        for message in await bus.direct_get(REFRESHES, {"multi_last": [subject], "batch": 1000}):
            raw = raw_message_of(message)
            department, due = raw.subject.rpartition(".")[2], raw.headers.get(DUE_AT)
            if due is not None:
                when = datetime.fromisoformat(due)
                found[department] = min(found.get(department, when), when)
    return found


def assess_timers(group: Group, due: Mapping[str, datetime], settings: CensusSettings, now: datetime) -> None:
    """Compare the timers with the settings. Pure."""
    for department in settings.departments:
        if department not in due:
            fix = f"start ingest with {DEPARTMENTS}"
            group.warning(_name(department), "ingest has set no timer: it does not run", fix)
    for department, when in sorted(due.items()):
        at = f"{when:%Y-%m-%d %H:%M} UTC"
        if now - when > TOLERANCE:
            fix = "check that ingest runs and that the EHR answers; see the alerts `step-failing`"
            group.warning(_name(department), f"it was due at {at} and has not run", fix)
        elif department in settings.departments:
            group.ok(_name(department), f"it runs next at {at}")
        else:
            message = f"ingest runs it next at {at}; its search is not checked, as {DEPARTMENTS} is not set here"
            group.ok(_name(department), message)


def _name(department: str) -> str:
    return f"census of {department}"
