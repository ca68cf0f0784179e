"""What is counted of a decision about a draft."""

from collections.abc import Iterator

import pytest

from services.evaluator import drafter_metrics
from services.evaluator.decision_signals import decision_of
from shared.contracts.case_values import Edits
from shared.contracts.draft import AnswerFigures
from shared.telemetry import instruments, tracing
from tests.unit.test_decision_signals import approved, drafted, recorded, rejected
from tests.unit.test_telemetry import Exported

DOCUMENT = "discharge-summary"


@pytest.fixture
def exported() -> Iterator[Exported]:
    yield Exported()
    instruments.install(None)
    tracing.install(None)


def test_decisions_sentences_and_answers_are_counted_by_document_role_and_outcome(exported: Exported) -> None:
    answer = AnswerFigures(supported=5, contradicted=1)
    for decided in (approved(), approved(Edits(distance=9, changed=(0,))), rejected("close")):
        decision = decision_of(drafted(answer), recorded(decided))
        assert decision is not None
        drafter_metrics.count(decision, DOCUMENT, "canary")
    place = (DOCUMENT, "canary")
    assert exported.points("countersign.drafter.decisions") == {
        (*place, "signed-as-it-is"): 1,
        (*place, "signed-edited"): 1,
        (*place, "rejected"): 1,
    }
    assert exported.points("countersign.drafter.sentences") == {(*place, "replaced"): 1, (*place, "kept"): 7}
    assert exported.points("countersign.drafter.answer.sentences") == {
        (*place, "supported"): 15,
        (*place, "contradicted"): 3,
        (*place, "not-in-record"): 0,
    }


def test_a_draft_without_an_answer_counts_none(exported: Exported) -> None:
    decision = decision_of(drafted(), recorded(rejected("redraft")))
    assert decision is not None
    drafter_metrics.count(decision, DOCUMENT, "live")
    assert exported.points("countersign.drafter.answer.sentences") == {}
    assert exported.points("countersign.drafter.sentences") == {}
