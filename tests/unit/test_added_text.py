"""What a physician wrote that the draft does not have, held against the record."""

import time

import pytest

from services.approval import domain
from services.approval.review.added_text import statements
from services.approval.review.errors import DecisionRefusedError
from services.approval.review.signing_rules import ResolvedItems
from shared.contracts.authorship import AUTHOR_BY_LINE
from shared.contracts.case import fold
from shared.contracts.context import Allergy, ContextEntry, EncounterContext, Medicine, Patient
from shared.contracts.draft import TO_BE_WRITTEN, Draft
from shared.grounding import EvidenceIndex
from tests.support.examples import DIGEST, PHYSICIAN, T0, draft
from tests.support.malicious_input import short_sentences
from tests.unit.test_approval import REVIEW, history

CONTEXT = EncounterContext(
    encounter="Encounter/e1",
    encounter_status="finished",
    kind="discharge-summary",
    patient=Patient(source="Patient/p1", name="Jane Roe", mrn="17", sex="female"),
    end=T0,
    reasons=(ContextEntry(text="Pneumonia", source="Encounter/e1"),),
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
RECORD = EvidenceIndex(CONTEXT)
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


def test_a_sentence_that_goes_on_in_the_next_line_is_one() -> None:
    assert written("She has no", "allergy to penicillin.") == [("She has no allergy to penicillin.", "contradicted")]
    assert written("  - She takes amlodipine", "    10 mg once daily.")[0][1] == "contradicted"
    assert written("She has no", "", "She takes amlodipine.")[0][0] == "She has no"
    assert written("There is no", "Admitted with pneumonia.") == [
        ("There is no Admitted with pneumonia.", "contradicted")
    ]


def test_a_colon_makes_no_heading_of_a_claim() -> None:
    assert written("Pending results:", "Social history:", "Follow-up:") == []
    (found,) = written("She was given warfarin 5 mg:")
    assert found[1] == "not-in-record"
    assert written("No known allergies:")[0][1] == "contradicted"


def test_beyond_what_is_checked_nothing_counts_as_supported() -> None:
    many = [f"She takes amlodipine 5 mg once daily, line {number}." for number in range(310)]
    labels = [label for _, label in written(*many)]
    assert len(labels) == 301
    assert labels[-1] == "not-in-record"


def test_a_text_of_very_many_sentences_is_few_statements_and_nothing_of_it_is_passed_over() -> None:
    text = short_sentences(200_000)
    found = written(*text.splitlines())
    assert len(found) == 301
    assert "\n".join(sentence for sentence, _ in found).split() == text.split()


def test_what_does_not_end_is_cut_and_takes_no_time() -> None:
    endless = "word\n" * 40_000
    start = time.process_time()
    assert written(*endless.splitlines())
    assert time.process_time() - start < 10


@pytest.mark.parametrize("words", ["warfarin 5 mg and ", "word, ", "She was given warfarin 5 mg. ", "x"])
def test_no_text_takes_long_to_check_and_nothing_of_it_is_passed_over(words: str) -> None:
    long = words * (200_000 // len(words))
    start = time.process_time()
    found = written(long)
    assert time.process_time() - start < 10, "20 kB in one sentence took minutes"
    assert {label for _, label in found} == {"not-in-record"}


def test_what_we_put_into_a_text_is_not_the_physicians() -> None:
    assert written(f"  {TO_BE_WRITTEN}: hospital course]", *AUTHOR_BY_LINE) == []


def test_a_sentence_of_ones_own_that_the_record_does_not_support_is_confirmed_or_not_signed() -> None:
    text = f"{DRAFT.text}She was given warfarin 5 mg.\n"
    found = statements(DRAFT, text, RECORD)

    def sign(resolved: ResolvedItems) -> object:
        case = fold(history(*REVIEW))
        return domain.approve(case, DIGEST, PHYSICIAN, draft=DRAFT, text=text, resolved=resolved, written=found)

    with pytest.raises(DecisionRefusedError) as refused:
        sign(ResolvedItems())
    assert refused.value.code == "unresolved"
    assert [(item.field, item.digest) for item in refused.value.obstacles] == [("written", found[0].digest)]
    made = sign(ResolvedItems(written=frozenset({found[0].digest})))
    assert [(item.digest, item.label) for item in made.written] == [(found[0].digest, "not-in-record")]  # type: ignore[attr-defined]
