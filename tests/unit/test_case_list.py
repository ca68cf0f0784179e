"""The list of all cases: filters, order and cursors, and a case's state after events that do and do not fit."""

import asyncio
from collections.abc import Iterable
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from services.approval.projections import case_index
from services.approval.projections.case_index import CaseIndex, CaseRow, next_row
from services.approval.review.case_list import CaseFilter, CaseQuery, list_cases, page, parse_cursor
from shared.contracts.case import fold
from shared.contracts.envelope import CHAIN_START, RecordedEvent, decode, encode
from shared.contracts.errors import PermanentError, TransientError
from shared.contracts.subjects import CaseRef
from shared.messaging.event_store import RawMessage
from shared.runtime.authentication import Caller
from shared.runtime.problems import ProblemError
from tests.support.examples import EVENTS, T0, event

EVERYBODY = Caller(subject="boss", role="operator")
DRAFTED = ("discharged", "context-extracted", "drafted", "review-requested")


def message(
    case: int, name: str, sequence: int, department: str = "cardiology", data: bytes | None = None
) -> RawMessage:
    """An event of a case, `sequence` minutes after T0."""
    ref = CaseRef(department, str(UUID(int=case)))
    at = T0 + timedelta(minutes=sequence)
    headers, body = encode(ref, event(name), id=f"{sequence}", source="x", time=at, after=CHAIN_START)
    return RawMessage(ref.subject(name), headers, body if data is None else data, sequence)


def index_of(messages: Iterable[RawMessage]) -> CaseIndex:
    found = CaseIndex()
    for item in messages:
        found._apply_message(item)
    return found


@pytest.fixture
def three() -> CaseIndex:
    """1 waits for a signature, 2 has failed, 3 is of another department and new; in that order of their last events."""
    names = [(1, name, "cardiology") for name in DRAFTED]
    names += [(2, "discharged", "cardiology"), (2, "context-extracted", "cardiology"), (2, "failed", "cardiology")]
    names += [(3, "discharged", "surgery")]
    return index_of(message(case, name, number, place) for number, (case, name, place) in enumerate(names, 1))


def numbers(index: CaseIndex, who: Caller = EVERYBODY, **wanted: Any) -> list[int]:
    rows, _ = page(index, who, CaseFilter(**wanted), None, 50)
    return [UUID(row.ref.id).int for row in rows]


def after(minutes: int) -> Any:
    return T0 + timedelta(minutes=minutes)


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        ({}, [3, 2, 1]),
        ({"state": ("failed",)}, [2]),
        ({"state": ("failed", "awaiting-review")}, [2, 1]),
        ({"department": "surgery"}, [3]),
        ({"owner": "Practitioner/dr-1"}, [1]),
        ({"case": str(UUID(int=2))}, [2]),
        ({"case": str(UUID(int=2)), "state": ("filed",)}, []),
        ({"case": "nobody"}, []),
        ({"encounter": "Encounter/e1", "department": "cardiology"}, [2, 1]),
        ({"encounter": "e"}, []),
        ({"since": after(7)}, [3, 2]),
        ({"until": after(7)}, [1]),
        ({"unchanged_since": after(4)}, [1]),
        ({"unfiled": True}, []),
    ],
)
def test_a_list_shows_what_its_filter_selects(three: CaseIndex, wanted: dict[str, Any], found: list[int]) -> None:
    assert numbers(three, **wanted) == found


def test_a_caller_sees_their_departments_only(three: CaseIndex) -> None:
    surgeon = Caller(subject="s", role="operator", departments=("surgery",))
    assert numbers(three, surgeon) == [3]
    assert numbers(three, surgeon, case=str(UUID(int=1))) == []
    assert numbers(three, surgeon, department="cardiology") == []
    assert three.counts(surgeon) == {"drafting": 1}
    assert three.departments(surgeon) == ["surgery"]
    assert three.counts(EVERYBODY, "cardiology") == {"awaiting-review": 1, "failed": 1}


def test_pages_hold_every_case_once_and_a_cursor_survives_new_events() -> None:
    index = index_of(message(case, "discharged", case) for case in range(1, 8))
    first, cursor = page(index, EVERYBODY, CaseFilter(), None, 3)
    index._apply_message(message(2, "context-extracted", 8))  # it moves to the top
    index._apply_message(message(9, "discharged", 9))
    second, last = page(index, EVERYBODY, CaseFilter(), parse_cursor(cursor), 3)
    assert [UUID(row.ref.id).int for row in first + second] == [7, 6, 5, 4, 3, 1]
    assert last is None
    assert numbers(index)[:2] == [9, 2]
    assert page(index, EVERYBODY, CaseFilter(), None, 8)[1] is None


def test_a_page_that_holds_the_last_case_has_no_next() -> None:
    index = index_of(message(case, "discharged", case) for case in range(1, 4))
    assert page(index, EVERYBODY, CaseFilter(), None, 3)[1] is None
    assert page(index, EVERYBODY, CaseFilter(), None, 2)[1] == "2"


@pytest.mark.parametrize("cursor", ["", "x", "-1", "1.5", "²", "9" * 20])
def test_a_cursor_of_another_list_is_refused(cursor: str) -> None:
    with pytest.raises(ProblemError):
        parse_cursor(cursor)


def test_an_unknown_criterion_is_refused() -> None:
    with pytest.raises(ValidationError):
        CaseFilter(stat="failed")  # type: ignore[call-arg]


def test_what_is_signed_is_unfiled_until_the_chart_has_it(three: CaseIndex) -> None:
    three._apply_message(message(1, "approved", 9))
    assert numbers(three, unfiled=True) == [1]
    three._apply_message(message(1, "filed", 10))
    assert numbers(three, unfiled=True) == []
    assert three.counts(EVERYBODY, "cardiology") == {"filed": 1, "failed": 1}


class Names:
    """Takes events, and keeps their names."""

    def __init__(self) -> None:
        self.seen: list[str] = []

    def clear(self) -> None:
        self.seen.clear()

    def apply_event(self, event: RecordedEvent) -> None:
        self.seen.append(event.name)


def test_others_get_every_event_that_can_be_read() -> None:
    names = Names()
    index = CaseIndex(names)
    index._apply_message(message(1, "discharged", 1))
    with pytest.raises(PermanentError):
        index._apply_message(message(1, "approved", 2, data=b"{"))
    index._apply_message(message(1, "context-extracted", 3))
    assert names.seen == ["discharged", "context-extracted"]


def test_what_cannot_be_read_changes_no_case(three: CaseIndex) -> None:
    for wrong in (message(1, "approved", 9, data=b"{"), message(4, "discharged", 9, data=b"[]")):
        with pytest.raises(Exception, match="breaks the contract"):
            three._apply_message(wrong)
    assert numbers(three) == [3, 2, 1]
    assert three._position == 9, "whoever waits for it does not wait for ever"


async def test_a_list_that_is_still_being_read_says_so_and_waits_for_nothing(three: CaseIndex) -> None:
    found = await list_cases(three, [], EVERYBODY, CaseQuery(limit=2))
    assert (found.complete, len(found.items), found.next) == (False, 2, "7")


def test_since_is_when_the_state_began_and_not_the_last_event(three: CaseIndex) -> None:
    three._apply_message(message(1, "escalated", 9))
    row = three.find(str(UUID(int=1)))
    assert row is not None
    assert (row.since, row.time, row.last_event) == (after(4), after(9), "escalated")


def test_cases_in_the_same_condition_have_owners_of_their_own() -> None:
    index = index_of(message(case, name, case * 10 + at) for case in (1, 2, 3) for at, name in enumerate(DRAFTED[:3]))
    body = event("review-requested").model_dump_json(exclude_none=True).encode()
    owners = ("Practitioner/dr-1", "Practitioner/dr-2", None)
    for case, owner in enumerate(owners, 1):
        data = body.replace(b'"owner":"Practitioner/dr-1",', f'"owner":"{owner}",'.encode() if owner else b"")
        index._apply_message(message(case, "review-requested", 40 + case, data=data))
        index._apply_message(message(case, "approved", 50 + case))
    rows = [index.find(str(UUID(int=case))) for case in (1, 2, 3)]
    assert [row.owner for row in rows if row is not None] == list(owners)


@given(st.lists(st.sampled_from([item.event for item in EVENTS]), max_size=25))
def test_any_sequence_of_events_leads_to_the_state_of_its_history(names: list[str]) -> None:
    """Also one that no service of ours would append."""
    messages = [message(1, name, number) for number, name in enumerate(names, 1)]
    history = [decode(item.subject, item.headers, item.data, item.sequence) for item in messages]
    row: CaseRow | None = None
    for item in history:
        row = next_row(row, item)
    case = fold(history)
    if row is not None:
        assert (row.state, row.case.awaits, row.owner) == (case.state, case.awaits, case.owner)
        assert row.failed_step == (case.failure.step if case.failure else None)


class Server:
    """Says which event is the last of the stream, in place of NATS."""

    def __init__(self, last: int) -> None:
        self.jetstream = self
        self.state = self
        self.last_seq = last

    async def stream_info(self, _: str) -> "Server":
        if self.last_seq < 0:
            raise TimeoutError
        return self


class CaughtUp:
    is_caught_up = True


async def test_a_list_waits_for_the_events_that_are_stored_when_it_is_asked_for(
    three: CaseIndex, monkeypatch: pytest.MonkeyPatch
) -> None:
    three._following, three._bus = CaughtUp(), Server(8)  # type: ignore[assignment]
    assert await three.refresh()
    three._bus = Server(10)  # type: ignore[assignment]
    asked = asyncio.create_task(three.refresh())
    await asyncio.sleep(0)
    three._apply_message(message(2, "retried", 9))
    await asyncio.sleep(0)
    assert not asked.done()
    three._apply_message(message(2, "closed", 10))
    assert await asked
    monkeypatch.setattr(case_index, "CATCH_UP_TIMEOUT_S", 0.01)
    three._bus = Server(11)  # type: ignore[assignment]
    assert not await three.refresh()
    assert not three._waiters
    three._bus = Server(-1)  # type: ignore[assignment]
    with pytest.raises(TransientError):
        await three.refresh()
