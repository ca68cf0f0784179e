"""What a model takes from a guideline is general advice: never this patient's fact, never told as what happened."""

import pytest

from services.approval.filing.renditions import signed, xhtml
from services.drafter.compose import compose
from services.drafter.facts import render
from services.drafter.general_advice import advice_sentence, source_passage, without_advice_as_course
from services.drafter.policy import choose_narrative
from services.drafter.writing import check_narratives
from shared.contracts.context import ContextEntry, Diagnosis, EncounterContext, Medicine, Patient
from shared.contracts.draft import CitedKnowledge, CitedPassage, Draft, Narrative, Sentence
from tests.support.examples import DIGEST, PROMPT, T0

TEXT = (
    "The patient weighs every morning and calls when the weight rises by more than 2 kg in three days. "
    "Salt is limited to 5 g a day.\n\n"
    "furosemide | fluid overload | 40 mg by mouth in the morning\n\n"
    "Heart failure with fluid overload is treated with furosemide."
)
PASSAGE = CitedPassage(
    id="c1",
    source="guidelines",
    document="heart-failure.md",
    title="Heart failure: discharge. The first weeks",
    text=TEXT,
)
KNOWLEDGE = CitedKnowledge(version=1, passages=(PASSAGE,), threshold=0.5)
CONTEXT = EncounterContext(
    encounter="Encounter/e1",
    encounter_status="finished",
    kind="discharge-summary",
    patient=Patient(source="Patient/p1", name="Ann Doe"),
    end=T0,
    diagnoses=(
        Diagnosis(text="Heart failure", source="Condition/c1", role="principal"),
        Diagnosis(text="Fluid overload", source="Condition/c2", role="comorbidity"),
    ),
    discharge_medicines=(
        Medicine(
            text="Furosemide, 40 mg by mouth in the morning",
            source="MedicationRequest/m1",
            name="Furosemide",
            dose="40 mg by mouth in the morning",
        ),
    ),
    diet=(ContextEntry(text="Low-salt diet; fluids up to 1.5 litres a day", source="NutritionOrder/n1"),),
)


def sentences(text: str, narrative: Narrative = "patient-instructions") -> tuple[Sentence, ...]:
    return check_narratives({narrative: text}, CONTEXT, KNOWLEDGE)


def drafted(*items: Sentence) -> Draft:
    chosen = choose_narrative((), items, "marked")
    return compose(
        CONTEXT,
        render(CONTEXT),
        chosen.sentences,
        number=1,
        model="m",
        prompt=PROMPT,
        context_digest=DIGEST,
        knowledge=KNOWLEDGE,
    )


@pytest.mark.parametrize(
    "text",
    [
        "Salt is limited to 5 g a day.",
        "Limit salt to 5 g a day.",
        "Weigh yourself every morning and call when your weight rises by more than 2 kg in three days.",
        "She was told to limit salt to 5 g a day.",
        "Heart failure with fluid overload is treated with furosemide.",
    ],
)
def test_a_sentence_of_a_guideline_is_general_advice_and_says_so(text: str) -> None:
    (found,) = sentences(text)
    assert (found.label, found.supported, found.passage, found.evidence) == ("not-in-record", False, "c1", ())
    assert found.text.startswith("In general: ")
    assert found.text.endswith("(general advice from Heart failure: discharge The first weeks, guidelines).")
    (claim,) = found.unsupported
    assert (claim.kind, claim.label) == ("advice", "not-in-record")
    assert "guidelines/heart-failure.md, no fact of this patient" in claim.detail


def test_a_guidelines_words_that_the_check_finds_in_the_record_are_not_supported() -> None:
    """Every word of it stands in some entry; together they are the guideline's."""
    text = "Heart failure with fluid overload is treated with furosemide."
    (alone,) = check_narratives({"patient-instructions": text}, CONTEXT)
    assert alone.label == "supported"
    assert sentences(text)[0].label == "not-in-record"


def test_an_order_of_the_record_stays_the_patients_own_in_a_guidelines_words() -> None:
    (found,) = sentences("Take furosemide 40 mg by mouth in the morning.")
    assert (found.label, found.passage) == ("supported", "")
    assert found.evidence[0].source == "MedicationRequest/m1"


def test_an_entry_that_says_it_word_for_word_stays_the_patients_own() -> None:
    context = CONTEXT.model_copy(
        update={"care_plans": (ContextEntry(text="Salt is limited to 5 g a day", source="CarePlan/1"),)}
    )
    (found,) = check_narratives({"patient-instructions": "Salt is limited to 5 g a day."}, context, KNOWLEDGE)
    assert (found.label, found.passage) == ("supported", "")


def test_what_contradicts_the_record_stays_a_contradiction() -> None:
    passage = PASSAGE.model_copy(update={"text": "Furosemide 80 mg by mouth in the morning is the usual dose."})
    (found,) = check_narratives(
        {"patient-instructions": "Take furosemide 80 mg by mouth in the morning."},
        CONTEXT,
        CitedKnowledge(version=1, passages=(passage,)),
    )
    assert (found.label, found.passage) == ("contradicted", "c1")
    assert {claim.label for claim in found.unsupported} == {"contradicted", "not-in-record"}
    assert found.text.startswith("In general: ")


@pytest.mark.parametrize(
    "text", ["Call your doctor.", "Take it easy at home.", "Your heart failure was treated in hospital."]
)
def test_what_only_shares_a_word_with_a_guideline_is_left_as_it_is(text: str) -> None:
    (found,) = sentences(text)
    assert (found.text, found.passage) == (text, "")


def test_advice_is_no_part_of_the_hospital_course() -> None:
    found = sentences("The patient weighs every morning. She has heart failure.", "hospital-course")
    assert [item.passage for item in found] == ["c1", ""]
    assert without_advice_as_course(found) == (found[1:], 1)
    instructions = sentences("Salt is limited to 5 g a day.")
    assert without_advice_as_course(instructions) == (instructions, 0)


def test_document_rendition_and_stored_draft_say_that_it_is_general() -> None:
    draft = drafted(*sentences("Salt is limited to 5 g a day."))
    (line,) = [line.strip() for line in draft.text.splitlines() if "Salt" in line]
    assert line.startswith("In general: Salt is limited to 5 g a day (general advice from ")
    page = xhtml.page(signed.read(draft.text, draft), ["signed"]).decode()
    assert "In general: Salt is limited to 5 g a day (general advice from " in page
    stored = Draft.model_validate_json(draft.model_dump_json())
    assert [item.passage for item in stored.sentences] == ["c1"]


def test_without_a_knowledge_base_nothing_changes() -> None:
    (found,) = check_narratives({"patient-instructions": "Salt is limited to 5 g a day."}, CONTEXT)
    assert (found.text, found.passage) == ("Salt is limited to 5 g a day.", "")


def test_advice_that_says_in_general_itself_says_it_once() -> None:
    assert advice_sentence("In general: rest.", PASSAGE).count("In general") == 1
    assert source_passage("Rest.", [PASSAGE]) is None
