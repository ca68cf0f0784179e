"""The index of dead letters: what is selected, by whom, of which case, and how it was resolved."""

import pytest

from services.approval.operations.dead_letter_index import DeadLetterIndex
from services.approval.operations.selection import Selection
from shared.messaging.dead_letters import DeadLetter, Resolution, ResolvedDeadLetter
from shared.runtime.authentication import Caller

EVERYBODY = Caller(subject="boss", role="operator")
SURGEON = Caller(subject="s", role="operator", departments=("surgery",))


def letter(sequence: int, case: str = "", department: str = "cardiology") -> DeadLetter:
    stream, subject = ("DISCHARGE", f"discharge.{department}.{case}.drafted") if case else ("NOTIFY", "notify.a.b.c")
    return DeadLetter(sequence, "drafter-draft", subject, "no answer", 5, stream)


@pytest.fixture
def index() -> DeadLetterIndex:
    """1 and 4 are of case a, 2 of case b in surgery, 3 of no case; 1 was redriven by the record at 5."""
    found = DeadLetterIndex()
    for item in (letter(1, "a"), letter(2, "b", "surgery"), letter(3), letter(4, "a")):
        found.take(item.sequence, item)
    found.take(5, ResolvedDeadLetter(1, Resolution("redriven", by="ann", why="it is back")))
    return found


@pytest.mark.parametrize(
    ("who", "selection", "after", "selected"),
    [
        (EVERYBODY, Selection(), 0, [2, 3, 4]),
        (EVERYBODY, Selection("all"), 0, [1, 2, 3, 4]),
        (EVERYBODY, Selection("redriven"), 0, [1]),
        (EVERYBODY, Selection("all"), 2, [3, 4]),
        (EVERYBODY, Selection("all"), 99, []),
        (EVERYBODY, Selection(stream="NOTIFY"), 0, [3]),
        (SURGEON, Selection("all"), 0, [2]),
    ],
)
def test_a_list_holds_what_is_selected_and_may_be_seen(
    index: DeadLetterIndex, who: Caller, selection: Selection, after: int, selected: list[int]
) -> None:
    assert [item.sequence for item in index.select(who, selection, after)] == selected


def test_the_letters_of_a_case_are_found_with_how_they_were_resolved(index: DeadLetterIndex) -> None:
    first, second = index.of_case(EVERYBODY, "a")
    assert (first.sequence, first.state, first.by, first.why) == (1, "redriven", "ann", "it is back")
    assert (second.sequence, second.state) == (4, "waiting")
    assert index.of_case(SURGEON, "a") == []
    assert index.of_case(EVERYBODY, "nobody") == []


def test_a_record_of_a_letter_that_is_not_there_changes_nothing(index: DeadLetterIndex) -> None:
    index.take(6, ResolvedDeadLetter(99, Resolution("discarded")))
    assert [item.sequence for item in index.select(EVERYBODY, Selection("all"))] == [1, 2, 3, 4]
