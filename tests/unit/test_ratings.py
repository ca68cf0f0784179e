"""Who may rate a draft, what replaces what, and that a rating changes nothing else in its case."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from services.approval.erasure import rules as erasure
from services.approval.ratings import rules
from services.approval.review.errors import DecisionRefusedError
from shared.contracts.case import causing_event, fold, unexpected_events
from shared.contracts.events import Actor, Approved, Drafted, Failed
from shared.contracts.ratings import Rated
from shared.messaging import event_metrics
from tests.support.examples import CASE, DIGEST, PHYSICIAN, STAY, SUPERVISOR, T0, draft_ref, event
from tests.unit.test_approval import REVIEW, history

SIGNED = (*REVIEW, "approved")
FILED = (*SIGNED, "filed")
WORDS = "b" * 64
HELD = (*SIGNED, Failed(step="file", reason="the EHR refused it", attempts=1))


def rate(past: tuple[Any, ...], by: Actor = PHYSICIAN, seen: str | None = None) -> Rated:
    return rules.rate(fold(history(*past)), seen, by, "useful", None)


@pytest.mark.parametrize("past", [SIGNED, FILED, HELD, (*FILED, "amended"), (*FILED, "rated"), (*FILED, "hold-placed")])
def test_who_signed_may_rate_whatever_became_of_the_document(past: tuple[Any, ...]) -> None:
    assert rules.may_rate(fold(history(*past)), PHYSICIAN)
    rated = rate(past, seen=DIGEST)
    assert (rated.draft.digest, rated.rating, rated.by) == (DIGEST, "useful", PHYSICIAN)
    assert unexpected_events(history(*past, rated)) == []


@pytest.mark.parametrize(
    ("past", "by", "seen", "why"),
    [
        ((), PHYSICIAN, None, "unknown"),
        (REVIEW, PHYSICIAN, None, "not-signed"),
        ((*REVIEW, "rejected"), PHYSICIAN, None, "not-signed"),
        ((*FILED, "retraction-requested", "retracted"), PHYSICIAN, None, "not-signed"),
        (FILED, SUPERVISOR, None, "forbidden"),
        (FILED, Actor(subject="x", role="physician"), None, "forbidden"),
        (FILED, PHYSICIAN, "f" * 64, "stale"),
        ((*FILED, "erasure-ordered"), PHYSICIAN, None, "erased"),
        ((*FILED, "erasure-ordered", "erased"), PHYSICIAN, None, "erased"),
    ],
)
def test_what_may_not_be_rated_is_refused(past: tuple[Any, ...], by: Actor, seen: str | None, why: str) -> None:
    with pytest.raises(DecisionRefusedError) as refused:
        rate(past, by, seen)
    assert refused.value.code == why
    assert not rules.may_rate(fold(history(*past)), by) or why == "stale"


def test_who_signed_in_the_ehr_is_recognized_by_their_fhir_identity() -> None:
    signed = event("approved").model_copy(update={"by": Actor(subject="ehr", role="physician", practitioner="P/1")})
    past = (*REVIEW, signed)
    assert rules.may_rate(fold(history(*past)), Actor(subject="kim", role="physician", practitioner="P/1"))
    assert not rules.may_rate(fold(history(*past)), Actor(subject="kim", role="physician"))


def test_a_rating_changes_nothing_else_in_its_case() -> None:
    for past in (SIGNED, FILED, HELD):
        before, after = history(*past), history(*past, "rated")
        assert fold(after) == replace(fold(before), head=after[-1].head, rating=after[-1])
        assert causing_event("file", after) == causing_event("file", before)
    assert fold(history(*SIGNED, "rated", "filed")).state == "filed", "the filing goes on"


def test_the_last_rating_counts_and_the_same_one_again_is_none() -> None:
    past = (*FILED, "rated", rate(FILED))
    case = fold(history(*past))
    found = rules.current_rating(case)
    assert found is not None
    assert found.rating == "useful"
    assert rules.rated_before(case, PHYSICIAN, "useful", None) == found
    for by, rating, words in (
        (SUPERVISOR, "useful", None),
        (PHYSICIAN, "useless", None),
        (PHYSICIAN, "useful", WORDS),
        (PHYSICIAN, "edited-much", WORDS),  # the one that was replaced
    ):
        assert rules.rated_before(case, by, rating, words) is None  # type: ignore[arg-type]


def test_a_rating_of_an_earlier_discharge_is_not_one_of_the_next_document() -> None:
    past = (*FILED, "rated", "retraction-requested", "retracted", "retraction-filed", "discharged")
    assert fold(history(*past)).rating is None
    again = draft_ref(value="9" * 64)
    drafted = Drafted(stay=STAY, draft=again, sentences=4, unsupported=1, encounter_status="finished")
    review, signed = (event(name).model_copy(update={"draft": again}) for name in ("review-requested", "approved"))
    new = (*past, "context-extracted", drafted, review, signed)
    late = history(*new, "rated")
    assert unexpected_events(late) == [late[-1]], "of the draft that was retracted"
    assert isinstance(signed, Approved)
    assert rate(new).draft == signed.draft


def test_the_words_are_erased_with_the_others_and_a_rating_postpones_no_erasure() -> None:
    rated = history(*FILED, "rated")
    assert WORDS in erasure.texts_of(rated)["words"]
    without = event("rated").model_copy(update={"words": None})
    assert erasure.texts_of(history(*FILED, without))["words"] == set()
    retention = erasure.Retention({"record": timedelta(days=30)})
    late = [*rated[:-1], replace(rated[-1], time=T0 + timedelta(days=29))]
    assert erasure.due(late, retention, T0 + timedelta(days=31)) is not None


def test_ratings_are_counted_by_kind_configuration_and_rating(monkeypatch: pytest.MonkeyPatch) -> None:
    found: list[tuple[str, int, dict[str, Any]]] = []
    monkeypatch.setattr(event_metrics, "metrics_enabled", lambda: True)
    monkeypatch.setattr(event_metrics, "increment", lambda *given: found.append(given))
    event_metrics.measure(CASE, event("rated"), T0)
    name, value, what = found[-1]
    assert (name, value) == ("countersign.draft.ratings", 1)
    assert list(what.values()) == ["discharge-summary", "unknown", "edited-much"]
    assert WORDS not in str(what)
