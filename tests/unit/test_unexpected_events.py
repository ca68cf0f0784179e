"""An event that does not fit the state of its case changes nothing, and is named."""

from dataclasses import replace

import pytest

from shared.contracts.case import causing_event, fold, unexpected_events
from shared.contracts.events import Failed, Retried, StepName
from tests.support.examples import EVENTS, PHYSICIAN
from tests.unit.test_approval import REVIEW, history

FILED = (*REVIEW, "approved", "filed")
STEPS: tuple[StepName, ...] = ("extract", "draft", "request-review", "file", "settle-rejection", "erase")


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("past", [FILED, REVIEW, (*REVIEW, "approved"), (*REVIEW, "rejected")])
def test_retrying_what_has_not_failed_changes_nothing(past: tuple[str, ...], step: StepName) -> None:
    if (past[-1], step) == ("approved", "file"):
        pytest.skip("a filing that is awaited may be tried at once")
    before, after = history(*past), history(*past, Retried(step=step, by=PHYSICIAN))
    assert fold(after) == replace(fold(before), head=after[-1].head)
    assert unexpected_events(after) == [after[-1]]
    assert causing_event("file", after) == causing_event("file", before)


def test_only_the_step_that_failed_is_retried() -> None:
    failed = (*REVIEW, "approved", Failed(step="file", reason="the EHR refused it", attempts=1))
    other = history(*failed, Retried(step="draft", by=PHYSICIAN))
    assert (fold(other).state, [item.name for item in unexpected_events(other)]) == ("failed", ["retried"])
    right = history(*failed, Retried(step="file", by=PHYSICIAN))
    assert (fold(right).awaits, unexpected_events(right)) == ("file", [])


@pytest.mark.parametrize("body", [item for item in EVENTS if item.event not in ("amended", "addended")])
def test_a_filed_document_is_only_corrected_retracted_held_or_erased(body: object) -> None:
    past = history(*FILED, body)  # type: ignore[arg-type]
    case = fold(past)
    assert (case.state, case.document) == ("filed", fold(past[:-1]).document)
    assert len(unexpected_events(past)) == int(
        past[-1].name not in ("retraction-requested", "hold-placed", "erasure-ordered", "rated")
    )


@pytest.mark.parametrize(
    "past", [REVIEW, (*REVIEW, "approved"), (*FILED, "amended"), (*FILED, "hold-placed"), ("discharged",)]
)
def test_what_is_worked_on_or_held_is_not_erased(past: tuple[str, ...]) -> None:
    after = history(*past, "erasure-ordered")
    assert (unexpected_events(after), fold(after).erasure) == ([after[-1]], None)


@pytest.mark.parametrize("body", [item for item in EVENTS if item.event not in ("erased", "hold-placed")])
def test_nothing_comes_between_an_order_and_the_erasure(body: object) -> None:
    past = history(*FILED, "erasure-ordered", body)  # type: ignore[arg-type]
    assert unexpected_events(past) == [past[-1]]
    assert fold(history(*FILED, "erasure-ordered", body, "erased")).awaits is None  # type: ignore[arg-type]


def test_an_erasure_that_stopped_is_retried_and_does_not_take_a_filings_place() -> None:
    stopped = (*FILED, "erasure-ordered", Failed(step="erase", reason="unexpected KeyError", attempts=1))
    assert (fold(history(*stopped)).state, fold(history(*stopped)).awaits) == ("failed", None)
    retried = (*stopped, Retried(step="erase", by=PHYSICIAN))
    assert (fold(history(*retried)).state, fold(history(*retried)).awaits) == ("filed", "erase")
    again = history(*retried, "erased", Retried(step="erase", by=PHYSICIAN))
    assert unexpected_events(again) == [again[-1]]


def test_a_second_approval_is_not_what_is_filed() -> None:
    past = history(*REVIEW, "approved", "approved")
    assert causing_event("file", past) == past[-2]
    assert len(fold(past).entries) == 1
