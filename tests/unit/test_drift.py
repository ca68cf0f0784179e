"""When the live configuration is said to have drifted: soon after a fall, and seldom without one."""

import random
from datetime import timedelta
from itertools import product
from math import isclose
from statistics import mean, median

import pytest

from services.evaluator.canary import CanaryOutcome
from services.evaluator.decision_signals import TESTED, decision_of, measure
from services.evaluator.drift import BASELINE_DECISIONS, BETS, MAX_KNOWLEDGE, Drift, SignalState, bet_on, upper_bound
from services.evaluator.drift_api import DriftReport
from shared.contracts.draft import AnswerFigures
from shared.contracts.events import CaseEvent, ReadingFigures
from tests.support.examples import T0
from tests.unit.test_decision_signals import approved, drafted, recorded, rejected

DIGEST = "a" * 64
THRESHOLD = 10_000.0  # the default
CHANGE = 300  # decisions after the baseline at which something changes


def decisions_until_found(chance: random.Random, first: float, later: float, ramp: int, limit: int) -> int | None:
    """Decisions from the change on until one of five signals is found to have risen; None: not within `limit`.

    The share of bad decisions goes from `first` to `later` within `ramp` decisions.
    """
    state = SignalState()
    for number in range(BASELINE_DECISIONS + CHANGE + limit):
        done = min(max(number - BASELINE_DECISIONS - CHANGE + 1, 0) / ramp, 1.0)
        state = state.add(float(chance.random() < first + (later - first) * done), bet=True)
        if state.statistic >= THRESHOLD * len(TESTED):
            return number - BASELINE_DECISIONS - CHANGE
    return None


@pytest.mark.parametrize(
    ("first", "later", "ramp", "at_most"),
    [(0.2, 0.4, 1, 250), (0.2, 0.5, 1000, 900), (0.05, 0.2, 1, 250)],
)
def test_a_fall_is_found_sudden_or_slow(first: float, later: float, ramp: int, at_most: int) -> None:
    chance = random.Random(5)
    found = [decisions_until_found(chance, first, later, ramp, 2500) for _ in range(15)]
    assert sum(item is None or item < 0 for item in found) <= 1
    assert median(item for item in found if item is not None) <= at_most


@pytest.mark.parametrize("share", [0.02, 0.2])
def test_without_a_change_it_is_seldom_found(share: float) -> None:
    """15 runs of 3,500 decisions: at most one in three would be expected by the bound alone."""
    chance = random.Random(13)
    found = [decisions_until_found(chance, share, share, 1, 3000) for _ in range(15)]
    assert sum(item is not None for item in found) <= 2


def test_the_average_run_length_is_at_least_the_threshold_at_the_level_that_is_tolerated() -> None:
    """The bound of the theory, where it is tightest: the mean is exactly what is tolerated."""
    chance = random.Random(3)

    def run(level: float, threshold: float) -> int:
        sums, count = (0.0,) * len(BETS), 0
        while sum(sums) / len(sums) < threshold:
            sums, count = bet_on(sums, float(chance.random() < level), level), count + 1
        return count

    for level, threshold in product((0.05, 0.5), (50, 150)):
        lengths = [run(level, threshold) for _ in range(120)]
        assert mean(lengths) >= threshold * 0.85  # standard error of the mean: about a tenth


@pytest.mark.parametrize("level", [0.05, 0.3, 0.9])
def test_what_is_bet_is_worth_no_more_on_average_while_the_mean_is_tolerated(level: float) -> None:
    before = (3.0, 0.0, 8.0, 1.0, 2.0)
    up, down = bet_on(before, 1.0, level), bet_on(before, 0.0, level)
    for index, sum_before in enumerate(before):
        assert isclose(level * up[index] + (1 - level) * down[index], sum_before + 1)
        assert down[index] >= 0


def test_the_level_that_is_tolerated_is_above_the_baseline_also_where_that_is_zero() -> None:
    assert upper_bound(0.0, 0) == 1.0
    assert 0.01 < upper_bound(0.0, BASELINE_DECISIONS) < 0.02
    assert 0.24 < upper_bound(0.2, BASELINE_DECISIONS) < 0.26
    assert upper_bound(1.0, BASELINE_DECISIONS) == pytest.approx(1.0)
    assert upper_bound(0.2, 10 * BASELINE_DECISIONS) < upper_bound(0.2, BASELINE_DECISIONS)


def watched(values: list[dict[str, float]], knowledge: int | None = 1, threshold: float = 100.0) -> Drift:
    found = Drift(configuration=DIGEST, began=1)
    for number, value in enumerate(values, 1):
        bad = bool(value.get("rejected"))
        found = found.add(
            value,
            CanaryOutcome(rejected=bad),
            knowledge,
            sequence=number,
            time=T0 + timedelta(minutes=number),
            threshold=threshold,
        )
    return found


GOOD, BAD = {"rejected": 0.0, "waited": 0.2}, {"rejected": 1.0, "waited": 0.9}


def test_the_first_decisions_are_the_baseline_and_no_drift_however_bad() -> None:
    assert watched([BAD] * BASELINE_DECISIONS).drifted is None
    assert watched([BAD] * BASELINE_DECISIONS).signals["rejected"].tolerated == 1.0
    assert watched([BAD] * BASELINE_DECISIONS * 2).drifted is None  # no worse than at first


def test_a_drift_is_found_once_and_the_figures_go_on() -> None:
    found = watched([GOOD] * BASELINE_DECISIONS + [BAD] * 60)
    assert found.drifted is not None
    assert (found.drifted.signal, found.drifted.baseline) == ("rejected", 0.0)
    assert BASELINE_DECISIONS < found.drifted.decisions < BASELINE_DECISIONS + 60
    assert found.share("rejected", 100.0) >= 1
    assert found.decisions == BASELINE_DECISIONS + 60
    assert found.signals["rejected"].recent > found.drifted.recent
    later = watched([GOOD] * BASELINE_DECISIONS + [BAD] * 90)
    assert later.drifted == found.drifted
    assert Drift.read(later.model_dump_json().encode()) == later


def test_what_is_only_shown_never_drifts() -> None:
    found = watched([{"waited": 0.0}] * BASELINE_DECISIONS + [{"waited": 1.0}] * 300)
    assert found.drifted is None
    assert found.tested == ()
    assert found.signals["waited"].recent > 0.9


def decided(answer: AnswerFigures | None, event: CaseEvent) -> dict[str, float]:
    """What is measured of a decision, by its events."""
    decision = decision_of(drafted(answer), recorded(event))
    assert decision is not None
    return measure(decision)


def test_sentences_that_the_record_contradicts_are_a_drift_also_where_physicians_do_nothing_more() -> None:
    before = decided(AnswerFigures(supported=9, contradicted=1), approved())
    after = decided(AnswerFigures(supported=5, contradicted=5), approved())
    found = watched([before] * BASELINE_DECISIONS + [after] * 100)
    assert found.drifted is not None
    assert (found.drifted.signal, found.drifted.baseline) == ("contradicted", pytest.approx(0.1))
    assert found.signals["not-in-record"].statistic < 100.0


def test_redrafts_drift_as_rejections_and_are_shown_beside_them() -> None:
    good, redraft, close = (decided(None, item) for item in (approved(), rejected("redraft"), rejected("close")))
    found = watched([good] * BASELINE_DECISIONS + [redraft] * 60)
    assert found.drifted is not None
    assert found.drifted.signal == "rejected"
    assert (found.signals["redraft"].recent, found.signals["redraft"].statistic) == (
        found.signals["rejected"].recent,
        0,
    )
    as_many = watched([close] * BASELINE_DECISIONS + [redraft] * 200)  # others than at first, and no more of them
    assert (as_many.drifted, as_many.signals["redraft"].baseline) == (None, 0)
    assert as_many.signals["redraft"].recent > 0.8


def test_a_signal_has_a_baseline_of_its_own_decisions() -> None:
    """Most decisions say nothing about it: the model was not asked."""
    rare = [GOOD, GOOD, GOOD | {"contradicted": 0.0}]
    found = watched(rare * BASELINE_DECISIONS)
    assert found.signals["contradicted"].count == BASELINE_DECISIONS
    assert found.signals["rejected"].count == 3 * BASELINE_DECISIONS


def test_a_decision_counts_once() -> None:
    found = watched([GOOD, BAD, GOOD])
    for sequence in (1, 2, 3):
        assert found.add(BAD, CanaryOutcome(rejected=True), 1, sequence=sequence, time=T0, threshold=100.0) is found


def test_versions_of_the_knowledge_base_are_counted_and_the_oldest_are_dropped() -> None:
    found = watched([GOOD, BAD], knowledge=4)
    assert [(item.version, item.figures.decisions, item.figures.rejected) for item in found.knowledge] == [(4, 2, 1)]
    for number, version in enumerate([5, None, 4, 6, 7, 8, 9], 3):
        found = found.add(GOOD, CanaryOutcome(), version, sequence=number, time=T0, threshold=100.0)
    assert [item.version for item in found.knowledge] == [None, 4, 6, 7, 8, 9]
    assert len(found.knowledge) == MAX_KNOWLEDGE
    assert found.knowledge[1].figures.decisions == 3


def test_versions_of_the_knowledge_base_have_the_same_signals() -> None:
    unread = approved().model_copy(update={"reading": ReadingFigures(seconds=2, parts_viewed=0, parts=4)})
    answer = AnswerFigures(supported=3, contradicted=1)
    found = watched([decided(answer, unread), decided(None, rejected("redraft")), decided(None, approved())])
    (shown,) = DriftReport.of(found, 100.0).knowledge
    assert (shown.version, shown.decisions) == (1, 3)
    assert (shown.contradicted, shown.redraft, shown.unread) == (0.25, pytest.approx(1 / 3), 1)
    other = found.add(GOOD, CanaryOutcome(), None, sequence=4, time=T0, threshold=100.0)
    shown = DriftReport.of(other, 100.0).knowledge[-1]
    assert (shown.contradicted, shown.redraft, shown.unread) == (None, None, None)


def test_long_runs_stay_finite() -> None:
    sums = (0.0,) * len(BETS)
    for _ in range(3000):
        sums = bet_on(sums, 1.0, 0.03)
    assert all(item <= 1e300 for item in sums)
