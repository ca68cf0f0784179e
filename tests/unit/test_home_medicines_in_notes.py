"""A medicine that only a note names as taken at home is neither new without a word nor missing."""

import base64
from typing import Any

import pytest

from services.drafter.record import build_context
from shared.contracts.context import EncounterContext
from shared.grounding.reconciliation import reconcile
from tests.unit.test_order_sorting import asked
from tests.unit.test_record import ENC, order, record
from tests.unit.test_untrusted_record import lines

POINT = "names medicines at home that the record's list does not have: compare: "


def note(text: str, kind: str = "Admission note", **more: Any) -> dict[str, Any]:
    data = base64.b64encode(text.encode()).decode()
    return {
        "resourceType": "DocumentReference",
        "id": "n",
        "status": "current",
        "type": {"text": kind},
        "date": "2026-06-01T09:00:00Z",
        "context": {"encounter": [ENC]},
        "content": [{"attachment": {"contentType": "text/plain", "data": data}}],
    } | more


def composed(title: str, text: str, code: str = "", type: str = "34117-2", kind: str = "Note") -> dict[str, Any]:
    coding = {"code": {"coding": [{"system": "http://loinc.org", "code": code}]}} if code else {}
    return {
        "resourceType": "Composition",
        "id": "n",
        "status": "final",
        "encounter": ENC,
        "type": {"coding": [{"system": "http://loinc.org", "code": type}], "text": kind},
        "date": "2026-06-01T09:00:00Z",
        "section": [{"title": title, "text": {"div": f"<div>{text}</div>"}} | coding],
    }


def context(*orders: dict[str, Any], **more: Any) -> EncounterContext:
    return build_context(record({"MedicationRequest": list(orders)} | more))


def change(found: EncounterContext) -> list[str]:
    return [row.change for row in reconcile(found)]


NOTES = [
    "Chief complaint: fall\nHome medications: Norvasc 5 mg daily, metformin 500 mg BID\nAllergies: none",
    "HPI: fall. Medications on admission: Norvasc 5 mg daily; metformin 500 mg BID. Exam: well",
    "Medications prior to admission:\n\n- Norvasc 5 mg daily\n- metformin 500 mg BID\n\nPlan: rest",
    "Hausmedikation: Norvasc 5 mg 1-0-0, Metformin 500 mg 1-0-1\nVorerkrankungen: keine",
    "Thuismedicatie: Norvasc 5 mg 1dd, metformine 500 mg 2dd",
    "PTA meds: Norvasc 5 mg, metformin 500 mg",
    "Drug history: Norvasc, metformin",
    "Medications: Norvasc, metformin",
    "The patient takes Norvasc and metformin at home.",
    "HOME MEDICATIONS\nNorvasc 5 mg daily\nmetformin 500 mg BID\n\nALLERGIES\nnone, after a fall",
    "## Home medications\n- Norvasc 5 mg daily\n- metformin 500 mg\n## Social history\nfall",
    "home meds: Norvasc 5 mg daily, metformin\nreason: fall",
    "Allergies: NKDA after a fall. Home meds: Norvasc 5mg qd, Coumadin 5mg. PMH: fall",
    "MEDS ON ADMISSION:\nNorvasc",
    "Medicatie thuis: Norvasc",
    "Aktuelle Medikation: Norvasc 5 mg",
    "Reg meds: Norvasc 5mg OD",
    "The patient's home medications include Norvasc and Coumadin.",
    "She is on Norvasc at home.",
    "Zu Hause nimmt er Norvasc und Metformin ein.",
]


@pytest.mark.parametrize("text", NOTES)
def test_a_medicine_that_the_note_names_at_home_is_not_called_new(text: str) -> None:
    found = context(order("d", "amlodipine 5 mg", "discharge"), DocumentReference=[note(text)])
    assert change(found) == ["unclear"]
    assert "new or continued, to be confirmed: named in the admission note as taken at home, compare" in lines(found)
    (point,) = (item for item in found.open_points if POINT in item.text)
    assert point.source == "DocumentReference/n"
    assert "Norvasc" in point.text
    assert "fall" not in point.text


@pytest.mark.parametrize(
    "section",
    [
        ("Medications on admission", "", "11506-3"),
        ("Arzneimittel", "42346-7", "11506-3"),
        ("Arzneimittel", "10160-0", "34117-2"),
        ("Thuismedicatie", "", "11506-3"),
        ("Medications", "", "34117-2"),
    ],
)
def test_a_section_of_a_composition_counts_too(section: tuple[str, str, str]) -> None:
    title, code, type = section
    found = context(
        order("d", "amlodipine 5 mg", "discharge"), Composition=[composed(title, "Norvasc 5 mg", code, type)]
    )
    assert change(found) == ["unclear"]
    assert POINT + "Norvasc 5 mg" in asked(found)


def test_a_medicine_that_stands_nowhere_else_is_asked_about() -> None:
    found = context(DocumentReference=[note("Home medications: Quuxaban 5 mg daily, warfarin 2 mg")])
    assert f"The admission note {POINT}Quuxaban 5 mg daily, warfarin 2 mg" in asked(found)


def test_what_the_record_has_too_is_not_asked_about() -> None:
    home = order("h", "amlodipine 5 mg", "community", encounter=None, authoredOn="2026-01-01")
    other = order("i", "Quuxaban", "community", encounter=None, authoredOn="2026-01-01")
    text = "Home medications: Norvasc 5 mg daily, Quuxaban 5 mg"
    found = context(home, other, order("d", "amlodipine 5 mg", "discharge"), DocumentReference=[note(text)])
    assert POINT not in asked(found)
    assert "continued" in change(found)


@pytest.mark.parametrize(
    "found",
    [
        note("Plan: continue current medications: Norvasc, metformin", "Progress note"),
        note("Discharge medications: Norvasc 5 mg daily"),
        note("Home medications: none. Plan: start Norvasc 5 mg"),
        note("Should take Norvasc at home after discharge."),
        note("Home medications: Norvasc 5 mg", context={"encounter": [{"reference": "Encounter/other"}]}),
        note("Home medications: Norvasc 5 mg", "Discharge summary"),
    ],
)
def test_what_is_no_list_of_medicines_at_home_raises_nothing(found: dict[str, Any]) -> None:
    told = context(order("d", "amlodipine 5 mg", "discharge"), DocumentReference=[found])
    assert change(told) == ["new"]
    assert POINT not in asked(told)


@pytest.mark.parametrize(
    "text", ["A " * 20_000, "(" * 50_000, "Home medications: " * 5_000, "takes " * 20_000, "-" * 50_000]
)
def test_no_note_takes_long(text: str) -> None:
    assert lines(context(DocumentReference=[note(text)]))
