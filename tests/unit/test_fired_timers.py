"""A timer that fires before its review was requested is not lost: the server's clock may be ahead of ours."""

from datetime import timedelta
from typing import Any, cast

import pytest

from services.approval.escalation.handlers import EscalationHandler
from services.approval.escalation.rules import timing
from shared.contracts.case import fold
from shared.contracts.envelope import RecordedEvent
from shared.contracts.errors import TransientError
from shared.messaging.timers import FiredTimer
from tests.unit.test_approval import history
from tests.unit.test_messaging import T0

DRAFTED = ("discharged", "context-extracted", "drafted")


class History:
    """The events of one case."""

    def __init__(self, events: list[RecordedEvent]) -> None:
        self._events = events

    async def history(self, _: object) -> list[RecordedEvent]:
        return self._events


def handler(events: list[RecordedEvent]) -> EscalationHandler:
    made = EscalationHandler(cast(Any, None), cast(Any, None), cast(Any, None), lambda: T0 + timedelta(days=30))
    made._event_store = cast(Any, History(events))
    return made


def fired(events: list[RecordedEvent], clock: str) -> FiredTimer:
    return FiredTimer(events[0].case, 1, T0, clock)


async def test_a_timer_waits_for_the_review_that_it_was_set_for() -> None:
    events = history(*DRAFTED)
    with pytest.raises(TransientError):
        await handler(events)._append_escalation(fired(events, "not-requested-yet"))


async def test_a_timer_of_an_earlier_review_is_dropped_while_the_next_one_is_prepared() -> None:
    events = history(*DRAFTED, "review-requested", "rejected", "redraft-requested", "drafted")
    assert events[-1].name == "drafted"
    assert await handler(events)._append_escalation(fired(events, events[3].id)) == (events, 2)


async def test_a_timer_of_an_attempt_that_was_not_completed_is_set_again_for_the_deadline() -> None:
    """Each attempt to request a review sets a timer first; the deadline is that of the attempt that was completed."""
    events = history(*DRAFTED, "review-requested")
    deadline = cast(Any, events[-1].body).deadlines[0]
    made = handler(events)
    made._clock = lambda: deadline - timedelta(seconds=5)
    clock = cast(str, fold(events).escalation_run)
    timer = FiredTimer(events[0].case, 1, deadline - timedelta(seconds=12), clock)
    assert await made._append_escalation(timer) == (events, 1), "the timer of level 1 is set for its deadline"


@pytest.mark.parametrize(
    ("due", "now", "found"),
    [(-12, -5, "superseded"), (-12, 0, "due"), (0, -5, "due"), (-0.0009, -5, "due"), (0, -31, "early"), (0, 1, "due")],
)
def test_when_a_fired_timer_is_due(due: float, now: float, found: str) -> None:
    """In seconds from the deadline; times in timers are in milliseconds, clocks of two servers differ."""
    assert timing(T0 + timedelta(seconds=due), T0, T0 + timedelta(seconds=now)) == found
