"""What of a prepared draft is kept, and when the model is asked."""

from datetime import timedelta

import pytest

from services.drafter.reuse import PreparedDraft
from services.drafter.writing import Assignment, DraftWriter
from shared.contracts.context import ContextEntry, Diagnosis, EncounterContext, Patient
from shared.contracts.draft import Draft
from shared.contracts.drafters import Policy
from tests.support.drafters import declared_drafters
from tests.support.examples import T0
from tests.support.generator import ScriptedGenerator

COURSE = "The patient was admitted for pneumonia, which was the main diagnosis of this stay in hospital."
CONTEXT = EncounterContext(
    encounter="Encounter/e1",
    encounter_status="in-progress",
    kind="discharge-summary",
    patient=Patient(source="Patient/p1", name="Robin Example"),
    start=T0 - timedelta(days=3),
    end=T0,
    ongoing=True,
    reasons=(ContextEntry(text="Pneumonia", source="Encounter/e1"),),
    diagnoses=(Diagnosis(text="Pneumonia", source="Condition/c1", role="principal"),),
)
LATER = CONTEXT.model_copy(update={"end": T0 + timedelta(days=1)})
DISCHARGED = LATER.model_copy(update={"ongoing": None, "encounter_status": "finished"})


async def write(
    context: EncounterContext, generator: ScriptedGenerator, before: Draft | None = None, policy: Policy = "strict"
) -> Draft:
    task = Assignment(
        case="c1",
        department="medicine",
        context_digest="c" * 64,
        last=True,
        before=PreparedDraft("b" * 64, before) if before else None,
        preparing=bool(context.ongoing),
    )
    return await DraftWriter(declared_drafters(generator, policy), 5.0, None).write(context, task)


@pytest.mark.parametrize("policy", ["strict", "marked"])
async def test_from_the_same_facts_nothing_is_drafted_anew(policy: Policy) -> None:
    first, silent = ScriptedGenerator(COURSE), ScriptedGenerator("Something else was written about the whole stay.")
    before = await write(CONTEXT, first, policy=policy)
    again = await write(LATER, silent, before, policy)
    assert silent.prompts == []
    assert again.prepared is not None
    assert (again.prepared.digest, again.prepared.anew) == ("b" * 64, ())
    assert [item.text for item in again.sentences] == [item.text for item in before.sentences]
    assert (again.text, again.model) == (before.text, before.model)


async def test_a_model_that_is_strict_only_stays_so_when_it_is_not_asked() -> None:
    before = await write(CONTEXT, ScriptedGenerator(COURSE, strict=True), policy="marked")
    assert before.routing is not None
    assert before.routing.policy == "strict"
    again = await write(LATER, ScriptedGenerator(), before, "marked")
    assert (again.text, again.routing) == (before.text, before.routing)


async def test_marked_keeps_no_sentence_of_a_narrative_whose_facts_have_changed() -> None:
    before = await write(CONTEXT, ScriptedGenerator(COURSE), policy="marked")
    assert COURSE in before.text
    more = Diagnosis(text="Sepsis", source="Condition/c2", role="comorbidity")
    changed = DISCHARGED.model_copy(update={"diagnoses": (*CONTEXT.diagnoses, more)})
    anew = ScriptedGenerator("The patient had sepsis with pneumonia and was treated for both of them in hospital.")
    after = await write(changed, anew, before, "marked")
    assert len(anew.prompts) == 1
    assert after.prepared is not None
    assert "hospital-course" in after.prepared.anew
    assert COURSE not in after.text
    assert "sepsis with pneumonia" in after.text


async def test_strict_keeps_each_prepared_sentence_that_the_record_still_supports() -> None:
    admitted = CONTEXT.model_copy(update={"reasons": ()})
    words = "The principal diagnosis of this stay was pneumonia."  # as the rules say it, by the same sources
    before = await write(admitted, ScriptedGenerator(words))
    own = [item.text for item in before.sentences if item.origin == "model"]
    assert own
    ended = DISCHARGED.model_copy(update={"reasons": ()})
    gone = ended.model_copy(update={"diagnoses": ()})
    for context, kept in ((ended, True), (gone, False)):
        after = await write(context, ScriptedGenerator("short"), before)
        assert after.prepared is not None
        assert "hospital-course" in after.prepared.anew, "that the stay has ended is new"
        still = [item.text for item in after.sentences if item.origin == "model"]
        assert still == (own if kept else []), "what the record does not say any more is gone"


async def test_a_draft_of_another_kind_keeps_nothing() -> None:
    before = await write(CONTEXT, ScriptedGenerator(COURSE), policy="marked")
    died = DISCHARGED.model_copy(update={"kind": "death-summary", "deceased": True})
    other = ScriptedGenerator("The patient died of pneumonia in hospital, as the record states in its outcome.")
    after = await write(died, other, before, "marked")
    assert len(other.prompts) == 1
    assert COURSE not in after.text


async def test_a_prepared_draft_states_no_end_of_the_stay() -> None:
    prepared = await write(CONTEXT, ScriptedGenerator())
    assert "not discharged yet" in prepared.text
    assert "The stay ended" not in prepared.text
    expected = CONTEXT.model_copy(update={"expected_end": T0 + timedelta(days=2)})
    assert "discharge expected 2026-11-25" in (await write(expected, ScriptedGenerator())).text
    assert "discharged 2026-11-24" in (await write(DISCHARGED, ScriptedGenerator())).text
