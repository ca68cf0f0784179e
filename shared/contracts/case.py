"""The state of a case: a pure fold over its events. Events are the only stored state."""

from collections.abc import Iterable, Sequence
from dataclasses import replace

from shared.contracts.case_documents import addenda as addenda
from shared.contracts.case_documents import current_digest as current_digest
from shared.contracts.case_documents import latest_document as latest_document
from shared.contracts.case_documents import signed_digest as signed_digest
from shared.contracts.case_state import END_STATES as END_STATES
from shared.contracts.case_state import WITHDRAWABLE_STATES as WITHDRAWABLE_STATES
from shared.contracts.case_state import Case as Case
from shared.contracts.case_state import ChartEntry as ChartEntry
from shared.contracts.case_transitions import evolve as evolve
from shared.contracts.case_transitions import is_expected as is_expected
from shared.contracts.case_transitions import restored_event as restored_event
from shared.contracts.case_transitions import state_before as state_before
from shared.contracts.case_values import CaseState as CaseState
from shared.contracts.envelope import RecordedEvent
from shared.contracts.events import StepName
from shared.contracts.steps import step_named


def fold(history: Iterable[RecordedEvent]) -> Case:
    """Return the case after `history`, which is in stream order.

    An event that is not expected in the case's state changes nothing but the position that the next event must follow.
    """
    case = Case()
    for event in history:
        case = evolve(case, event) if is_expected(case, event.body) else replace(case, head=event.head)
    return case


def unexpected_events(history: Iterable[RecordedEvent]) -> list[RecordedEvent]:
    """Return the events of `history` that this program appends to no case in the state that it was in."""
    case, found = Case(), []
    for event in history:
        if is_expected(case, event.body):
            case = evolve(case, event)
        else:
            case = replace(case, head=event.head)
            found.append(event)
    return found


def causing_event(step: StepName, history: Sequence[RecordedEvent]) -> RecordedEvent | None:
    """Return the latest event that `step` works on; unexpected events do not count."""
    consumes = step_named(step).consumes
    case, found = Case(), None
    for event in history:
        if not is_expected(case, event.body):
            case = replace(case, head=event.head)
            continue
        case = evolve(case, event)
        found = event if isinstance(event.body, consumes) else found
    return found
