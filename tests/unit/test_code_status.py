"""A code status is about resuscitation and limits of treatment; the latest holds; contradictions are pointed out."""

from typing import Any

import pytest

from services.drafter.record import build_context
from services.drafter.record.code_status import is_code_status
from shared.contracts.context import EncounterContext
from tests.unit.test_record import ENC, record


@pytest.mark.parametrize(
    "name",
    [
        "Fluid resuscitation",
        "Resuscitation fluids",
        "IV fluid resuscitation 30 mL/kg",
        "Volume resuscitation",
        "Volumenreanimation",
        "Resuscitation with crystalloids",
        "Neonatal resuscitation",
        "Resuscitation of newborn",
        "Post-resuscitation care",
        "Zustand nach Reanimation",
        "Endotracheal intubation",
        "Vochtresuscitatie",
        "Flüssigkeitsreanimation",
        "Sepsis resuscitation bundle",
        "Albumin resuscitation",
        "Resuscitation room",
        "CPR performed",
    ],
)
def test_what_stabilizes_somebody_is_no_code_status(name: str) -> None:
    assert not is_code_status({"code": {"text": name}})


@pytest.mark.parametrize(
    "name",
    [
        "DNR", "DNAR", "DNACPR decision", "DNR/DNI", "DNI", "Do not intubate", "No intubation", "Full code",
        "Code status",
        "Not for resus", "Not for CPR", "No CPR", "Comfort measures only", "Resuscitation status", "Keine Reanimation",
        "Therapiebegrenzung", "Niet reanimeren", "Behandelbeperking", "Ne pas réanimer", "Limitation of treatment",
        "Ceiling of care: ward", "Allow natural death", "DNR, fluids permitted",
    ],
)  # fmt: skip
def test_limits_of_treatment_are_a_code_status(name: str) -> None:
    assert is_code_status({"code": {"text": name}})


def test_a_category_or_a_prohibition_makes_a_code_status() -> None:
    assert is_code_status({"code": {"text": "Ward care only"}, "category": [{"text": "Code status"}]})
    assert is_code_status({"code": {"text": "Intubation"}, "doNotPerform": True})


def order(id: str, name: str, day: str | None, **more: Any) -> dict[str, Any]:
    made = {
        "resourceType": "ServiceRequest",
        "id": id,
        "status": "active",
        "intent": "order",
        "encounter": ENC,
        "code": {"text": name},
    }
    return (made | {"authoredOn": day} if day else made) | more


def observed(id: str, value: str, time: str, name: str = "Resuscitation status") -> dict[str, Any]:
    return {
        "resourceType": "Observation",
        "id": id,
        "status": "final",
        "encounter": ENC,
        "code": {"text": name},
        "effectiveDateTime": time,
        "valueCodeableConcept": {"text": value},
    }


def consent(id: str, kind: str, day: str, act: str = "Kardiopulmonale Reanimation") -> dict[str, Any]:
    return {
        "resourceType": "Consent",
        "id": id,
        "status": "active",
        "scope": {"coding": [{"code": "treatment"}]},
        "dateTime": day,
        "provision": {"type": kind, "code": [{"text": act}]},
    }


def flag(name: str, day: str) -> dict[str, Any]:
    return {"resourceType": "Flag", "id": "f", "status": "active", "code": {"text": name}, "period": {"start": day}}


def drafted(*entries: dict[str, Any]) -> EncounterContext:
    sorted_in: dict[str, list[dict[str, Any]]] = {}
    for item in entries:
        sorted_in.setdefault(item["resourceType"], []).append(item)
    return build_context(record(sorted_in))


@pytest.mark.parametrize(
    ("earlier", "later", "told"),
    [
        (order("a", "Full code", "2026-06-01"), order("b", "DNR/DNI", "2026-06-03"), "DNR/DNI"),
        (order("a", "DNR", "2026-06-01"), order("b", "Full code", "2026-06-03"), "Full code"),
        (
            observed("a", "Full code", "2026-06-01T09:00:00Z"),
            observed("b", "DNAR", "2026-06-01T15:00:00Z"),
            "Resuscitation status: DNAR",
        ),
        (
            observed("a", "Category A", "2026-06-01T09:00:00Z"),
            observed("b", "Category C", "2026-06-03T15:00:00Z"),
            "Resuscitation status: Category C",
        ),
        (
            consent("a", "permit", "2026-06-01"),
            consent("b", "deny", "2026-06-02"),
            "Kardiopulmonale Reanimation: not to be done",
        ),
        (flag("Full code", "2026-06-01"), order("b", "Comfort measures only", "2026-06-03"), "Comfort measures only"),
        (order("a", "Full code", "2026-06-01"), order("b", "Modified code", "2026-06-03"), "Modified code"),
        (
            order("a", "Code status: DNAR", "2026-06-01"),
            order("b", "For resuscitation", "2026-06-03"),
            "For resuscitation",
        ),
    ],
)
def test_the_latest_code_status_holds(earlier: dict[str, Any], later: dict[str, Any], told: str) -> None:
    for found in (drafted(earlier, later), drafted(later, earlier)):
        assert [item.text for item in found.directives] == [told]
        assert any("superseded by" in line and told in line for line in found.left_out)
        assert not found.doubts


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (order("a", "Full code", "2026-06-03"), order("b", "DNR", "2026-06-03")),
        (order("a", "Full code", None, encounter=ENC), flag("DNR", "2026-06-03")),
        (observed("a", "Full code", "2026-06-03T09:00:00Z"), observed("b", "DNR", "2026-06-03")),
        (order("a", "Full code", "2026-06-01"), order("b", "DNR", "2026-06-03", status="completed")),
        (order("a", "DNR/DNI", "2026-06-01"), order("b", "For CPR", "2026-06-03")),
    ],
)
def test_where_the_record_does_not_say_which_holds_both_are_told(one: dict[str, Any], other: dict[str, Any]) -> None:
    found = drafted(one, other)
    assert len(found.directives) == 2
    assert all("(the record contradicts itself: confirm)" in item.text for item in found.directives)
    assert sum("confirm which holds" in point.text for point in found.open_points) == 1


@pytest.mark.parametrize(
    "entries",
    [
        (order("a", "DNR", "2026-06-01"), order("b", "Do not intubate", "2026-06-03")),
        (order("a", "DNR", "2026-06-01"), observed("b", "DNAR", "2026-06-03")),
        (order("a", "For CPR", "2026-06-03"), order("b", "Do not intubate", "2026-06-03")),
        (consent("a", "deny", "2026-06-01"), consent("b", "permit", "2026-06-02", "Antibiotics")),
        (order("a", "DNR", "2026-06-01"), flag("Fall risk", "2026-06-03")),
    ],
)
def test_what_can_hold_together_is_told_together(entries: tuple[dict[str, Any], ...]) -> None:
    found = drafted(*entries)
    assert len(found.directives) == 2
    assert not found.doubts


def test_a_change_of_code_status_is_pointed_out() -> None:
    found = drafted(order("a", "DNR", "2026-06-01"), order("b", "Full code", "2026-06-03"))
    said = "Not in the document: request: DNR of 2026-06-01, superseded by “Full code” of 2026-06-03"
    assert said in [point.text for point in found.open_points]


def test_an_order_that_was_revoked_is_named() -> None:
    found = drafted(order("a", "DNR", "2026-06-01", status="revoked"))
    assert found.left_out == ("Request: DNR, of status revoked",)


def test_fluids_of_a_resuscitation_are_no_diet_either() -> None:
    found = drafted(observed("o", "given", "2026-06-02", "Fluid resuscitation"))
    assert not found.directives
    assert not found.diet
    assert [item.text for item in found.observed] == ["Fluid resuscitation: given"]
