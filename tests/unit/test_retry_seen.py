"""Which dead letter a retry of a failed case redrives."""

from dataclasses import replace

import pytest

from services.approval.operations.retry import last_failure, redrivable, retried_after
from shared.contracts.envelope import CHAIN_START, RecordedEvent, decode, encode
from shared.messaging.dead_letters import DeadLetter
from shared.messaging.operator_requests import retry_id
from tests.support.examples import CASE, T0, event

LETTER = DeadLetter(7, "drafter-draft", CASE.subject("context-extracted"), "the model failed", 3, "DISCHARGE")
FAILED = ("discharged", "context-extracted", "failed")


def history(*names: str, ids: dict[int, str] | None = None) -> list[RecordedEvent]:
    found = []
    for number, name in enumerate(names, 1):
        id = (ids or {}).get(number, f"e{number}")
        headers, data = encode(CASE, event(name), id=id, source="x", time=T0, after=CHAIN_START)
        found.append(decode(CASE.subject(name), headers, data, number))
    return found


def test_the_latest_unresolved_letter_of_the_failed_step_is_redriven() -> None:
    later = replace(LETTER, sequence=9)
    assert redrivable([LETTER, later], history(*FAILED)) == later
    assert redrivable([LETTER, replace(later, state="discarded")], history(*FAILED)) == LETTER
    assert redrivable([], history(*FAILED)) is None


@pytest.mark.parametrize("letter", [replace(LETTER, consumer="approval-file"), replace(LETTER, state="redriven")])
def test_a_letter_of_another_step_or_a_resolved_one_is_not(letter: DeadLetter) -> None:
    assert redrivable([letter], history(*FAILED)) is None


def test_a_letter_that_has_retried_an_earlier_failure_is_not() -> None:
    again = history(*FAILED, "retried", "failed", ids={4: retry_id(LETTER)})
    assert redrivable([LETTER], again) is None


def test_a_case_that_has_not_failed_has_nothing_to_redrive() -> None:
    events = history(*FAILED, "retried")
    assert redrivable([LETTER], events) is None
    failure = last_failure(events)
    assert failure is not None
    assert (failure.head.sequence, retried_after(events, 3), retried_after(events, 4)) == (3, True, False)
