"""What a case waits for, as operators read it, and the searches of their list."""

from dataclasses import replace
from datetime import timedelta
from typing import Any, get_args

import pytest
from pydantic import ValidationError

from services.approval.review.case_list import CaseFilter
from services.approval.web.case_history import (
    STEP_LABELS,
    Trace,
    WaitingFor,
    format_duration,
    lines,
    traces,
    waiting_for,
)
from services.approval.web.case_search import BUILT_IN, SHORT_STATES, CasePage, CaseSearch
from services.approval.web.cases import _search_of
from shared.contracts.case import fold
from shared.contracts.case_values import CaseState
from shared.contracts.envelope import CHAIN_START, RecordedEvent, decode, encode
from shared.contracts.events import EVENT_TYPES, Failed, StepName, name_of
from tests.support.examples import CASE, T0, event

TRACE = "0af7651916cd43dd8448eb211c80319c"
DRAFTED = ("discharged", "context-extracted", "drafted", "review-requested")


def history(*names: str, trace: str | None = None) -> list[RecordedEvent]:
    """Events of a case, a minute apart."""
    found = []
    for number, name in enumerate(names, 1):
        at = T0 + timedelta(minutes=number)
        headers, data = encode(
            CASE, event(name), id=name, source="x/drafter", time=at, after=CHAIN_START, traceparent=trace
        )
        found.append(decode(CASE.subject(name), headers, data, number))
    return found


def at(minutes: int) -> Any:
    return T0 + timedelta(minutes=minutes)


WAITS = [
    (("discharged",), WaitingFor("Drafter: the record is read from the EHR", at(1))),
    (DRAFTED[:2], WaitingFor("Drafter: the draft is written", at(2))),
    (DRAFTED[:3], WaitingFor("Approval: the review is requested in the EHR", at(3))),
    (
        DRAFTED,
        WaitingFor("A decision of Practitioner/dr-1", at(4), T0 + timedelta(hours=24), "it is escalated to level 1"),
    ),
    (
        (*DRAFTED, "escalated"),
        WaitingFor("A decision of Practitioner/dr-1", at(4), T0 + timedelta(hours=72), "it is escalated to level 2"),
    ),
    ((*DRAFTED, "approved"), WaitingFor("Approval: the signed document is filed in the chart", at(5))),
    ((*DRAFTED[:2], "failed", "rated"), WaitingFor("An operator: the step “draft” gave up", at(3))),
    (("preparation-requested",), WaitingFor("Drafter: a draft is prepared before the discharge", at(1))),
    ((*DRAFTED, "approved", "filed"), None),
    ((*DRAFTED, "withdrawn"), None),
    (
        (*DRAFTED, "approved", "filed", "retraction-requested"),
        WaitingFor("A second person, who confirms that the document is retracted", at(7)),
    ),
]


@pytest.mark.parametrize(("names", "waiting"), WAITS)
def test_a_case_says_what_it_waits_for_and_until_when(names: tuple[str, ...], waiting: WaitingFor | None) -> None:
    events = history(*names)
    assert waiting_for(fold(events), events) == waiting


def test_a_prepared_draft_waits_for_the_discharge_until_the_preparation_ends() -> None:
    events = history("preparation-requested", "prepared")
    case = fold(events)
    waiting = waiting_for(case, events)
    assert waiting is not None
    assert case.preparation is not None
    assert (waiting.words, waiting.deadline) == ("The discharge of the patient", case.preparation.ends_at)


def test_after_the_last_level_no_deadline_is_shown() -> None:
    events = history(*DRAFTED)
    waiting = waiting_for(replace(fold(events), level=3), events)
    assert waiting is not None
    assert (waiting.deadline, "the last escalation was sent" in waiting.words) == (None, True)


def test_a_line_tells_who_how_long_after_and_why_it_failed() -> None:
    first, second = lines(history("discharged", "failed", trace=f"00-{TRACE}-b7ad6b7169203331-01"))
    body = second.event.body
    assert isinstance(body, Failed)
    assert (first.after, second.after) == (None, 60.0)
    assert (first.failed, second.failed, second.trace) == (False, True, TRACE)
    assert second.detail == f"Step draft, after 3 attempts: {body.reason}"
    assert lines(history("approved"))[0].person
    assert not first.person
    assert lines(history("discharged", trace="nonsense"))[0].trace is None


def test_each_trace_of_a_case_is_linked_once() -> None:
    found = history("discharged", "failed", trace=f"00-{TRACE}-b7ad6b7169203331-01")
    assert traces(found, "https://x.test/{trace_id}?of={trace_id}") == [
        Trace(TRACE, f"https://x.test/{TRACE}?of={TRACE}")
    ]
    assert traces(found, "") == [Trace(TRACE, "")]
    assert traces(history("discharged"), "https://x.test/{trace_id}") == []


def test_every_event_has_a_line() -> None:
    names = [name_of(kind) for kind in EVENT_TYPES]
    assert [line.event.name for line in lines(history(*names))] == names


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (-0.1, "0 ms"),
        (0.24, "240 ms"),
        (3.24, "3.2 s"),
        (60, "1 min"),
        (250, "4 min 10 s"),
        (5 * 3600 + 12 * 60 + 59, "5 h 12 min"),
        (76 * 3600, "3 d 4 h"),
    ],
)
def test_a_lapse_is_as_exact_as_one_needs(seconds: float, words: str) -> None:
    assert format_duration(seconds) == words


@pytest.mark.parametrize(
    "query",
    [
        *(view.query for view in BUILT_IN),
        "q=e+1&department=surgery&owner=dr-1&state=failed&within=24&longer=1&unfiled=1",
    ],
)
def test_a_search_is_its_query_string(query: str) -> None:
    assert _search_of(query).query == query


def test_a_search_becomes_a_filter() -> None:
    search = CasePage(q=" e1 ", owner="dr-1", within="24", longer="72", unfiled=True, after="7").search
    wanted = search.filter(T0, is_case=False)
    assert wanted == CaseFilter(
        owner="Practitioner/dr-1",
        encounter="e1",
        since=T0 - timedelta(hours=24),
        unchanged_since=T0 - timedelta(hours=72),
        unfiled=True,
    )
    assert CaseSearch(q="c", owner="Organization/o").filter(T0, is_case=True) == CaseFilter(
        owner="Organization/o", case="c"
    )
    assert CaseSearch(q="x" * 200, owner="x" * 100).filter(T0, is_case=False).owner is not None
    assert search.link(state=("failed",)).startswith("/cases?q=e1&")
    assert CaseSearch().link() == "/cases"


def test_what_is_no_search_is_refused() -> None:
    for wrong in ({"longer": "soon"}, {"department": "a b"}, {"within": "5"}, {"unknown": "x"}):
        with pytest.raises(ValidationError):
            CaseSearch.model_validate(wrong)


def test_every_state_has_a_tab_and_every_step_words() -> None:
    assert set(SHORT_STATES) == set(get_args(CaseState))
    assert set(STEP_LABELS) == set(get_args(StepName))
