"""Which elements that its kind requires a draft has: what it states, not what the record would allow it to state."""

from pathlib import Path

from services.drafter.configurations import DeclaredDrafters
from services.drafter.elements_present import required_elements, with_elements
from services.drafter.evaluation_metrics import measure
from services.drafter.kinds import KindRegistry, load_kinds, load_shipped_kinds
from services.drafter.writing import Assignment, Documents, DraftWriter
from services.evaluator.draft_metrics import evaluate
from shared.contracts.context import EncounterContext
from shared.contracts.draft import REQUIRED_PARTS, Draft, Sentence
from shared.contracts.evaluations import ItemJudged
from tests.support.drafters import declared_drafters
from tests.support.generator import ScriptedGenerator
from tests.support.kinds import REHABILITATION, write_kind
from tests.unit.test_kinds_content import context, entry, weight
from tests.unit.test_reuse import COURSE, DISCHARGED

KINDS = load_shipped_kinds()
INVENTED = "The patient underwent a heart transplant and was discharged on warfarin 10 mg every evening for life."
TRANSFER = context(
    disposition="Northgate University Hospital",
    services=(entry("Transfer to Northgate for coronary bypass surgery", "ServiceRequest/s1"),),
    vitals=(weight(),),
    pending=(entry("Blood culture", "ServiceRequest/s2"),),
    directives=(entry("Do not resuscitate", "Consent/c1"),),
)


async def drafted(
    of: EncounterContext, text: str = COURSE, drafters: DeclaredDrafters | None = None, kinds: KindRegistry = KINDS
) -> Draft:
    writer = DraftWriter(drafters or declared_drafters(ScriptedGenerator(text)), 5.0, None, Documents(kinds))
    return await writer.write(of, Assignment(case="c1", department="ward", context_digest="c" * 64, last=True))


def missing(draft: Draft, of: EncounterContext, kinds: KindRegistry = KINDS) -> set[str]:
    return {name for name, there in required_elements(draft, of, kinds) if not there}


async def test_parts_and_narratives_of_the_kind_are_required() -> None:
    draft = await drafted(DISCHARGED)
    names = [name for name, _ in required_elements(draft, DISCHARGED, KINDS)]
    assert names == [*REQUIRED_PARTS, "hospital-course", "patient-instructions"]
    # Of these its record has nothing: what stands there is "None recorded".
    nothing = {"significant-findings", "condition-at-discharge", "attending-signature"}
    assert missing(draft, DISCHARGED) == nothing
    died = DISCHARGED.model_copy(update={"died": True, "kind": "death-summary"})
    assert "patient-instructions" not in dict(required_elements(await drafted(died), died, KINDS))


async def test_a_narrative_of_which_the_record_supports_nothing_is_missing() -> None:
    """Of two configurations that draft the same record, the one that invents has less of what is required."""
    marked = declared_drafters(ScriptedGenerator(INVENTED), "marked")
    honest, inventing = await drafted(DISCHARGED), await drafted(DISCHARGED, drafters=marked)
    less = {"hospital-course", "procedures-and-treatment"}  # the part has no facts of the record either
    assert missing(inventing, DISCHARGED) - missing(honest, DISCHARGED) == less
    figures = [measure(item, None, 1.0) for item in (inventing, honest)]
    candidate, live = with_elements(figures, (inventing, honest), DISCHARGED, KINDS)
    assert "hospital-course" in candidate.elements_missing
    items = [ItemJudged(number=number, candidate=candidate, live=live) for number in range(1, 13)]
    found = {item.name: item for item in evaluate(items, 12).metrics}["required-elements"]
    assert found.difference is not None
    assert (found.difference, found.passed) == (-2 / 8, False)
    older = [item.model_copy(update={"elements_required": 0, "elements_missing": ()}) for item in (candidate, live)]
    items = [ItemJudged(number=1, candidate=older[0], live=older[1])]
    assert "required-elements" not in {item.name for item in evaluate(items, 1).metrics}


async def test_elements_of_the_file_of_the_kind_are_looked_for_in_the_draft() -> None:
    draft = await drafted(TRANSFER)
    elements = {item.name for item in KINDS.all["transfer-summary"].declared.requires}
    assert elements <= dict(required_elements(draft, TRANSFER, KINDS)).keys()
    assert not missing(draft, TRANSFER) & elements
    assert elements <= missing(draft, context())  # the same draft of a record that has none of them
    without_facts = [part.model_copy(update={"groups": ()}) for part in draft.parts]
    told = draft.model_copy(update={"parts": tuple(without_facts), "text": "TRANSFER SUMMARY"})
    assert elements - missing(told, TRANSFER) == {"Reason for the transfer", "Pending results", "Code status"}
    parts = [part.model_copy(update={"groups": (), "narrative": ()}) for part in draft.parts]
    lost = draft.model_copy(update={"parts": tuple(parts), "text": "TRANSFER SUMMARY"})
    assert elements <= missing(lost, TRANSFER)  # the record has them, and the draft does not state them


async def test_what_only_a_note_says_is_present_where_a_supported_sentence_says_it() -> None:
    draft = await drafted(context())
    said = Sentence(narrative="hospital-course", text="Code status was reviewed.", label="supported", by_note=True)
    why = "She was transferred to Northgate for bypass surgery."
    for label, there in (("supported", True), ("not-in-record", False)):
        told = said.model_copy(update={"text": why, "label": label})
        parts = [part.model_copy(update={"narrative": (told,)}) for part in draft.parts]
        found = dict(required_elements(draft.model_copy(update={"parts": tuple(parts)}), context(), KINDS))
        assert found["Reason for the transfer"] is there


async def test_elements_of_other_kinds_of_the_stay_and_of_a_hospital_are_required_too(tmp_path: Path) -> None:
    also = context(also=("newborn-summary", "a-kind-that-is-gone"))
    assert "Birth weight" in missing(await drafted(also), also)
    kinds = load_kinds(write_kind(tmp_path, text=REHABILITATION))
    record = context(kind="rehabilitation-handover", observed=(entry("Full weight-bearing"),))
    found = dict(required_elements(await drafted(record, kinds=kinds), record, kinds))
    assert found["Weight bearing"]
    assert "mobility" in found
    assert "condition-at-discharge" not in found  # its file does not require it
