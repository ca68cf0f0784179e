"""What every way to sign asks for, checked where the decision is taken: pages and API have no checks of their own."""

from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any

import pytest

from services.approval.corrections.service import CorrectionsService
from services.approval.review.errors import DecisionRefusedError, StepUpRequiredError
from services.approval.review.problems import problem_of
from services.approval.review.service import ReviewService
from shared.runtime.authentication import Caller
from tests.support.examples import T0

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
