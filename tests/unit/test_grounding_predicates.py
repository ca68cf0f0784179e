"""Sentences whose names all stand in the record, and which say of them what it does not: what small models write."""

from datetime import date

import pytest

from shared.contracts.context import ContextEntry, Diagnosis
from shared.grounding import check
from shared.grounding.evidence_index import EvidenceIndex
from tests.unit.test_grounding import CONTEXT, medicine

RECORD = EvidenceIndex(
    CONTEXT.model_copy(
        update={
            "diagnoses": (
                *CONTEXT.diagnoses,
                Diagnosis(text="Schizophrenia, paranoid type", source="Condition/c5", role="comorbidity"),
                Diagnosis(text="Obesity, unspecified", source="Condition/c6", role="comorbidity"),
                Diagnosis(
                    text="Myelopathy due to spinal stenosis with radiculopathy",
                    source="Condition/c7",
                    role="comorbidity",
                ),
            ),
            "discharge_medicines": (
                *(item for item in CONTEXT.discharge_medicines if item.name != "Lisinopril"),
                medicine("Lisinopril", "20 mg tablet PO daily", "d2"),
            ),
            "disposition": "Rehabilitation facility, Riverside Rehabilitation Hospital",
            "reports": (
                *CONTEXT.reports,
                ContextEntry(
                    text="Epidural catheter in place, infusion stopped, pump removed.", source="DiagnosticReport/r2"
                ),
            ),
            "procedures": (
                *CONTEXT.procedures,
                ContextEntry(text="Coronary angiography (outcome: TIMI 3)", source="Procedure/p3"),
                ContextEntry(text="Haemodialysis, stopped on 3 June", source="Procedure/p2", on="2026-06-02"),
            ),
        }
    )
)


@pytest.mark.parametrize(
    "sentence",
    [
        "Take the left chest tube as written on your list.",
        "She should take the chest tube twice a day.",
        "Her type 2 diabetes mellitus is as written on your list.",
        "She started a left chest tube and stopped it.",
        "The left chest tube was stopped.",
        "Her symptoms include type 2 diabetes mellitus.",
        "Symptoms were fever and obesity.",
        "She has obesity and unspecified.",
        "She also has paranoid type.",
        "Her discharge from hospital is finished.",
        "Her discharge from hospital was not completed.",
        "Her discharge was taken as written on your list.",
        "She has obesity and no other problems were reported.",
        "She was prescribed lisinopril, but no other medications were available.",
        "She was treated with doxycycline (lisinopril).",
        "She has myelopathy due to radiculopathy.",
        "Doxycycline was used as a substitute for ceftriaxone.",
        "Lisinopril was given instead of metformin.",
        "Her discharge to home was lisinopril 20 mg.",
        "She was treated at Riverside Rehabilitation Hospital.",
        "She had a TIMI procedure done.",
        "She was admitted with pneumonia and lisinopril 20 mg.",
        "She has obesity and a lack of potassium.",
        "She was prescribed lisinopril 20 mg oral solution.",
        "She was discharged home with metformin injection.",
        "She was discharged home with warfarin tablets.",
    ],
)
def test_what_cannot_be_said_of_a_thing_is_not_supported(sentence: str) -> None:
    assert check(sentence, RECORD).label != "supported"


@pytest.mark.parametrize(
    "sentence",
    [
        "Take lisinopril as written on your list.",
        "Take metformin 500 mg by mouth twice daily.",
        "Haemodialysis was stopped.",
        "Epidural catheter in place, infusion stopped, pump removed.",
        "Her symptoms included fever and cough.",
        "She has schizophrenia, paranoid type.",
        "She has obesity.",
        "She was discharged to Riverside Rehabilitation Hospital.",
        "Her discharge was to a rehabilitation facility.",
        "She has myelopathy due to spinal stenosis.",
        "A left chest tube was placed.",
        "She was prescribed lisinopril 20 mg oral tablets.",
    ],
)
def test_what_the_record_says_of_it_is_supported(sentence: str) -> None:
    assert check(sentence, RECORD).label == "supported"


def test_a_child_is_neither_man_nor_woman() -> None:
    child = CONTEXT.patient.model_copy(update={"birth_date": date(2023, 1, 1)})
    record = EvidenceIndex(CONTEXT.model_copy(update={"patient": child}))

    assert check("This 3-year-old woman had a fever.", record).label == "contradicted"
    assert check("This 3-year-old girl had a fever.", record).label == "supported"
    assert check("This 67-year-old woman had a fever.", RECORD).label == "supported"
