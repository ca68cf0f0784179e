"""What an evaluation finds, when it passes, and how a draft is measured against the signed text."""

import numpy as np
import pytest

from services.drafter.evaluation_metrics import (
    cost_of,
    measure,
    reading_grade,
    rouge_l,
    sentence_f1,
    signed_narrative,
    with_omissions,
)
from services.drafter.writing import Assignment, DraftWriter
from services.evaluator.draft_metrics import MAX_WORST_STAYS, MIN_JUDGED, evaluate
from shared.contracts.evaluations import DraftFigures, ItemJudged
from shared.runtime.generation_endpoints import Price
from tests.support.drafters import declared_drafters
from tests.support.generator import ScriptedGenerator
from tests.unit.test_reuse import COURSE, DISCHARGED

GOOD = DraftFigures(
    supported=4, sentences=6, kept=6, rouge_l=0.9, similarity=0.95, words=80, seconds=1.0, facts_signed=10
)
INVENTED = GOOD.model_copy(update={"supported": 2, "contradicted": 2})
VAGUE = GOOD.model_copy(update={"supported": 2, "not_in_record": 2})
TERSE = GOOD.model_copy(update={"facts_signed": 10, "facts_omitted": 4})
OTHER = GOOD.model_copy(update={"rouge_l": 0.7, "similarity": 0.7})
SILENT = GOOD.model_copy(update={"supported": 0, "silent": True})


def judged(*candidates: DraftFigures, live: DraftFigures = GOOD) -> list[ItemJudged]:
    numbered = enumerate(candidates, 1)
    return [ItemJudged(number=number, case=f"c{number}", candidate=item, live=live) for number, item in numbered]


@pytest.mark.parametrize(
    ("worse", "named"),
    [
        (INVENTED, "contradicted"),
        (VAGUE, "not-in-record"),
        (OTHER, "rouge-l"),
        (OTHER, "similarity"),
        (SILENT, "silent"),
        (TERSE, "facts-omitted"),
    ],
)
def test_a_worse_candidate_is_held_back_with_the_reason(worse: DraftFigures, named: str) -> None:
    found = evaluate(judged(*[GOOD] * 8, *[worse] * 12), 20)
    assert not found.passed
    assert any(reason.startswith(f"{named} is") for reason in found.reasons)
    assert evaluate(judged(*[GOOD] * 20), 20).passed
    better = [ItemJudged(number=number, case=f"c{number}", candidate=GOOD, live=worse) for number in range(1, 21)]
    assert evaluate(better, 20).passed


def test_few_stays_or_some_to_come_pass_nothing() -> None:
    assert "are needed" in evaluate(judged(*[GOOD] * (MIN_JUDGED - 1)), MIN_JUDGED - 1).reasons[0]
    assert "still to be drafted" in evaluate(judged(*[GOOD] * MIN_JUDGED), MIN_JUDGED + 1).reasons[0]
    assert evaluate(judged(*[GOOD] * MIN_JUDGED)).passed  # of a shadow: as many as have been signed
    verdicts = (evaluate(judged(*[GOOD] * number), MIN_JUDGED).conclusive for number in (MIN_JUDGED - 1, MIN_JUDGED))
    assert list(verdicts) == [False, True]
    assert not evaluate(judged(*[GOOD] * MIN_JUDGED), MIN_JUDGED + 1).conclusive
    nothing = evaluate([], 5)
    assert (nothing.judged, nothing.metrics, nothing.passed) == (0, (), False)


def test_two_models_that_say_nothing_are_no_pass() -> None:
    """An endpoint that is not there, or a model server that is down: no sentence was judged."""
    found = evaluate(judged(*[SILENT] * 20, live=SILENT), 20)
    assert found.reasons == (f"the candidate's model answered for 0 stays, {MIN_JUDGED} are needed",)


def test_stays_without_texts_are_counted_and_the_worst_are_named() -> None:
    items = judged(*[GOOD] * 10, VAGUE, INVENTED, *[OTHER] * 4)
    items.append(ItemJudged(number=17, left_out="the texts of the case were erased"))
    found = evaluate(list(reversed(items)), 17)
    assert (found.judged, found.left_out) == (16, 1)
    assert found.worst[:2] == ("c12", "c11")  # contradictions first
    assert len(found.worst) == MAX_WORST_STAYS
    assert evaluate(judged(*[GOOD] * 10), 10).worst == ()


def test_the_interval_has_the_difference_and_is_the_same_each_time() -> None:
    items = judged(*[GOOD] * 15, *[VAGUE] * 5)
    found = {item.name: item for item in evaluate(items, 20).metrics}
    share = found["not-in-record"]
    assert (share.candidate, share.live, share.difference) == (0.125, 0.0, 0.125)
    assert share.low is not None
    assert share.high is not None
    assert 0 < share.low < 0.125 < share.high < 0.25
    assert found == {item.name: item for item in evaluate(items, 20).metrics}


def test_rouge_l_is_that_of_the_paper() -> None:
    # https://aclanthology.org/W04-1013/, section 3.1: against "police killed the gunman"
    reference = ["police", "killed", "the", "gunman"]
    assert rouge_l(["police", "kill", "the", "gunman"], reference) == pytest.approx(3 / 4)
    assert rouge_l(["the", "gunman", "kill", "police"], reference) == pytest.approx(2 / 4)
    assert rouge_l([], []) == 1.0
    assert rouge_l([], reference) == 0.0


async def test_a_draft_is_measured_by_what_the_model_wrote_and_what_was_signed() -> None:
    invented = "The patient underwent a heart transplant and was discharged on warfarin 10 mg every evening for life."
    figures = {}
    for name, text in (("plain", COURSE), ("invented", invented)):
        writer = DraftWriter(declared_drafters(ScriptedGenerator(text)), 5.0, None)
        task = Assignment(case="c1", department="medicine", context_digest="c" * 64, last=True)
        draft = await writer.write(DISCHARGED, task)
        (figures[name],) = with_omissions([measure(draft, draft.text, 1.5)], [draft], draft.text, DISCHARGED)
        assert signed_narrative(draft.text).split() == " ".join(item.text for item in draft.sentences).split()
    assert figures["plain"].supported > 0
    assert figures["plain"].not_in_record + figures["plain"].contradicted == 0
    # By the policy `strict` the invented sentence is not in the draft: it is counted all the same.
    assert figures["invented"].supported == 0
    assert figures["invented"].not_in_record + figures["invented"].contradicted == 1
    for found in figures.values():
        assert (found.rouge_l, found.similarity, found.kept) == (1.0, 1.0, found.sentences)
        assert found.seconds == 1.5
        assert found.facts_signed > 0
        assert found.facts_omitted == 0  # what was signed is the draft itself


async def test_a_fact_that_only_the_signed_narrative_states_was_omitted() -> None:
    writer = DraftWriter(declared_drafters(ScriptedGenerator(COURSE)), 5.0, None)
    task = Assignment(case="c1", department="medicine", context_digest="c" * 64, last=True)
    draft = await writer.write(DISCHARGED, task)
    parts = [part.model_copy(update={"narrative": part.narrative[1:]}) for part in draft.parts]
    shorter = draft.model_copy(update={"parts": tuple(parts)})  # without the first sentence of each narrative
    both, signed = [draft, shorter], draft.text
    same, terse = with_omissions([measure(item, signed, 1.5) for item in both], both, signed, DISCHARGED)
    assert (same.facts_omitted, same.facts_signed) == (0, terse.facts_signed)
    assert 0 < terse.facts_omitted < terse.facts_signed
    silent = draft.model_copy(update={"parts": ()})
    (nothing,) = with_omissions([measure(silent, signed, 1.5)], [silent], signed, DISCHARGED)
    assert 0 < nothing.facts_omitted == nothing.facts_signed
    (unsigned,) = with_omissions([measure(draft, "Nothing.", 1.5)], [draft], "Nothing.", DISCHARGED)
    assert (unsigned.facts_signed, unsigned.facts_omitted) == (0, 0)


def test_reading_grade_is_the_automated_readability_index() -> None:
    # 46 letters in 8 words and one sentence
    grade = reading_grade(["Return to the hospital if breathing becomes difficult."])
    assert grade == pytest.approx(4.71 * 46 / 8 + 0.5 * 8 - 21.43, abs=0.01)
    easy = reading_grade(["Take one pill in the morning.", "Call us when it hurts."])
    assert grade is not None
    assert easy is not None
    assert grade > easy + 5
    assert reading_grade([]) is None


def test_the_cost_of_an_answer_is_known_where_a_price_and_tokens_are() -> None:
    counted = GOOD.model_copy(update={"input_tokens": 2_000, "output_tokens": 500})
    price = Price(input_per_million=3.0, output_per_million=15.0)
    assert cost_of(counted, price) == pytest.approx(0.0135)
    assert cost_of(counted, None) is None
    assert cost_of(GOOD, price) is None


def test_sentences_are_matched_with_the_most_similar_ones() -> None:
    one, other = np.eye(3, dtype=np.float32)[:1], np.eye(3, dtype=np.float32)[:2]
    assert sentence_f1(other, other) == 1.0
    assert sentence_f1(one, other) == pytest.approx(2 / 3, abs=1e-3)  # all of it is there, half of the other is not
    assert sentence_f1(np.eye(3, dtype=np.float32)[2:], other) == 0.0
    nothing = np.zeros((0, 3), dtype=np.float32)
    assert (sentence_f1(nothing, nothing), sentence_f1(nothing, other)) == (1.0, 0.0)


def test_departments_are_shown_apart_and_figures_that_were_not_measured_are_left_out() -> None:
    items = judged(*[GOOD] * 8, *[INVENTED] * 4)
    items = [item.model_copy(update={"department": "icu" if item.number > 8 else "ward"}) for item in items]
    counted = GOOD.model_copy(update={"output_tokens": 100})
    items[0] = items[0].model_copy(update={"candidate": counted, "live": counted})
    found = evaluate(items, 12)
    assert [(item.department, item.judged) for item in found.departments] == [("icu", 4), ("ward", 8)]
    contradicted = {item.department: item.metrics[0].difference for item in found.departments}
    assert contradicted == {"icu": 0.5, "ward": 0.0}
    names = {item.name: item.stays for item in found.metrics}
    assert (names["output-tokens"], names["seconds"]) == (1, 12)
    assert "reading-grade" not in names
    one_sided = [item.model_copy(update={"live": GOOD}) for item in items[:1]]
    (tokens,) = [item for item in evaluate(one_sided).metrics if item.name == "output-tokens"]
    assert (tokens.stays, tokens.candidate, tokens.live, tokens.difference) == (0, 100.0, None, None)
    assert evaluate(judged(GOOD)).departments == ()  # recorded before departments were
