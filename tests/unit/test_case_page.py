"""What the page of a case says of its decision."""

import pytest

from services.approval.web.case import _decided
from shared.contracts.case import Case
from shared.contracts.envelope import ChainHead, RecordedEvent
from shared.contracts.events import Approved, Rejected
from tests.support.examples import CASE, DIGEST, PHYSICIAN, STAY, T0, draft_ref

APPROVED = Approved(stay=STAY, draft=draft_ref(), signed=DIGEST, edited=False, by=PHYSICIAN)
REJECTED = Rejected(
    stay=STAY, draft=draft_ref(), action="close", reason=DIGEST, by=PHYSICIAN, encounter_status="finished"
)


@pytest.mark.parametrize(("body", "word"), [(APPROVED, "Countersigned"), (REJECTED, "Refused")])
def test_who_decided_and_what_is_in_words(body: Approved | Rejected, word: str) -> None:
    decision = RecordedEvent(CASE, "id-5", "countersign/approval", T0, "", body, ChainHead(5, "h" * 64))
    said = _decided(Case(decision=decision))
    assert said == {"what": word, "by": PHYSICIAN.name or PHYSICIAN.subject, "time": T0}


def test_nothing_is_said_before_the_decision() -> None:
    assert _decided(Case()) is None
