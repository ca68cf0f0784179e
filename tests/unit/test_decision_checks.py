"""What every way to sign asks for, checked where the decision is taken: pages and API have no checks of their own."""

from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any

import pytest

from services.approval.corrections.service import CorrectionsService
from services.approval.projections.open_reviews import OpenReviewRow, OpenReviewsProjection
from services.approval.review.errors import DecisionRefusedError, StepUpRequiredError
from services.approval.review.problems import problem_of
from services.approval.review.service import ReviewService
from shared.contracts.case import fold
from shared.runtime.authentication import Caller
from tests.support.examples import CASE, T0
from tests.unit.test_approval import REVIEW as REQUESTED
from tests.unit.test_approval import history

WITHIN = timedelta(minutes=15)
UNUSED: Any = None  # a refusal comes before anything is read
REVIEW = ReviewService(UNUSED, UNUSED, UNUSED, UNUSED, UNUSED, lambda: T0, lambda: "id", WITHIN)
CORRECTIONS = CorrectionsService(UNUSED, REVIEW)
LONG_AGO = Caller(
    subject="kim",
    role="physician",
    practitioner="Practitioner/kim",
    method="oidc",
    signed_in_at=T0 - timedelta(hours=1),
)
RECENT = LONG_AGO.model_copy(update={"signed_in_at": T0})
Decision = Callable[[Caller], Awaitable[Any]]

SIGNATURES: dict[str, Decision] = {
    "approve": lambda by: REVIEW.approve("c", "d", by, None),
    "amend": lambda by: CORRECTIONS.amend("c", "d", by, "text", "because"),
    "addend": lambda by: CORRECTIONS.addend("c", "d", by, "text", "because"),
    "ask to retract": lambda by: CORRECTIONS.request_retraction("c", "d", by, "because"),
    "retract": lambda by: CORRECTIONS.retract("c", "d", by),
}
WITH_REASON: dict[str, Decision] = {
    "reject": lambda by: REVIEW.reject("c", "d", by, "redraft", " \n"),
    "reassign": lambda by: REVIEW.reassign("c", "Practitioner/x", by, ""),
    "amend": lambda by: CORRECTIONS.amend("c", "d", by, "text", ""),
    "addend": lambda by: CORRECTIONS.addend("c", "d", by, "text", " "),
    "ask to retract": lambda by: CORRECTIONS.request_retraction("c", "d", by, ""),
}


@pytest.mark.parametrize("decision", SIGNATURES.values(), ids=SIGNATURES)
async def test_a_signature_needs_a_recent_sign_in(decision: Decision) -> None:
    with pytest.raises(StepUpRequiredError) as refused:
        await decision(LONG_AGO)
    answer = problem_of(refused.value)
    assert (answer.status, answer.title) == (401, "Sign in again to sign")
    assert answer.headers["WWW-Authenticate"] == 'Bearer error="insufficient_user_authentication", max_age="900"'


@pytest.mark.parametrize("decision", WITH_REASON.values(), ids=WITH_REASON)
async def test_a_decision_that_needs_a_reason_is_refused_without_one(decision: Decision) -> None:
    with pytest.raises(DecisionRefusedError) as refused:
        await decision(RECENT)
    assert refused.value.code == "no-reason"
    assert problem_of(refused.value).status == 422


class Behind(OpenReviewsProjection):
    """A projection that has not seen the last events."""

    def __init__(self, row: OpenReviewRow) -> None:
        super().__init__()
        self._row = row

    def find(self, case_id: str) -> OpenReviewRow | None:
        return self._row


async def test_a_projection_that_is_behind_refuses_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    """The new owner decides at once, also when the reassignment was answered before the projection had read it."""
    requested = fold(history(*REQUESTED))
    reassigned = CASE, fold(history(*REQUESTED, "reassigned"))
    row = OpenReviewRow.of(CASE, requested, T0)
    review = ReviewService(UNUSED, UNUSED, UNUSED, Behind(row), UNUSED, lambda: T0, lambda: "id", WITHIN)

    async def case(_: str) -> Any:
        return reassigned

    monkeypatch.setattr(review.cases, "case", case)
    assert requested.review is not None
    seen = requested.review.draft.digest
    by = {name: RECENT.model_copy(update={"practitioner": f"Practitioner/{name}"}) for name in ("dr-1", "dr-2", "dr-3")}
    assert (await review._current_case(CASE.id, by["dr-2"], seen)) == reassigned
    assert (await review._current_case(CASE.id, by["dr-3"], seen)) == reassigned
    owner = requested.owner or requested.review.stay.attending or ""
    (_, found) = await review._current_case(CASE.id, RECENT.model_copy(update={"practitioner": owner}), seen)
    assert found.review == requested.review
    assert found.owner == requested.owner
