"""What is said to be absent is told as it is said: only an allergy to the same thing contradicts it."""

from typing import Any

import pytest

from services.drafter.record import build_context
from shared.contracts.context import EncounterContext
from tests.unit.test_record import record


def entry(id: str, name: str, *categories: str, code: str = "") -> dict[str, Any]:
    coding = [{"system": "http://snomed.info/sct", "code": code}] if code else []
    found = {"resourceType": "AllergyIntolerance", "id": id, "code": {"text": name, "coding": coding}}
    return found | ({"category": list(categories)} if categories else {})


def drafted(*entries: dict[str, Any]) -> EncounterContext:
    return build_context(record({"AllergyIntolerance": list(entries)}))


@pytest.mark.parametrize(
    "statement",
    [
        "No known latex allergy",
        "No known allergy to latex",
        "No known allergies to latex",
        "No known contrast allergies",
        "No known allergy to iodinated contrast",
        "No latex allergy",
        "Keine Latexallergie bekannt",
        "Keine bekannte Latex-Allergie",
        "Keine Allergie gegen Latex",
        "Geen latexallergie",
        "Geen bekende allergie voor latex",
        "Pas d'allergie au latex",
        "No known food allergies",
        "No known environmental allergy",
    ],
)
def test_a_statement_about_one_thing_stands_beside_another_allergy(statement: str) -> None:
    found = drafted(entry("a", "Penicillin", "medication"), entry("b", statement))
    assert [item.text for item in found.allergies] == ["Penicillin", statement]
    assert not found.left_out
    uncategorised = drafted(entry("a", "Penicillin"), entry("b", statement))
    assert len(uncategorised.allergies) == 2


@pytest.mark.parametrize(
    ("statement", "allergy"),
    [
        (entry("b", "No known allergies"), entry("a", "Latex")),
        (entry("b", "NKA"), entry("a", "Peanut", "food")),
        (entry("b", "Keine bekannten Allergien"), entry("a", "Latex")),
        (entry("b", "Geen bekende allergieën"), entry("a", "Latex")),
        (entry("b", "Aucune allergie connue"), entry("a", "Latex")),
        (entry("b", "No allergies", code="716186003"), entry("a", "Latex")),
        (entry("b", "NKDA"), entry("a", "Penicillin", "medication")),
        (entry("b", "No known drug allergies"), entry("a", "Penicillin")),
        (entry("b", "No known drug or food allergies"), entry("a", "Peanut", "food")),
        (entry("b", "No known latex allergy"), entry("a", "Natural rubber latex")),
        (entry("b", "Latex allergy: none known", code="1003774007"), entry("a", "Latex")),
    ],
)
def test_what_an_allergy_makes_untrue_is_left_out(statement: dict[str, Any], allergy: dict[str, Any]) -> None:
    found = drafted(allergy, statement)
    assert len(found.allergies) == 1
    assert any("which the allergies of the record contradict" in line for line in found.left_out)


def test_a_statement_about_one_thing_leaves_the_others_open() -> None:
    found = drafted(entry("b", "No known latex allergy"))
    assert [item.text for item in found.allergies] == ["No known latex allergy"]
    assert any("ask the patient about others" in point.text for point in found.open_points)
    assert not any("about others" in point.text for point in drafted(entry("b", "No known allergies")).open_points)


OFFICIAL = {"use": "official", "text": "Ann Old"}


@pytest.mark.parametrize(
    ("names", "told"),
    [
        ([OFFICIAL | {"period": {"end": "2020"}}, {"text": "Ann New"}], "Ann New"),
        ([OFFICIAL | {"period": {"end": "2020"}}, {"use": "usual", "text": "Ann New"}], "Ann New"),
        ([OFFICIAL | {"period": {"end": "2099-12-31"}}, {"text": "Ann New"}], "Ann Old"),
        ([OFFICIAL | {"period": {"end": "2026-12"}}, {"text": "New", "period": {"start": "2026-12"}}], "Ann Old"),
        ([OFFICIAL | {"period": {"end": "2020"}}, {"use": "maiden", "text": "Ann Born"}], "Ann Old"),
        ([OFFICIAL | {"period": {"end": "2020"}}, {"use": "old", "text": "Ann Older"}], "Ann Old"),
        ([{"text": "Ann New"}, OFFICIAL], "Ann Old"),
    ],
)
def test_the_name_in_force_is_the_patients(names: list[dict[str, Any]], told: str) -> None:
    made = record()
    made.patient["name"] = names
    assert build_context(made).patient.name == told
