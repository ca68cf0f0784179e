"""Who may see, decide and reassign. Pure."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from services.approval.review.authorization import Action, authorize, denial, needs_step_up
from shared.contracts.case import Case
from shared.contracts.events import ReviewRequested
from shared.runtime.authentication import Caller
from tests.support.examples import event

NOW = datetime(2026, 11, 23, tzinfo=UTC)
WARD = "cardiology"


def caller(**more: Any) -> Caller:
    facts = {"subject": "s", "role": "physician", "departments": (WARD,), "method": "oidc"}
    return Caller.model_validate(facts | more)


def case() -> Case:
    review = event("review-requested")
    assert isinstance(review, ReviewRequested)
    return Case(state="awaiting-review", review=review, owner=review.owner)


ATTENDING = "Practitioner/dr-1"


@pytest.mark.parametrize(
    ("who", "deed", "answer"),
    [
        (caller(practitioner=ATTENDING), "decide", "yes"),
        (caller(practitioner="Practitioner/other"), "decide", "no"),
        (caller(practitioner="Practitioner/other"), "see", "yes"),
        (caller(practitioner="Practitioner/other"), "reassign", "no"),
        (caller(practitioner=ATTENDING, departments=("surgery",)), "see", "hidden"),
        (caller(practitioner=ATTENDING, departments=()), "decide", "hidden"),
        (caller(), "decide", "no"),
        (caller(practitioner="Practitioner/other"), "retract", "yes"),
        (caller(), "retract", "no"),  # nobody could be named
        (caller(role="supervisor", practitioner="Practitioner/head"), "retract", "yes"),
        (caller(role="supervisor"), "retract", "no"),
        (caller(method="token"), "retract", "yes"),
        (caller(practitioner=ATTENDING, departments=("surgery",)), "retract", "hidden"),
        (caller(role="auditor", departments=None), "retract", "no"),
        (caller(role="operator", departments=None), "retract", "no"),
        (caller(role="supervisor", practitioner="Practitioner/head"), "decide", "yes"),
        (caller(role="supervisor"), "decide", "no"),  # nobody signs without an identity of their own
        (caller(role="supervisor", method="jwt"), "decide", "no"),
        (caller(role="supervisor", method="token"), "decide", "yes"),
        (caller(also=("supervisor",), practitioner="Practitioner/head"), "decide", "yes"),  # all roles count
        (caller(also=("supervisor",), practitioner="Practitioner/head"), "reassign", "yes"),
        (caller(also=("operator",), practitioner="Practitioner/other"), "reassign", "yes"),
        (caller(also=("operator",), practitioner="Practitioner/other"), "decide", "no"),
        (caller(also=("supervisor",), departments=("surgery",)), "decide", "hidden"),
        (caller(role="supervisor"), "reassign", "yes"),
        (caller(role="supervisor", departments=("surgery",)), "decide", "hidden"),
        (caller(role="operator", departments=None), "reassign", "yes"),
        (caller(role="operator", departments=None), "see", "no"),
        (caller(role="auditor", departments=None), "see", "no"),
        (caller(role="auditor", departments=None), "decide", "no"),
        (caller(method="token"), "decide", "yes"),  # a demo's token stands in for the owner
        (caller(method="token", practitioner="Practitioner/other"), "decide", "no"),
    ],
)
def test_who_may_do_what(who: Caller, deed: Action, answer: str) -> None:
    found = denial(who, case(), WARD, deed)
    assert ("yes" if found is None else "hidden" if found.conceal_existence else "no") == answer


def test_a_deed_is_done_in_the_role_that_may_do_it() -> None:
    """The trail says as what somebody decided: the attending physician as one, the head of the department as such."""
    head = caller(also=("supervisor",), practitioner="Practitioner/head")
    attending = caller(also=("supervisor",), practitioner=ATTENDING)
    for who, deed, role in ((head, "decide", "supervisor"), (attending, "decide", "physician")):
        found = authorize(who, case(), WARD, deed)
        assert isinstance(found, Caller)
        assert found.role == role


@pytest.mark.parametrize(
    ("who", "again"),
    [
        (caller(signed_in_at=NOW - timedelta(minutes=14)), False),
        (caller(signed_in_at=NOW - timedelta(minutes=16)), True),
        (caller(signed_in_at=None), True),
        (caller(method="jwt", signed_in_at=None), True),
        (caller(method="token"), False),
    ],
)
def test_when_a_signature_wants_another_sign_in(who: Caller, again: bool) -> None:
    assert needs_step_up(who, NOW, timedelta(minutes=15)) == again
