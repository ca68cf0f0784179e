"""What a case takes before its discharge, and what a pending discharge means for it."""

from datetime import timedelta

import pytest

from services.approval import domain as approval
from services.approval.erasure import rules as erasure
from services.approval.review.errors import DecisionRefusedError
from services.ingest import domain as ingest
from services.ingest.preparation import rules
from shared.contracts.case import fold, is_expected
from shared.contracts.ehr import EncounterReported
from shared.contracts.envelope import ChainHead, RecordedEvent
from shared.contracts.events import CaseEvent
from shared.contracts.preparation import PreparationEnded, PreparationRequested
from shared.contracts.subjects import CaseRef, derived_id
from tests.support.examples import CASE, EVENTS, OPERATOR, PHYSICIAN, T0, event

BEFORE = ("discharged", "preparation-requested", "preparation-ended", "hold-placed", "erasure-ordered", "reimported")
FACT = EncounterReported(encounter_id="e1", department="cardiology", expected_at=T0 + timedelta(days=2))
WEEK = timedelta(days=7)


def history(*bodies: CaseEvent | str) -> list[RecordedEvent]:
    events = [event(body) if isinstance(body, str) else body for body in bodies]
    return [
        RecordedEvent(CASE, f"id-{number}", "countersign/ingest", T0, "", body, ChainHead(number, f"{number:0>64}"))
        for number, body in enumerate(events, 1)
    ]


@pytest.mark.parametrize(
    "names",
    [
        ("preparation-requested",),
        ("preparation-requested", "prepared"),
        ("preparation-requested", "prepared", "preparation-requested"),
        ("discharged", "context-extracted", "drafted", "review-requested", "withdrawn", "preparation-requested"),
    ],
)
def test_nothing_of_a_review_or_a_signature_fits_before_the_discharge(names: tuple[str, ...]) -> None:
    case = fold(history(*names))
    again = event("erasure-ordered").model_copy(update={"again": True})
    expected = {body.event for body in (*EVENTS, again) if is_expected(case, body)}
    steps = {"prepared", "failed"} if names[-1] == "preparation-requested" else set()
    assert expected <= {*BEFORE, *steps}
    assert {"discharged", "preparation-ended", *(steps - {"failed"})} <= expected
    assert not case.open
    assert not case.has_no_pending_step
    with pytest.raises(DecisionRefusedError) as refused:
        approval.approve(case, "9" * 64, PHYSICIAN)
    assert refused.value.code == "not-open"


def test_a_task_about_a_prepared_draft_decides_nothing() -> None:
    before = history("preparation-requested", "prepared")
    assert approval.classify_decision(before, "9" * 64, "Encounter/e1") == "stale"


def test_a_draft_that_is_prepared_again_stays_readable_until_the_next_one() -> None:
    request = event("preparation-requested").model_copy(update={"number": 2, "prepared": "9" * 64})
    case = fold(history("preparation-requested", "prepared", request))
    assert (case.state, case.editable) == ("preparing", True)
    assert case.shown_draft is not None
    assert case.shown_draft.digest == "9" * 64


def test_a_first_discharge_after_a_preparation_opens_and_reopens_nothing() -> None:
    assert not fold(history("preparation-requested", "prepared", "discharged")).reopened
    assert not fold(history("preparation-requested", "preparation-ended", "discharged")).reopened
    withdrawn = ("discharged", "withdrawn", "preparation-requested", "discharged")
    assert fold(history(*withdrawn)).reopened


def test_the_discharge_names_the_draft_that_was_prepared() -> None:
    prepared = history("preparation-requested", "prepared")
    ended = history("preparation-requested", "prepared", "preparation-ended")
    for before in (prepared, ended):
        assert ingest.reopens(before, "any")
        assert ingest.discharge(FACT, before).prepared == "9" * 64
    assert ingest.discharge(FACT).prepared is None
    assert ingest.withdraw(prepared) == "done", "no discharge was cancelled"


@pytest.mark.parametrize(
    ("names", "refusal"),
    [
        (("preparation-requested",), "preparing"),
        (("discharged",), "discharged"),
        (("discharged", "context-extracted", "drafted", "review-requested", "approved", "filed"), "discharged"),
    ],
)
def test_what_a_pending_discharge_does_not_prepare(names: tuple[str, ...], refusal: str) -> None:
    assert rules.request(history(*names), FACT, "cause", T0, WEEK) == refusal


def test_a_report_prepares_once_and_ends_in_its_time() -> None:
    first = rules.request([], FACT, "cause", T0, WEEK)
    assert isinstance(first, PreparationRequested)
    assert (first.number, first.ends_at) == (1, T0 + timedelta(days=9))
    late = FACT.model_copy(update={"expected_at": T0 - timedelta(days=30)})
    other = rules.request([], late, "cause", T0, WEEK)
    assert isinstance(other, PreparationRequested)
    assert other.ends_at == T0 + WEEK, "an expected time that has passed"
    known = history("preparation-requested", "prepared")
    known[0] = RecordedEvent(CASE, derived_id("cause", "preparation-requested"), "x", T0, "", first, known[0].head)
    assert rules.request(known, FACT, "cause", T0, WEEK) == "known"
    second = rules.request(known, FACT, "another", T0, WEEK)
    assert isinstance(second, PreparationRequested)
    assert (second.number, second.prepared) == (2, "9" * 64)
    assert rules.end(known, ("other", "cause")) == rules.end(known) == PreparationEnded(reason="cancelled")
    assert rules.end(known, ("another",)) is None
    assert rules.end(history("discharged")) is None


def test_texts_of_a_preparation_are_erased_as_drafts_once_it_has_ended() -> None:
    prepared = history("preparation-requested", "prepared")
    assert erasure.texts_of(prepared)["draft"] == {"9" * 64}
    assert erasure.texts_of(prepared)["record"] == {"c" * 64}
    with pytest.raises(DecisionRefusedError):
        erasure.order(fold(prepared), "patient-request", OPERATOR, None)
    ended = history("preparation-requested", "prepared", "preparation-ended")
    order = erasure.order(fold(ended), "patient-request", OPERATOR, None)
    erased = history("preparation-requested", "prepared", "preparation-ended", order, "erased")
    assert ingest.reopens(erased, "any")
    assert ingest.discharge(FACT, erased).prepared is None, "it cannot be read any more"


def test_a_stay_follows_the_patient_unless_its_report_names_no_department() -> None:
    known = CaseRef("surgery", CASE.id)
    assert rules.case_after(known, FACT, "general") == CaseRef("cardiology", CASE.id)
    assert rules.case_after(known, FACT.model_copy(update={"department": "general"}), "general") == known
