"""Which sentences stand in a draft: composed ones, unless a model's sentence says the same by the same sources."""

from services.drafter.policy import choose_narrative
from shared.contracts.draft import Claim, Evidence, Sentence

EVIDENCE = (Evidence(source="Condition/1", text="Pneumonia"),)
RULES = Sentence(
    narrative="hospital-course", text="Suspected, not confirmed: pneumonia.", evidence=EVIDENCE, origin="rules"
)


def model(text: str, **changes: object) -> Sentence:
    return Sentence(narrative="hospital-course", text=text, evidence=EVIDENCE).model_copy(update=changes)


def test_a_sentence_of_the_model_replaces_a_composed_one_that_says_the_same() -> None:
    same = model("Pneumonia was suspected but not confirmed.")
    chosen = choose_narrative((RULES,), (same,), "strict")
    assert (chosen.sentences, chosen.composed, chosen.replaced) == ((same,), 0, 0)


def test_a_sentence_that_loses_a_word_has_other_sources_or_a_claim_is_dropped() -> None:
    text = "Pneumonia was suspected but not confirmed."
    for other in (
        model("She had pneumonia."),
        model(text, evidence=(Evidence(source="Condition/2", text="Pneumonia"),)),
        model(text, evidence=()),
        model(text, unsupported=(Claim(kind="drug", text="x"),)),
        model(text, narrative="patient-instructions"),
    ):
        chosen = choose_narrative((RULES,), (other,), "strict")
        assert (chosen.sentences, chosen.composed, chosen.replaced) == ((RULES,), 1, 1)


def test_marked_keeps_the_models_text_and_composes_only_what_it_did_not_write() -> None:
    claim = model("She took 5 mg.", unsupported=(Claim(kind="dose", text="5 mg"),))
    plain = RULES.model_copy(update={"narrative": "patient-instructions"})
    assert choose_narrative((RULES, plain), (claim,), "marked").sentences == (claim, plain)
    assert choose_narrative((RULES,), (), "marked").sentences == (RULES,)
