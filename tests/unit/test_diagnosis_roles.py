"""The principal diagnosis is that of the stay's own encounter, then of its parts, and last of emergency care."""

from typing import Any

import pytest

from services.drafter.record import build_context
from services.drafter.source_record import SourceRecord
from shared.contracts.context import EncounterContext
from tests.unit.test_record import encounter

Said = tuple[str, str, int | None]  # name, use, rank


def said(*entries: Said) -> list[dict[str, Any]]:
    return [
        {"condition": {"reference": f"Condition/{name}"}}
        | ({"use": {"coding": [{"code": use}]}} if use else {})
        | ({"rank": rank} if rank else {})
        for name, use, rank in entries
    ]


def part(id: str, start: str, *entries: Said, **more: Any) -> dict[str, Any]:
    period = {"start": start, "end": "2026-06-03T08:00:00Z"}
    whole = {"reference": "Encounter/e1"}
    return encounter(id=id, period=period, partOf=whole, diagnosis=said(*entries)) | more


def emergency(*entries: Said, **more: Any) -> dict[str, Any]:
    period = {"start": "2026-06-01T05:00:00Z", "end": "2026-06-01T08:00:00Z"}
    return encounter(id="er", period=period, diagnosis=said(*entries), **{"class": {"code": "EMER"}}) | more


def drafted(own: list[Said], *others: dict[str, Any]) -> EncounterContext:
    names = {name for name, _, _ in own} | {
        item["condition"]["reference"].partition("/")[2] for other in others for item in other["diagnosis"]
    }
    conditions = [{"resourceType": "Condition", "id": name, "code": {"text": name}} for name in sorted(names)]
    entries = {"Condition": conditions, "Encounter": list(others)}
    return build_context(
        SourceRecord(encounter(diagnosis=said(*own)), {"resourceType": "Patient", "id": "p1"}, {}, entries)
    )


def principal(found: EncounterContext) -> list[str]:
    return [item.text for item in found.diagnoses if item.role == "principal"]


WARD = part("w1", "2026-06-01T08:00:00Z", ("Early", "DD", 1))
LATER = part("w2", "2026-06-02T08:00:00Z", ("Late", "DD", 2))
INNER = part("er", "2026-06-02T09:00:00Z", ("Chestpain", "DD", 1), type=[{"text": "Emergency department"}])


@pytest.mark.parametrize(
    ("own", "others", "told"),
    [
        ([("Infarction", "DD", 2)], [emergency(("Chestpain", "DD", 1))], ["Infarction"]),
        ([("Infarction", "", 1)], [emergency(("Chestpain", "DD", 1))], ["Infarction"]),
        ([("Infarction", "", None)], [emergency(("Chestpain", "DD", 1))], ["Infarction"]),
        ([("Infarction", "DD", None), ("Diabetes", "CM", 1)], [WARD, LATER], ["Infarction"]),
        ([], [WARD, LATER], ["Late"]),
        ([], [LATER, WARD, emergency(("Chestpain", "principal", 1))], ["Late"]),
        ([("Chestpain", "AD", 1)], [WARD], ["Early"]),
        ([], [emergency(("Chestpain", "DD", 1))], ["Chestpain"]),
        ([("Infarction", "", None), ("Diabetes", "", None)], [emergency(("Chestpain", "DD", 1))], []),
        ([], [INNER, WARD], ["Early"]),
    ],
)  # fmt: skip
def test_the_stays_own_encounter_decides(own: list[Said], others: list[dict[str, Any]], told: list[str]) -> None:
    assert principal(drafted(own, *others)) == told
    assert principal(drafted(own, *reversed(others))) == told


def test_what_the_stay_was_admitted_with_is_the_emergency_visits_discharge_diagnosis() -> None:
    found = drafted([("Chestpain", "AD", None), ("Infarction", "DD", None)], emergency(("Chestpain", "DD", 1)))
    assert {item.text: item.role for item in found.diagnoses} == {"Infarction": "principal", "Chestpain": "admission"}


def test_the_stays_diagnoses_stand_before_those_of_the_emergency_visit() -> None:
    found = drafted([("Infarction", "DD", 1), ("Sepsis", "CM", 2)], emergency(("Anaemia", "", 1)))
    assert [item.text for item in found.diagnoses] == ["Infarction", "Sepsis", "Anaemia"]
