"""Which stays of evaluations are still to be drafted, and for how long none was."""

from datetime import datetime, timedelta

import pytest

from services.evaluator.evaluation_progress import EvaluationProgress
from shared.contracts.case_values import Actor
from shared.contracts.evaluations import (
    EvaluationEvent,
    EvaluationItem,
    EvaluationRequested,
    ItemJudged,
    ItemReady,
    subject_of,
)
from shared.messaging.event_store import RawMessage
from tests.support.examples import DIGEST, T0

ONE, OTHER = "5c1f0000-0000-4000-8000-000000000001", "5c1f0000-0000-4000-8000-000000000002"
DOCUMENT = "discharge-summary"
ITEM = EvaluationItem(case="c1", department="icu", context=DIGEST, signed=DIGEST)
PAIR = {"candidate": DIGEST, "live": "b" * 64}


def at(hours: float) -> datetime:
    return T0 + timedelta(hours=hours)


class Log:
    """Messages of the stream; each is added at an hour."""

    def __init__(self) -> None:
        self.progress = EvaluationProgress()
        self._sequence = 0

    def add(self, evaluation: str, event: EvaluationEvent, hours: float) -> None:
        self._sequence += 1
        data = event.model_dump_json(exclude_none=True).encode()
        headers = {"ce-time": at(hours).isoformat()}
        self.progress.add([RawMessage(subject_of(evaluation, event), headers, data, self._sequence)])

    def request(self, evaluation: str, stays: int, hours: float = 0) -> None:
        by = Actor(subject="ml", role="operator")
        request = EvaluationRequested(document=DOCUMENT, items=(ITEM,) * stays, by=by, reason="x", **PAIR)
        self.add(evaluation, request, hours)

    def ready(self, evaluation: str, number: int, hours: float) -> None:
        self.add(evaluation, ItemReady(number=number, item=ITEM, **PAIR), hours)

    def judged(self, evaluation: str, number: int, hours: float) -> None:
        self.add(evaluation, ItemJudged(number=number, case="c1", left_out="x"), hours)

    def stalled(self, role: str, hours: float) -> float:
        """Hours."""
        return self.progress.stalled(DOCUMENT, role, at(hours)) / 3600


@pytest.fixture
def log() -> Log:
    return Log()


def test_an_evaluation_waits_for_its_stays_until_the_last_one(log: Log) -> None:
    log.request(ONE, 2)
    assert (log.progress.waiting(DOCUMENT, "candidate"), log.stalled("candidate", 3)) == (2, 3)
    log.ready(ONE, 1, 0.1)
    log.ready(ONE, 2, 0.1)
    log.judged(ONE, 2, 2)
    assert (log.progress.waiting(DOCUMENT, "candidate"), log.stalled("candidate", 3)) == (1, 1)
    assert log.progress.complete == {}
    log.judged(ONE, 1, 3)
    assert (log.progress.waiting(DOCUMENT, "candidate"), log.stalled("candidate", 9)) == (0, 0)
    assert log.progress.complete == {DOCUMENT: ONE}
    assert log.stalled("shadow", 9) == 0


def test_a_stay_whose_message_was_given_up_leaves_its_evaluation_incomplete_for_a_week(log: Log) -> None:
    log.request(ONE, 2)
    log.judged(ONE, 1, 1)
    assert log.stalled("candidate", 24) == 23
    assert log.stalled("candidate", 7 * 24) == 0


def test_a_shadow_waits_where_a_stay_is_ready_and_not_where_none_is_signed(log: Log) -> None:
    log.request(ONE, 0)
    assert (log.progress.waiting(DOCUMENT, "shadow"), log.stalled("shadow", 9)) == (0, 0)
    log.ready(ONE, 71, 10)
    log.ready(ONE, 85, 12)
    assert (log.progress.waiting(DOCUMENT, "shadow"), log.stalled("shadow", 13)) == (2, 3)
    log.judged(ONE, 85, 13)
    assert (log.progress.waiting(DOCUMENT, "shadow"), log.stalled("shadow", 14)) == (1, 1)
    log.judged(ONE, 71, 14)
    assert log.stalled("shadow", 40) == 0
    log.ready(ONE, 90, 40)
    assert log.stalled("shadow", 41) == 1  # not since the stay before
    assert log.progress.complete == {}


def test_the_worst_of_several_counts_and_what_began_before_the_window_is_left_out(log: Log) -> None:
    log.request(ONE, 1)
    log.request(OTHER, 1, 2)
    assert log.stalled("candidate", 3) == 3
    log.judged(ONE, 1, 3)
    assert log.stalled("candidate", 3) == 1
    unknown = "5c1f0000-0000-4000-8000-000000000003"
    log.ready(unknown, 1, 3)
    log.judged(unknown, 1, 3)
    assert log.progress.waiting(DOCUMENT, "candidate") == 1
    assert log.progress.stalled("other-kind", "candidate", at(9)) == 0
