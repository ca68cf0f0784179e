"""Which moves are offered, and what the evaluations of a candidate say."""

from collections.abc import Callable
from dataclasses import replace
from functools import partial

import pytest

from services.evaluator import gate
from services.evaluator.draft_metrics import EvaluationResult
from services.evaluator.evaluations import Evaluation
from shared.contracts import drafter_states as states
from shared.contracts.drafter_states import DocumentDrafters, DrafterEntry
from shared.contracts.drafters import DrafterEvent
from shared.contracts.evaluations import EvaluationItem, EvaluationRequested
from tests.support.drafters import CANDIDATE, DOCUMENT, LIVE, WHO
from tests.support.examples import T0

LIVE_ENTRY = DrafterEntry(LIVE.digest, "live", T0, "drafter", "declared")
ENTRY = DrafterEntry(CANDIDATE.digest, "candidate", T0, "ml", "try it")
NOW = DocumentDrafters(DOCUMENT, {LIVE.digest: LIVE_ENTRY, CANDIDATE.digest: ENTRY})
DIGEST = CANDIDATE.digest


def result(*reasons: str, conclusive: bool = True) -> EvaluationResult:
    return EvaluationResult(12, 0, (), (), conclusive, not reasons, reasons, ())


def evaluation(
    id: str, found: EvaluationResult, live: str = LIVE.digest, *, trial: bool = False, synthetic: bool = False
) -> Evaluation:
    pair = {"candidate": DIGEST, "live": live}
    items = (EvaluationItem(case="us-hip", department="synthetic", context="c" * 64),) if synthetic else ()
    requested = EvaluationRequested(
        document=DOCUMENT, items=items, by=WHO, reason="does it hold?", keep_drafts=trial, **pair
    )
    return Evaluation(id, requested, found, T0)


def test_the_last_evaluation_with_a_verdict_against_what_is_live_decides() -> None:
    passed, failed = evaluation("a", result()), evaluation("b", result("silent is 1"))
    running = evaluation("c", result("9 stays are still to be drafted", conclusive=False))
    assert gate.verdict(NOW, [failed, passed, running]) == gate.GateVerdict(passed)
    held_back = gate.verdict(NOW, [passed, failed, running])
    assert (held_back.passed, held_back.evaluation, held_back.detail) == (
        False,
        failed,
        "By its evaluation: silent is 1.",
    )
    assert gate.verdict(NOW, [running]).evaluation is running


def test_an_evaluation_on_synthetic_stays_decides_while_none_on_signed_stays_does() -> None:
    synthetic, failed = evaluation("a", result(), synthetic=True), evaluation("b", result("silent is 1"))
    running = evaluation("c", result("9 stays are still to be drafted", conclusive=False))
    assert gate.verdict(NOW, [synthetic, running]) == gate.GateVerdict(synthetic)
    for found in ([synthetic, failed], [failed, synthetic]):
        assert gate.verdict(NOW, found).evaluation is failed


@pytest.mark.parametrize(
    "found",
    [[], [evaluation("a", result(), live="0" * 64)], [evaluation("a", result(), trial=True)]],
    ids=["none", "against another configuration", "a trial"],
)
def test_nothing_else_opens_the_gate(found: list[Evaluation]) -> None:
    verdict = gate.verdict(NOW, found)
    assert (verdict.passed, verdict.title) == (False, "Not evaluated")


@pytest.mark.parametrize(
    ("state", "offered"),
    [
        ("candidate", {"shadow", "canary", "promote", "retire"}),
        ("shadow", {"canary", "promote", "rollback"}),
        ("canary", {"canary", "promote", "rollback"}),
        ("retired", set()),
    ],
)
def test_a_move_is_offered_where_the_state_allows_it(state: states.DrafterState, offered: set[str]) -> None:
    against = LIVE.digest if state == "shadow" else None
    entry = replace(ENTRY, state=state, against=against, share=0.1 if state == "canary" else None)
    now = replace(NOW, entries={LIVE.digest: LIVE_ENTRY, DIGEST: entry})
    found = gate.offers(now, DIGEST)
    assert {name for name, item in found.items() if not item.refused} == offered
    assert gate.is_gated(now, DIGEST) == (state in ("candidate", "shadow"))
    moves: dict[str, Callable[..., DrafterEvent | None]] = {
        "shadow": states.start_shadow,
        "canary": partial(states.start_canary, share=0.3),
        "promote": states.promote,
        "rollback": states.roll_back,
        "retire": states.retire,
    }
    for name, item in found.items():
        if item.refused:
            with pytest.raises(states.TransitionRefusedError, match=item.refused):
                moves[name](now, DIGEST, by=WHO, reason="x")


def test_what_was_live_before_takes_the_place_of_what_is_live() -> None:
    assert gate.offers(NOW, LIVE.digest)["rollback"].refused
    assert not gate.offers(replace(NOW, replaced=(DIGEST,)), LIVE.digest)["rollback"].refused
