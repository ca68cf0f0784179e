"""In which list a prescription stands, by all that the record says of it; what it leaves open is asked."""

from typing import Any

import pytest

from services.drafter.record import build_context
from shared.contracts.context import EncounterContext
from tests.unit.test_record import ENC, order, record

DAY_STAY = {"period": {"start": "2026-06-03T07:00:00Z", "end": "2026-06-03T17:00:00Z"}}
NIGHT_STAY = {"period": {"start": "2026-06-03T18:00:00Z", "end": "2026-06-04T10:00:00Z"}}
LATE = "2026-06-04T09:00:00Z"
SUPPLY = {"dispenseRequest": {"expectedSupplyDuration": {"value": 7, "code": "d"}}}
ELSEWHERE: dict[str, Any] = {"encounter": {"reference": "Encounter/clinic"}}
NOWHERE: dict[str, Any] = {"encounter": None}


def context(*orders: dict[str, Any], stay: dict[str, Any] | None = None, **more: Any) -> EncounterContext:
    return build_context(record({"MedicationRequest": list(orders)} | more, **(stay or {})))


def lists(found: EncounterContext) -> dict[str, list[str]]:
    kinds = ("home", "hospital", "discharge", "other")
    named = {kind: [item.name for item in getattr(found, f"{kind}_medicines")] for kind in kinds}
    return {kind: names for kind, names in named.items() if names}


def asked(found: EncounterContext) -> str:
    return "\n".join(point.text for point in found.open_points)


def without_category(**more: Any) -> dict[str, Any]:
    return order("m", "Apixaban", "") | {"category": None} | more


@pytest.mark.parametrize(
    ("stay", "authored"),
    [
        (NIGHT_STAY, "2026-06-04T09:00:00Z"),
        (NIGHT_STAY, "2026-06-03T20:00:00Z"),
        (NIGHT_STAY, "2026-06-04"),
        (DAY_STAY, "2026-06-03T14:00:00Z"),
        ({}, LATE),
    ],
)
@pytest.mark.parametrize("category", ["community", "outpatient", "discharge"])
@pytest.mark.parametrize("named", [{}, NOWHERE])
def test_what_a_stay_prescribes_is_to_be_taken_from_now_on(
    stay: dict[str, Any], authored: str, category: str, named: dict[str, Any]
) -> None:
    prescribed = order("m", "Apixaban", category, authoredOn=authored, **named)
    assert lists(context(prescribed, stay=stay)) == {"discharge": ["Apixaban"]}


@pytest.mark.parametrize("more", [{"reportedBoolean": True}, {"reportedBoolean": True, "intent": "plan"}])
def test_what_is_reported_in_a_short_stay_was_taken_before(more: dict[str, Any]) -> None:
    reported = order("m", "Apixaban", "community", authoredOn="2026-06-03T20:00:00Z", **more)
    assert lists(context(reported, stay=NIGHT_STAY)) == {"home": ["Apixaban"]}


def test_an_order_that_began_before_the_admission_was_taken_before() -> None:
    dosage = [{"timing": {"repeat": {"boundsPeriod": {"start": "2024-01-01"}}}}]
    found = order("m", "Apixaban", "community", authoredOn="2026-06-03T20:00:00Z", dosageInstruction=dosage)
    assert lists(context(found, stay=NIGHT_STAY)) == {"home": ["Apixaban"]}


@pytest.mark.parametrize("category", ["community", "discharge"])
@pytest.mark.parametrize("named", [NOWHERE, ELSEWHERE])
def test_an_order_of_the_evening_after_the_discharge_is_left_out_and_named(
    category: str, named: dict[str, Any]
) -> None:
    found = context(order("m", "Apixaban", category, authoredOn="2026-06-04T19:00:00Z", **named))
    assert lists(found) == {}
    assert "Apixaban, from after the discharge" in asked(found)
    own = context(order("m", "Apixaban", category, authoredOn="2026-06-04T19:00:00Z"))
    assert lists(own) == {"discharge": ["Apixaban"]}


def test_an_order_for_a_discharge_without_stay_and_day_is_asked_about() -> None:
    found = context(order("m", "Apixaban", "discharge", authoredOn=None, **NOWHERE))
    assert lists(found) == {}
    assert "Apixaban, for a discharge, the record does not say of which stay" in asked(found)


def test_what_another_stay_prescribed_for_home_was_taken_at_home() -> None:
    found = context(order("m", "Apixaban", "discharge", authoredOn="2026-05-01", **ELSEWHERE))
    assert lists(found) == {"home": ["Apixaban"]}


@pytest.mark.parametrize(
    ("category", "kind"),
    [
        ("Discharge medication", "discharge"),
        ("TTO", "discharge"),
        ("Entlassmedikation", "discharge"),
        ("Ontslagmedicatie", "discharge"),
        ("Home medication", "home"),
        ("Hausmedikation", "home"),
        ("Prior to admission", "home"),
        ("Ward order", "hospital"),
        ("stationär", "hospital"),
        ("Klinisch", "hospital"),
    ],
)
def test_a_category_in_words_counts(category: str, kind: str) -> None:
    found = without_category(category=[{"text": category}], authoredOn="2026-06-04T08:00:00Z")
    assert lists(context(found)) == {kind: ["Apixaban"]}


def test_what_was_given_on_the_ward_by_an_order_is_no_prescription() -> None:
    given = {
        "resourceType": "MedicationAdministration",
        "id": "g",
        "status": "completed",
        "context": ENC,
        "medicationCodeableConcept": {"text": "Apixaban"},
        "effectiveDateTime": "2026-06-04T08:00:00Z",
        "request": {"reference": "MedicationRequest/m"},
    }
    found = context(without_category(authoredOn="2026-06-04T07:00:00Z"), MedicationAdministration=[given])
    assert lists(found) == {"hospital": ["Apixaban"]}


@pytest.mark.parametrize(
    "more",
    [SUPPLY, {"dosageInstruction": [{"timing": {"repeat": {"boundsPeriod": {"start": "2026-06-05"}}}}]}],
)
def test_a_supply_or_a_beginning_after_the_discharge_makes_an_order_a_prescription(more: dict[str, Any]) -> None:
    found = context(without_category(authoredOn="2026-06-02T07:00:00Z", **more))
    assert lists(found) == {"discharge": ["Apixaban"]}
    assert "the order does not say" not in asked(found)


@pytest.mark.parametrize(
    ("stay", "authored", "more", "kind"),
    [
        ({}, LATE, {}, "discharge"),
        ({}, LATE, {"dosageInstruction": [{"text": "2 g", "route": {"text": "Intravenous"}}]}, "hospital"),
        (NIGHT_STAY, LATE, {}, "discharge"),
        (NIGHT_STAY, "2026-06-03T19:00:00Z", {}, "hospital"),
    ],
)
def test_what_only_the_time_tells_is_asked(
    stay: dict[str, Any], authored: str, more: dict[str, Any], kind: str
) -> None:
    found = context(without_category(authoredOn=authored, **more), stay=stay)
    assert lists(found) == {kind: ["Apixaban"]}
    assert "Apixaban: the order does not say whether it is for the ward or for the time after" in asked(found)


def test_a_long_term_order_of_the_last_day_is_for_home() -> None:
    long_term = {"courseOfTherapyType": {"coding": [{"code": "continuous"}]}}
    found = context(without_category(authoredOn=LATE, **long_term))
    assert lists(found) == {"discharge": ["Apixaban"]}
    assert "the order does not say" not in asked(found)


def test_a_prescription_of_the_middle_of_a_stay_is_asked_about() -> None:
    found = context(order("m", "Apixaban", "community", authoredOn="2026-06-02T12:00:00Z"))
    assert lists(found) == {"home": ["Apixaban"]}
    assert "whether it was taken before the admission or is to be taken from now on" in asked(found)


def test_what_another_encounter_prescribed_during_the_stay_is_asked_about() -> None:
    found = context(order("m", "Apixaban", "community", authoredOn=LATE, **ELSEWHERE))
    assert lists(found) == {"home": ["Apixaban"]}
    assert "whether it was taken before the admission or is to be taken from now on" in asked(found)
    found = context(order("m", "Apixaban", "discharge", authoredOn=LATE, **ELSEWHERE))
    assert lists(found) == {}
    assert "Apixaban, of another encounter" in asked(found)
