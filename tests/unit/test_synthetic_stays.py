"""Synthetic stays that ship with Countersign: which are chosen, and what an evaluation on them says."""

import pytest
from pydantic import ValidationError

from services.evaluator.draft_metrics import MIN_JUDGED, evaluate
from services.evaluator.evaluation_sets import StayChoice, choose_synthetic
from services.evaluator.evaluations_api import NewEvaluation
from shared.clinical import synthetic_stays
from shared.contracts.envelope import sha256_hex
from shared.contracts.errors import PermanentError
from shared.contracts.evaluations import DraftFigures, ItemJudged
from shared.runtime.problems import ProblemError
from tests.stays.ship import record, shipped

DOCUMENT = "discharge-summary"
STAYS = synthetic_stays.index()


def test_every_stay_of_the_index_has_its_record() -> None:
    for item in STAYS:
        assert synthetic_stays.record(item.name, item.context).encounter
    with pytest.raises(PermanentError, match="another record"):
        synthetic_stays.record(STAYS[0].name, STAYS[1].context)
    assert sum(item.document == DOCUMENT for item in STAYS) >= MIN_JUDGED  # enough for a verdict


async def test_they_are_written_from_the_corpus() -> None:
    """They stay as they were written: another record would be missing in the sets that name this one."""
    found, data = await record(next(shipped()))
    assert found.context == sha256_hex(data)
    assert found.model_copy(update={"context": ""}) in [item.model_copy(update={"context": ""}) for item in STAYS]


def test_stays_are_chosen_by_document_and_name() -> None:
    def names(**wanted: object) -> list[str]:
        choice = StayChoice(**({"limit": 500, "synthetic": True} | wanted))  # type: ignore[arg-type]
        return [item.case for item in choose_synthetic(STAYS, DOCUMENT, choice)]

    every = [item.name for item in STAYS if item.document == DOCUMENT]
    assert names() == every
    assert names(limit=3, without=(every[0],)) == every[1:4]
    assert names(cases=(every[2], every[0], every[2])) == [every[2], every[0]]
    items = choose_synthetic(STAYS, DOCUMENT, StayChoice(1, synthetic=True))
    assert (items[0].signed, items[0].synthetic) == (None, True)
    with pytest.raises(ProblemError, match="Not every case"):
        names(cases=("none",))
    with pytest.raises(ProblemError, match="No stay"):
        choose_synthetic(STAYS, "another-document", StayChoice(5, synthetic=True))


def test_synthetic_stays_are_of_no_department() -> None:
    with pytest.raises(ValidationError, match="of no department"):
        NewEvaluation.model_validate({"synthetic": True, "department": "icu", "reason": "why"})
    with pytest.raises(ValidationError, match="give a set"):
        NewEvaluation.model_validate({"synthetic": True, "set": "icu", "reason": "why"})


def test_what_compares_with_a_signed_text_is_named_as_absent() -> None:
    honest, inventing = (DraftFigures(supported=4, not_in_record=count, sentences=4) for count in (0, 4))

    def judged(candidate: DraftFigures, live: DraftFigures) -> list[ItemJudged]:
        return [ItemJudged(number=number, candidate=candidate, live=live) for number in range(1, MIN_JUDGED + 1)]

    found = evaluate(judged(honest, honest), MIN_JUDGED)
    assert found.absent == ("rouge-l", "similarity", "sentence-similarity", "kept", "facts-omitted")
    assert not {item.name for item in found.metrics} & set(found.absent)
    assert found.passed
    worse = evaluate(judged(inventing, honest), MIN_JUDGED)
    assert (worse.passed, worse.conclusive) == (False, True)
    assert worse.reasons == ("not-in-record is 0.500, live 0.000: worse by more than the margin of 0.05",)
    signed = honest.model_copy(update={"rouge_l": 0.0, "similarity": 0.0, "kept": 0})
    assert evaluate(judged(signed, signed), MIN_JUDGED).absent == ()
