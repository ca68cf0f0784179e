"""An operator withdraws a case: from which states, what it says otherwise, and what opens the case again."""

from datetime import timedelta

import pytest

from services.approval import domain
from services.approval.escalation.rules import EscalationRecord, ended_by
from services.approval.review.authorization import Denied, authorize
from services.approval.review.errors import DecisionRefusedError
from services.approval.review.operator_reasons import reason_digest
from services.approval.review.repeated import withdrawn_earlier
from services.approval.web.case_history import lines
from services.approval.withdrawal import rules
from services.ingest.domain import reopens
from shared.contracts.case import Case, fold
from shared.contracts.envelope import CHAIN_START, RecordedEvent, decode, encode
from shared.contracts.events import Actor, CaseEvent, Discharged, Failed, ReviewRequested, Withdrawn
from shared.runtime.authentication import Caller
from tests.support.examples import CASE, T0, event

OPERATOR = Actor(subject="op-1", role="operator")
WORDS = "7" * 64
WITHDRAWN = Withdrawn(reason="operator", by=OPERATOR, words=WORDS)
OPEN = ("discharged", "context-extracted", "drafted", "review-requested")
SIGNED = (*OPEN, "approved")
FILING_FAILED = Failed(step="file", reason="the EHR refuses it", attempts=3)


def history(*bodies: str | CaseEvent) -> list[RecordedEvent]:
    """Events of a case, a minute apart."""
    found, head = list[RecordedEvent](), CHAIN_START
    for number, item in enumerate(bodies, 1):
        body = event(item) if isinstance(item, str) else item
        at = T0 + timedelta(minutes=number)
        headers, data = encode(CASE, body, id=f"e{number}", source="x", time=at, after=head)
        found.append(decode(CASE.subject(body.event), headers, data, number))
        head = found[-1].head
    return found


def refusal(case: Case) -> DecisionRefusedError:
    with pytest.raises(DecisionRefusedError) as caught:
        rules.withdraw(case, OPERATOR, WORDS)
    assert not rules.withdrawable(case)
    return caught.value


@pytest.mark.parametrize(
    "events", [OPEN[:1], OPEN[:2], OPEN, (*OPEN[:2], "failed"), (*OPEN, "rejected", "redraft-requested")]
)
def test_a_case_that_nobody_has_signed_is_withdrawn(events: tuple[str, ...]) -> None:
    case = fold(history(*events))
    assert rules.withdrawable(case)
    assert rules.withdraw(case, OPERATOR, WORDS) == WITHDRAWN
    after = fold(history(*events, WITHDRAWN))
    assert (after.state, after.awaits, after.failure) == ("withdrawn", None, None)


@pytest.mark.parametrize(
    ("events", "says"),
    [
        (SIGNED, "has signed"),
        ((*SIGNED, FILING_FAILED), "has signed"),
        ((*SIGNED, "filed"), "correct or retract it, and its texts can be erased"),
        ((*SIGNED, "filed", "retraction-requested", "retracted"), "it is retracted"),
        ((*OPEN, WITHDRAWN), "it is withdrawn"),
        (("preparation-requested",), "not discharged yet"),
        ((*OPEN, "withdrawn", "erasure-ordered"), "being erased"),
    ],
)
def test_any_other_case_is_not_and_it_is_said_why(events: tuple[str | CaseEvent, ...], says: str) -> None:
    refused = refusal(fold(history(*events)))
    assert refused.code == "not-withdrawable"
    assert says in refused.detail


def test_there_has_to_be_a_case() -> None:
    assert refusal(Case()).code == "unknown"


def test_nobody_signs_a_withdrawn_case() -> None:
    review = event("review-requested")
    assert isinstance(review, ReviewRequested)
    with pytest.raises(DecisionRefusedError, match="withdrawn"):
        domain.open_review(fold(history(*OPEN, WITHDRAWN)), review.draft.digest)


def test_only_an_operator_of_the_department_withdraws() -> None:
    case = fold(history(*OPEN))
    assert not isinstance(authorize(Caller(subject="op-1", role="operator"), case, CASE.department, "withdraw"), Denied)
    for role in ("physician", "supervisor", "auditor"):
        assert isinstance(authorize(Caller(subject="x", role=role), case, CASE.department, "withdraw"), Denied)  # type: ignore[arg-type]
    other = authorize(
        Caller(subject="op-1", role="operator", departments=("other",)), case, CASE.department, "withdraw"
    )
    assert isinstance(other, Denied)
    assert other.conceal_existence


def test_the_same_withdrawal_is_found_until_the_case_is_opened_again() -> None:
    before = history(*OPEN, WITHDRAWN)
    assert withdrawn_earlier(before, OPERATOR, WORDS) == WITHDRAWN
    assert withdrawn_earlier(before, OPERATOR, "8" * 64) is None
    assert withdrawn_earlier(before, Actor(subject="op-2", role="operator"), WORDS) is None
    assert withdrawn_earlier(history(*OPEN, WITHDRAWN, "discharged"), OPERATOR, WORDS) is None


def test_another_report_of_the_withdrawn_discharge_opens_nothing() -> None:
    events = history(*OPEN, WITHDRAWN)
    reported = events[0].time
    assert not reopens(events, "another route", T0)
    assert not reopens(events, "another route", reported)
    assert not reopens(history(*OPEN, WITHDRAWN, "hold-placed"), "another route", reported)
    assert reopens(events, "the real one, whose message was late", reported + timedelta(seconds=1))
    assert reopens(events, "without a time", None)
    assert reopens(history(*OPEN, "withdrawn"), "after a cancellation", T0)
    ahead = reported + timedelta(hours=2)
    events = history(Discharged(encounter_id="e1", occurred_at=ahead), WITHDRAWN)
    assert not reopens(events, "another route", ahead)


def test_its_escalations_end_as_withdrawn() -> None:
    events = history(*OPEN, "escalated", WITHDRAWN)
    review = events[3].body
    assert isinstance(review, ReviewRequested)
    ended = ended_by(EscalationRecord(events[4], "e4", 1, (), review), events)
    assert ended is not None
    assert (ended.outcome, ended.done) == ("withdrawn", False)


def test_the_reason_is_in_the_history_of_the_case() -> None:
    events = history(*OPEN, WITHDRAWN)
    assert [reason_digest(item) for item in events] == [None] * 4 + [WORDS]
    line = lines(events, {WORDS: "a test patient"})[-1]
    assert (line.detail, line.reason, line.person) == ("An operator withdrew it", "a test patient", True)
    assert (events[-1].actor, history(*OPEN, "withdrawn")[-1].actor) == ("op-1", "x")
