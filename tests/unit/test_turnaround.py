"""Figures of the last weeks, from the names and times of events."""

from datetime import timedelta

import pytest

from services.approval.projections.turnaround import TurnaroundProjection
from tests.support.examples import T0

HOUR, DAY = timedelta(hours=1), timedelta(days=1)


def figures(*events: tuple[str, str, timedelta], days: int = 7, departments: tuple[str, ...] | None = None):  # type: ignore[no-untyped-def]
    projection = TurnaroundProjection(lambda: T0)
    for case, name, ago in sorted(events, key=lambda item: -item[2]):
        projection.apply(case.partition("/")[0], case, name, T0 - ago)
    return projection.figures(departments, timedelta(days=days))


def signed(case: str, after: timedelta, ago: timedelta = HOUR) -> list[tuple[str, str, timedelta]]:
    return [(case, "review-requested", ago + after), (case, "approved", ago)]


def test_median_and_90th_percentile_are_those_of_the_signatures_of_the_period() -> None:
    events = [event for number in range(1, 11) for event in signed(f"a/{number}", number * HOUR)]
    old = signed("a/old", 99 * HOUR, 8 * DAY)
    found = figures(*events, *old)
    assert (found.signed, found.median, found.p90) == (10, 5.5 * 3600, pytest.approx(9.1 * 3600))
    assert figures(*events, *old, days=30).signed == 11


def test_departments_are_apart() -> None:
    events = [*signed("a/1", HOUR), *signed("b/1", 3 * HOUR)]
    assert figures(*events, departments=("b",)).median == 3 * 3600
    assert figures(*events, departments=()).signed == 0
    assert figures(*events).signed == 2


def test_a_signature_without_its_request_counts_and_has_no_turnaround() -> None:
    found = figures(("a/1", "approved", HOUR), *signed("a/2", 2 * HOUR))
    assert (found.signed, found.unknown, found.median, found.p90) == (2, 1, 7200, 7200)
    assert figures(("a/1", "approved", HOUR)).median is None


def test_a_refused_draft_has_no_turnaround_and_the_next_one_counts_from_its_own_request() -> None:
    found = figures(("a/1", "review-requested", DAY), ("a/1", "rejected", DAY / 2), *signed("a/1", 2 * HOUR))
    assert (found.signed, found.median) == (1, 7200)


def test_escalations_are_counted_and_a_reassignment_starts_again() -> None:
    events = [("a/1", "review-requested", 6 * DAY), *[("a/1", "escalated", day * DAY) for day in (5, 4, 3)]]
    found = figures(*events)
    assert (found.notified, found.taken_over) == (2, 1)
    again = figures(*events, ("a/1", "reassigned", 2 * DAY), ("a/1", "escalated", DAY))
    assert (again.notified, again.taken_over) == (3, 1)


def test_it_keeps_no_more_than_the_longest_period() -> None:
    now = [T0]
    projection = TurnaroundProjection(lambda: now[0])
    projection.apply("a", "1", "review-requested", T0)
    projection.apply("a", "1", "approved", T0)
    now[0] = T0 + 31 * DAY
    projection.apply("a", "2", "review-requested", now[0])
    assert projection.figures(None, timedelta(days=365)).signed == 0
    assert projection.since == T0
