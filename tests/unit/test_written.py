"""What a physician wrote that the draft does not have, held against the record."""

import pytest

from services.approval import domain
from services.approval.gate import Settled
from services.approval.refusal import Refused
from services.approval.written import statements
from shared.contracts.case import fold
from shared.contracts.context import Allergy, EncounterContext, Entry, Medicine, Patient
from shared.contracts.draft import Draft
from shared.grounding import Record
from tests.support.examples import DIGEST, PHYSICIAN, T0, draft
from tests.unit.test_approval import REVIEW, history

CONTEXT = EncounterContext(
    encounter="Encounter/e1",
    encounter_status="finished",
    kind="discharge-summary",
    patient=Patient(source="Patient/p1", name="Jane Roe", mrn="17", sex="female"),
    end=T0,
    reasons=(Entry(text="Pneumonia", source="Encounter/e1"),),
    allergies=(Allergy(text="Penicillin", source="AllergyIntolerance/a1", names=("Penicillin",)),),
    discharge_medicines=(
        Medicine(
            text="Amlodipine, 5 mg, oral, once daily",
            source="MedicationRequest/m1",
            name="Amlodipine",
            dose="5 mg, oral, once daily",
            amount="5 mg",
            route="oral",
            frequency="once daily",
            ingredients=("amlodipine",),
        ),
    ),
)
RECORD = Record(CONTEXT)
DRAFT = draft()


def written(*more: str, of: Draft = DRAFT) -> list[tuple[str, str]]:
    text = of.text + "".join(f"{line}\n" for line in more)
    return [(item.text, item.label) for item in statements(of, text, RECORD)]


def test_what_the_draft_has_is_not_asked_again() -> None:
    assert written() == []
    assert written("", "Hospital course:", "  - Pneumonia", "REASON FOR HOSPITALIZATION") == []


def test_each_new_sentence_once_with_its_label() -> None:
    assert written("She takes amlodipine 5 mg once daily. She takes amlodipine 5 mg once daily.") == [
        ("She takes amlodipine 5 mg once daily.", "supported")
    ]
    (found,) = written("  - She takes amlodipine 10 mg once daily.")
    assert found == ("She takes amlodipine 10 mg once daily.", "contradicted")
    assert written("She was given warfarin 5 mg.")[0][1] == "not-in-record"


def test_a_sentence_of_ones_own_that_the_record_does_not_support_is_confirmed_or_not_signed() -> None:
    text = f"{DRAFT.text}She was given warfarin 5 mg.\n"
    found = statements(DRAFT, text, RECORD)

    def sign(settled: Settled) -> object:
        case = fold(history(*REVIEW))
        return domain.approve(case, DIGEST, PHYSICIAN, draft=DRAFT, text=text, settled=settled, written=found)

    with pytest.raises(Refused) as refused:
        sign(Settled())
    assert refused.value.why == "unresolved"
    assert [(item.field, item.digest) for item in refused.value.obstacles] == [("written", found[0].digest)]
    made = sign(Settled(written=frozenset({found[0].digest})))
    assert [(item.digest, item.label) for item in made.written] == [(found[0].digest, "not-in-record")]  # type: ignore[attr-defined]
