"""Limits of the gate: those of a kind of document, completed by the defaults, and what a candidate is held back by."""

from pathlib import Path

import pytest

from services.drafter.kinds import load_kinds, load_shipped_kinds
from services.evaluator.draft_metrics import EvaluationResult, evaluate
from shared.contracts import drafter_states as states
from shared.contracts.drafter_states import DocumentDrafters
from shared.contracts.drafters import Declared
from shared.contracts.errors import PermanentError
from shared.contracts.evaluations import DraftFigures, ItemJudged
from shared.contracts.quality_gate import DEFAULT_LIMITS, GateLimits, MetricLimits, gate_limits
from tests.support.kinds import REHABILITATION, write_kind
from tests.unit.test_drafter_states import A, after

OWN = """
[gate.contradicted]
limit = 0.05

[gate.words]
limit = 150
"""


def judged(candidate: DraftFigures, live: DraftFigures, limits: GateLimits = DEFAULT_LIMITS) -> EvaluationResult:
    items = [ItemJudged(number=number, candidate=candidate, live=live) for number in range(1, 21)]
    return evaluate(items, 20, limits=limits)


def answered(*, contradicted: int = 0, not_in_record: int = 0, **more: float) -> DraftFigures:
    """An answer of ten sentences."""
    supported = 10 - contradicted - not_in_record
    counts = {"supported": supported, "contradicted": contradicted, "not_in_record": not_in_record}
    return DraftFigures.model_validate(counts | {"rouge_l": 0.9} | more)


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        (answered(contradicted=5), "contradicted is 0.500, live 0.500: over the limit of 0.4"),
        (answered(not_in_record=9), "not-in-record is 0.900, live 0.900: over the limit of 0.75"),
    ],
)
def test_a_candidate_as_bad_as_a_bad_live_one_is_held_back(bad: DraftFigures, reason: str) -> None:
    found = judged(bad, bad)
    assert (found.passed, found.conclusive, found.reasons) == (False, True, (reason,))
    assert judged(answered(), bad).passed


def test_what_the_model_that_ships_reaches_is_within_the_limits_of_every_kind() -> None:
    """Its means on the synthetic discharge summaries are 0.20 and 0.48 (docs/reference/verified.md)."""
    shipped = answered(contradicted=2, not_in_record=5)
    for kind in load_shipped_kinds().all.values():
        assert judged(shipped, shipped, gate_limits(kind.gate)).passed, kind.name


def test_a_kind_has_limits_and_margins_of_its_own() -> None:
    limits = gate_limits({"contradicted": MetricLimits(margin=0.2), "rouge-l": MetricLimits(limit=0.95)})
    assert limits["contradicted"] == MetricLimits(limit=0.4, margin=0.2)  # what it does not state is the default
    assert limits["rouge-l"] == MetricLimits(limit=0.95, margin=0.05)
    found = judged(answered(contradicted=2), answered(), limits)
    assert found.reasons == ("rouge-l is 0.900, live 0.900: under the limit of 0.95",)
    worse = judged(answered(contradicted=3, rouge_l=0.8), answered(), limits)
    assert worse.reasons == (
        "contradicted is 0.300, live 0.000: worse by more than the margin of 0.2",
        "rouge-l is 0.800, live 0.900: under the limit of 0.95",
        "rouge-l is 0.800, live 0.900: worse by more than the margin of 0.05",
    )
    by_name = {item.name: item for item in worse.metrics}
    assert (by_name["rouge-l"].failed, by_name["rouge-l"].passed) == (("limit", "margin"), False)
    assert (by_name["words"].limit, by_name["words"].passed) == (None, None)


def test_a_mean_that_is_exactly_at_its_limit_passes_and_one_without_a_mean_holds_nothing_back() -> None:
    limits = gate_limits({"seconds": MetricLimits(limit=0.3), "cost": MetricLimits(limit=0.01)})
    assert judged(answered(seconds=0.1 + 0.2), answered(seconds=0.3), limits).passed
    alone = judged(answered(cost=0.02), answered(), limits)  # the server of live does not state what it costs
    assert alone.reasons == ("cost is 0.020: over the limit of 0.01",)


def test_a_file_of_a_kind_states_limits_and_keeps_those_of_what_it_extends(tmp_path: Path) -> None:
    folder = write_kind(tmp_path, text=REHABILITATION + OWN)
    child = "[gate.contradicted]\nmargin = 0\n[gate.silent]\nlimit = 0.1\n"
    write_kind(folder, "handover-home", f'extends = "rehabilitation-handover"\ntitle = "Home"\n{child}')
    kinds = load_kinds(folder)
    assert kinds.all["rehabilitation-handover"].gate == {
        "contradicted": MetricLimits(limit=0.05),
        "words": MetricLimits(limit=150),
    }
    assert kinds.all["handover-home"].gate == {
        "contradicted": MetricLimits(limit=0.05, margin=0),
        "words": MetricLimits(limit=150),
        "silent": MetricLimits(limit=0.1),
    }


@pytest.mark.parametrize(
    ("wrong", "named"),
    [
        ("[gate.contradictions]\nlimit = 0.1", "gate.contradictions"),
        ("[gate.contradicted]", "has no limit and no margin"),
        ("[gate.contradicted]\nlimit = -1", "gate.contradicted.limit"),
        ("[gate.contradicted]\nmax = 1", "gate.contradicted.max: is not known here"),
        ("gate = 1", "gate: must be a mapping"),
    ],
)
def test_wrong_limits_are_named(tmp_path: Path, wrong: str, named: str) -> None:
    text = f"{wrong}\n{REHABILITATION}" if wrong.startswith("gate =") else f"{REHABILITATION}\n{wrong}\n"
    with pytest.raises(PermanentError, match=r"rehabilitation-handover/kind\.toml") as found:
        load_kinds(write_kind(tmp_path, text=text))
    assert named in str(found.value)


def test_limits_are_declared_once_and_again_when_they_change() -> None:
    own = {"contradicted": MetricLimits(limit=0.05)}
    now = after(DocumentDrafters("discharge-summary"), states.declare(DocumentDrafters("discharge-summary"), A))
    assert (now.gate, states.declare(now, A)) == ({}, None)
    event = states.declare(now, A, own)
    assert isinstance(event, Declared)
    later = after(now, Declared.read(event.model_dump_json(exclude_none=True).encode()))
    assert later.gate == own
    assert later.live == now.live  # since when it is live, and its baseline, stay
    assert states.declare(later, A, own) is None
    assert Declared.read(b'{"configuration": "%s"}' % A.encode()).gate == {}  # by an earlier version
