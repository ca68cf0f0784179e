"""When a canary is called worse: soon if it is, and seldom if it is not, however often one looks."""

import random
from math import comb

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.evaluator.canary import MAX_WAITING, CanaryOutcome, Comparison, evidence
from shared.contracts.draft import DrafterRole

pytestmark = pytest.mark.slow

DIGEST = "a" * 64
THRESHOLD = 20.0
GOOD, EDITED, BAD = CanaryOutcome(), CanaryOutcome(replaced=0.25, distance=80), CanaryOutcome(rejected=True)


def compared(*outcomes: tuple[DrafterRole, CanaryOutcome]) -> Comparison:
    found = Comparison(canary=DIGEST, began=1)
    for number, (role, outcome) in enumerate(outcomes, 1):
        found = found.add(role, outcome, number, {})
    return found


def run(chance: random.Random, bad_canary: float, bad_live: float, share: float, decisions: int) -> int | None:
    """After how many decisions the canary is called worse; None: never."""
    found = Comparison(canary=DIGEST, began=1)
    for number in range(1, decisions + 1):
        canary = chance.random() < share
        bad = chance.random() < (bad_canary if canary else bad_live)
        found = found.add("canary" if canary else "live", EDITED if bad else GOOD, number, {})
        if found.is_worse(THRESHOLD):
            return number
    return None


def test_a_fall_in_quality_is_seen() -> None:
    chance = random.Random(7)
    found = [run(chance, 0.8, 0.2, 0.1, 2000) for _ in range(50)]
    assert None not in found
    assert sorted(item for item in found if item)[25] < 400  # decisions, of which a tenth are about the canary's drafts


def test_one_that_is_not_worse_is_seldom_rolled_back_however_often_one_looks() -> None:
    """At most one in twenty by the theory; 300 runs of 1,000 decisions each."""
    chance = random.Random(11)
    assert sum(run(chance, 0.4, 0.4, 0.3, 1000) is not None for _ in range(300)) <= 15 + 8
    assert sum(run(chance, 0.2, 0.5, 0.3, 1000) is not None for _ in range(100)) == 0


@given(st.integers(0, 12))
def test_the_evidence_of_a_fair_coin_is_one_on_average(pairs: int) -> None:
    """That is what makes it an e-value."""
    mean = sum(comb(pairs, worse) / 2**pairs * evidence(worse, pairs) for worse in range(pairs + 1))
    assert mean == pytest.approx(1.0)


def test_nothing_is_evidence_of_nothing_and_long_runs_can_be_computed() -> None:
    assert evidence(0, 0) == 1.0
    assert evidence(7, 7) > THRESHOLD
    assert evidence(0, 20) < 1
    assert evidence(5000, 5000) == pytest.approx(1e300)


@pytest.mark.parametrize(
    ("canary", "live", "result"),
    [
        (BAD, EDITED, "worse"),
        (GOOD, EDITED, "better"),
        (EDITED, EDITED, "same"),
        (CanaryOutcome(distance=3), GOOD, "worse"),
        (CanaryOutcome(replaced=0.5, distance=3), EDITED, "worse"),
    ],
)
def test_outcomes_are_compared_by_what_a_physician_did(canary: CanaryOutcome, live: CanaryOutcome, result: str) -> None:
    for order in ((("canary", canary), ("live", live)), (("live", live), ("canary", canary))):
        found = compared(*order)
        assert {name: getattr(found, name) for name in ("worse", "better", "same")} == {
            "worse": 0,
            "better": 0,
            "same": 0,
        } | {result: 1}
        assert (found.of_canary.decisions, found.of_live.decisions) == (1, 1)


def test_decisions_wait_for_one_of_the_other_side_and_are_taken_in_once() -> None:
    found = compared(*[("live", GOOD)] * (MAX_WAITING + 5))
    assert (len(found.waiting), found.of_live.decisions) == (MAX_WAITING, MAX_WAITING + 5)
    again = found.add("canary", BAD, found.last, {})
    assert again == found
    after = found.add("canary", BAD, found.last + 1, {})
    assert (after.worse, len(after.waiting)) == (1, MAX_WAITING - 1)
    assert Comparison.read(after.model_dump_json().encode()) == after


def test_a_few_decisions_are_not_enough() -> None:
    few = compared(*[("canary", BAD), ("live", GOOD)] * 4)
    assert not few.is_worse(1.5)
