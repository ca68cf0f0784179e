"""Which signatures had no recorded view of the signed draft before them."""

from datetime import timedelta
from typing import Any

import pytest

from services.approval.access.unseen import UnseenSignature, unseen
from shared.contracts.access_log import AccessLogEntry
from shared.contracts.envelope import ChainHead, RecordedEvent
from shared.contracts.events import Approved
from tests.support.examples import CASE, T0, event


def signature(**changes: Any) -> Approved:
    body = event("approved")
    assert isinstance(body, Approved)
    return body.model_copy(update=changes)


def viewed(approved: Approved, **changes: Any) -> AccessLogEntry:
    """A view of the signed draft by the signer, a minute before the signature."""
    given = {
        "event": "viewed",
        "case_id": CASE.id,
        "time": T0 - timedelta(minutes=1),
        "subject": approved.by.subject,
        "role": "physician",
        "method": "oidc",
        "detail": f"draft {approved.draft.digest}",
        "practitioner": approved.by.practitioner,
    }
    return AccessLogEntry.model_validate(given | changes)


def found(approved: Approved, *entries: AccessLogEntry) -> UnseenSignature | None:
    return unseen(RecordedEvent(CASE, "id", "x/approval", T0, "", approved, ChainHead(7, "d" * 64)), approved, entries)


def test_a_view_of_the_signed_draft_by_the_signer_before_counts() -> None:
    approved = signature()
    assert found(approved, viewed(approved)) is None
    assert found(approved, viewed(approved, time=T0)) is None


@pytest.mark.parametrize(
    "changes",
    [
        {"time": T0 + timedelta(seconds=1)},
        {"subject": "another", "practitioner": None},
        {"event": "refused"},
        {"event": "exported"},
        {"detail": "no draft yet"},
    ],
)
def test_other_entries_do_not(changes: dict[str, Any]) -> None:
    approved = signature()
    item = found(approved, viewed(approved, **changes))
    assert item is not None
    assert (item.reason, item.last_viewed, item.sequence) == ("not-viewed", None, 7)


def test_the_same_person_by_another_sign_in_is_known_by_the_practitioner() -> None:
    by = signature().by.model_copy(update={"practitioner": "Practitioner/1"})
    approved = signature(by=by)
    assert found(approved, viewed(approved, subject="other-account")) is None
    nobody = signature(by=by.model_copy(update={"practitioner": None}))
    item = found(nobody, viewed(nobody, subject="other-account", practitioner=None))
    assert item is not None, "two people without a reference are not the same"


def test_a_view_of_an_earlier_draft_is_told_apart() -> None:
    approved = signature()
    item = found(approved, viewed(approved, detail="draft " + "0" * 64))
    assert item is not None
    assert (item.reason, item.last_viewed) == ("other-draft-viewed", T0 - timedelta(minutes=1))


def test_decisions_in_the_ehr_have_their_own_label_unless_the_draft_was_viewed_here() -> None:
    approved = signature(channel="ehr")
    item = found(approved)
    assert item is not None
    assert item.reason == "signed-in-ehr"
    assert found(approved, viewed(approved)) is None
