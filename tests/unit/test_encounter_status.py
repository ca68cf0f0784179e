"""What Encounters of R4 and R5 say about a discharge, and which of two reports is the later one."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from services.ingest.domain import DischargeReport, is_later_than, opens_after
from services.ingest.encounters import poll_watermark
from services.ingest.encounters.poll_watermark import PollWatermark
from services.ingest.encounters.status import decide, department_of, state_of
from services.ingest.subscription_state import SubscriptionState, after
from shared.clinical.capabilities import parse_capabilities
from shared.contracts.ehr import EncounterReported

T = datetime(2026, 11, 28, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
IMP = {"system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": "IMP"}
R4 = {"resourceType": "Encounter", "id": "e1", "status": "finished", "class": IMP, "period": {"end": T.isoformat()}}
R5 = {
    "resourceType": "Encounter",
    "id": "e1",
    "status": "discharged",
    "class": [{"coding": [IMP]}],
    "actualPeriod": {"end": T.isoformat()},
}
UPDATED = {"meta": {"versionId": "2", "lastUpdated": (T + 3 * HOUR).isoformat()}}


def report(route: Any, *, occurred: int | None = None, recorded: int | None = None, **more: Any) -> DischargeReport:
    """A report by a route; times are hours after T."""
    times = {"occurred_at": occurred, "recorded_at": recorded}
    known = {name: T + hours * HOUR for name, hours in times.items() if hours is not None}
    return DischargeReport(EncounterReported(encounter_id="e1", department="ward", **known, **more), route)


@pytest.mark.parametrize(
    ("encounter", "discharged"),
    [
        (R4, True),
        (R5, True),
        (R5 | {"status": "completed"}, True),
        (R4 | {"class": {"code": "ACUTE"}}, True),
        (R4 | {"class": {"code": "AMB"}}, False),
        (R4 | {"class": None}, False),
        (R4 | {"period": {"end": "2026-11-28"}}, True),
        (R4 | {"period": {}}, False),
        (R4 | {"period": {"end": "junk"}}, False),
        (R4 | {"status": "in-progress"}, False),
        (R4 | {"status": ["finished"]}, False),
        ({}, False),
    ],
)
def test_which_encounter_says_that_an_inpatient_was_discharged(encounter: dict[str, Any], discharged: bool) -> None:
    assert state_of(encounter).discharged is discharged


@pytest.mark.parametrize(
    ("changed", "reported", "is_open", "decision"),
    [
        ({}, None, False, "discharged"),
        ({"status": "in-progress"}, None, False, None),  # nobody was discharged
        ({"status": "in-progress"}, None, True, "cancelled"),
        ({"status": "onleave"}, report("fhir", occurred=0, recorded=2, finished=True), True, "cancelled"),
        (
            {"status": "in-progress"},
            report("fhir", occurred=0, recorded=4, finished=True),
            True,
            None,
        ),  # an old version
        ({"status": "in-progress"}, report("other", occurred=2), True, "cancelled"),
        ({"status": "in-progress"}, report("other", occurred=4), True, None),
        ({"status": "in-progress"}, report("other"), True, "cancelled"),
        ({"status": "in-progress"}, report("adt", occurred=0, recorded=2, finished=True), True, "cancelled"),
        ({"status": "in-progress"}, report("adt", occurred=0, recorded=2, finished=False), True, None),  # FHIR lags
        ({"status": "in-progress"}, report("adt", occurred=0, recorded=1, finished=False), True, "cancelled"),
        ({"status": "entered-in-error"}, report("adt", recorded=9), False, "cancelled"),
        ({"status": "cancelled"}, None, False, None),
        ({"status": "planned"}, report("other"), True, None),
    ],
)
def test_what_is_reported(
    changed: dict[str, Any], reported: DischargeReport | None, is_open: bool, decision: Any
) -> None:
    if changed.get("status") == "in-progress" and reported and reported.fact.recorded_at == T + HOUR:
        changed = changed | {"meta": {"lastUpdated": (T + 2 * HOUR + timedelta(seconds=1)).isoformat()}}
    state = state_of(R4 | UPDATED | changed)
    assert decide(state, reported=reported, is_open=is_open, since=None) == decision


def test_a_discharge_before_the_hospital_started_is_not_reported() -> None:
    state = state_of(R4)
    assert decide(state, reported=None, is_open=False, since=T) == "discharged"
    assert decide(state, reported=None, is_open=False, since=T + HOUR) is None


@pytest.mark.parametrize(
    ("discharge", "cancellation", "opens", "lasts"),
    [
        (report("adt", occurred=0, recorded=0), report("adt", occurred=1), True, False),  # the feed's own order
        (report("adt", occurred=0, recorded=2), report("fhir", recorded=1), True, True),
        (report("adt", occurred=0, recorded=0), report("fhir", occurred=1, recorded=1), False, False),
        (report("fhir", occurred=0, recorded=2), report("fhir", recorded=1), True, True),
        (report("fhir", occurred=0, recorded=0), report("fhir", recorded=1), False, False),
        (report("fhir", occurred=0, recorded=2), report("adt", occurred=1), False, False),  # FHIR lags
        (report("fhir", occurred=2, recorded=2), report("adt", occurred=1), True, True),
        (report("other", occurred=0), report("adt", occurred=1), False, False),
        (report("other", occurred=2), report("fhir", recorded=1), True, True),
        (report("other"), report("fhir", recorded=1), True, False),  # no time: what was stored last
        (report("other", occurred=0), report("other", occurred=1), True, False),
        (report("other", occurred=2), report("other", occurred=1), True, True),
        (report("fhir", occurred=0, recorded=2), report("other", recorded=1), False, False),
    ],
)
def test_which_of_a_discharge_and_a_cancellation_is_later(
    discharge: DischargeReport, cancellation: DischargeReport, opens: bool, lasts: bool
) -> None:
    assert (opens_after(discharge, cancellation), is_later_than(discharge, cancellation)) == (opens, lasts)


def test_the_department_is_found_by_service_provider_or_location() -> None:
    table = {"card": "cardiology", "ward-3": "surgery", "Kardiologie": "cardiology"}
    assert department_of({"serviceType": {"coding": [{"code": "card"}]}}, table) == "cardiology"
    assert department_of({"serviceType": [{"concept": {"coding": [{"code": "card"}]}}]}, table) == "cardiology"
    assert department_of({"serviceType": {"text": "Kardiologie"}}, table) == "cardiology"
    assert department_of({"serviceProvider": {"reference": "Organization/card"}}, table) == "cardiology"
    moved = [{"location": {"reference": "Location/er"}}, {"location": {"reference": "Location/ward-3"}}]
    assert department_of({"location": moved}, table) == "surgery"
    assert department_of({}, table) is None


def test_the_mark_follows_the_ehr_time_and_remembers_the_overlap() -> None:
    found = [
        {"id": f"e{hours}", "meta": {"versionId": "1", "lastUpdated": (T + timedelta(minutes=minutes)).isoformat()}}
        for hours, minutes in enumerate((0, 55, 60))
    ]
    mark = poll_watermark.advance(PollWatermark(), found, T - HOUR)
    assert (mark.seen, mark.known) == (T + HOUR, ("e1/1", "e2/1"))
    assert poll_watermark.search_start(mark, None, T) == T + timedelta(minutes=50)
    assert poll_watermark.advance(mark, [], T).seen == T + HOUR
    assert poll_watermark.search_start(PollWatermark(), None, T) == T - timedelta(minutes=10)
    assert poll_watermark.search_start(PollWatermark(), T - 9 * HOUR, T) == T - 9 * HOUR
    assert poll_watermark.in_order(found)
    assert not poll_watermark.in_order(found[::-1])
    assert not poll_watermark.in_order([{"id": "e1"}])


def test_only_a_server_that_offers_the_search_is_searched() -> None:
    def statement(*names: str, everywhere: tuple[str, ...] = ()) -> Any:
        encounter = {"type": "Encounter", "searchParam": [{"name": name} for name in names]}
        rest = {"resource": [encounter], "searchParam": [{"name": name} for name in everywhere]}
        return parse_capabilities({"rest": [rest]})

    assert poll_watermark.can_search(statement("_lastUpdated", "status", "class"))
    assert poll_watermark.can_search(statement("status", "class", everywhere=("_lastUpdated",)))
    assert not poll_watermark.can_search(statement("_id", "patient", "identifier"))
    assert poll_watermark.can_search(parse_capabilities({}))


@pytest.mark.parametrize(
    ("last", "events", "named", "numbered", "following"),
    [
        (None, (7,), True, True, (7, None)),
        (7, (8, 9), True, True, (9, None)),
        (7, (10,), True, True, (10, 8)),
        (7, (7,), True, True, (7, None)),  # repeated
        (7, (6,), True, True, (7, None)),  # late
        (7, (7,), False, True, (7, None)),  # a heartbeat: so many so far
        (7, (9,), False, True, (9, 8)),
        (7, (1,), True, True, (1, None)),  # another Subscription of that name
        (7, (10,), True, False, (7, None)),
        (7, (), True, True, (7, None)),
    ],
)
def test_a_gap_in_event_numbers(
    last: int | None, events: tuple[int, ...], named: bool, numbered: bool, following: tuple[int | None, int | None]
) -> None:
    state = after(SubscriptionState(last=last), events, named=named, numbered=numbered, at=T)
    assert (state.last, state.missing) == following
    assert state.received_at == T
