"""Sentences held against a record: what is there passes, what is not is named."""

import pytest

from services.drafter.grounding import Record, check, split
from services.drafter.grounding.figures import dates, figures
from shared.contracts.draft import Fact

RECORD = Record(
    [
        Fact(text="Patient: Ann Doe, born 1958-09-25, female, MRN 17", source="Patient/p1"),
        Fact(text="Age: 67 years", source="Encounter/e1"),
        Fact(text="Length of stay: 3 days", source="Encounter/e1"),
        Fact(text="Community acquired pneumonia", source="Condition/c1"),
        Fact(text="Type 2 diabetes mellitus", source="Condition/c2"),
        Fact(text="Chest X-ray, 2026-06-02", source="Procedure/p1"),
        Fact(text="Metformin, 500 mg PO BID", source="MedicationRequest/m1"),
        Fact(text="Lisinopril, 10 mg PO daily", source="MedicationRequest/m2"),
        Fact(text="Amoxicillin, 875 mg PO every 12 hours for 7 days", source="MedicationRequest/m3"),
        Fact(text="Potassium 3.1 mmol/L (low), then 4.20 mmol/L on 2026-06-03", source="Observation/o1"),
        Fact(text="Blood pressure 128/76 mmHg; on admission 151/92 mmHg", source="Observation/o2"),
        Fact(text="None recorded", source=""),
    ]
)

SUPPORTED = [
    "A 67-year-old woman was admitted with pneumonia.",
    "She stayed for three days.",
    "She takes metformin 500 mg twice a day.",
    "Lisinopril 10mg was continued.",
    "Potassium rose to 4.2 mmol/L on June 3.",
    "On 06/02/2026 a chest X-ray was done.",
    "Amoxicillin 875 mg was given for 7 days.",
    "Her blood pressure was 128/76 mmHg.",
    "She has type 2 diabetes.",
    "She improved and went home.",
]
UNSUPPORTED = [
    ("She was given warfarin.", "drug", "warfarin"),
    ("She takes metformin 1000 mg.", "dose", "1000 mg"),
    ("She takes metformin 10 mg.", "dose", "10 mg"),
    ("Lisinopril 500 mg was continued.", "dose", "500 mg"),
    ("Take lisinopril for 7 days.", "number", "7 days"),
    ("A 71-year-old woman was admitted.", "number", "71-year-old"),
    ("She was discharged on June 9.", "date", "June 9"),
    ("The X-ray of 2025-06-02 was clear.", "date", "2025-06-02"),
    ("She had a stroke.", "diagnosis", "stroke"),
    ("Come back next week.", "date", "next week"),
    ("She lost 5 kg.", "number", "5 kg"),
    ("Take Lisinopra as written on your list.", "drug", "Lisinopra"),
    ("Metformil was continued.", "drug", "Metformil"),
]


@pytest.mark.parametrize("sentence", SUPPORTED)
def test_what_the_record_has_is_supported(sentence: str) -> None:
    assert check(sentence, "hospital-course", RECORD).unsupported == ()


@pytest.mark.parametrize(("sentence", "kind", "text"), UNSUPPORTED)
def test_what_the_record_does_not_have_is_named(sentence: str, kind: str, text: str) -> None:
    claims = check(sentence, "hospital-course", RECORD).unsupported
    assert (kind, text) in {(claim.kind, claim.text) for claim in claims}


def test_evidence_is_the_line_that_speaks_for_the_sentence() -> None:
    found = check("Metformin 500 mg was continued.", "hospital-course", RECORD)
    assert found.evidence[0].source == "MedicationRequest/m1"
    assert all(item.source for item in found.evidence)


@pytest.mark.parametrize(
    ("text", "sentences"),
    [
        ("One. Two.", ["One.", "Two."]),
        ("Potassium was 3.5 mmol/L. It rose.", ["Potassium was 3.5 mmol/L.", "It rose."]),
        ("Dr. Miller saw her. She left.", ["Dr. Miller saw her.", "She left."]),
        ("No end", ["No end"]),
        ("", []),
    ],
)
def test_clinical_prose_is_split_where_sentences_end(text: str, sentences: list[str]) -> None:
    assert split(text) == sentences


def test_figures_carry_their_unit_and_dates_are_no_figures() -> None:
    found, rest = dates("On 2026-06-03 she took 0.50 mg, then 1,000 units for two days.")
    assert [(day.year, day.month, day.day) for day in found] == [(2026, 6, 3)]
    assert [(item.value, item.unit) for item in figures(rest)] == [(0.5, "mg"), (1000.0, "units"), (2.0, "day")]
