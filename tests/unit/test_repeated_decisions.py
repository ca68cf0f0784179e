"""A decision that is sent again by the same person gets its first answer, also where they may not decide any more."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import pytest

from services.approval.corrections.service import CorrectionsService
from services.approval.projections.open_reviews import OpenReviewsProjection
from services.approval.review import repeated
from services.approval.review.decision_writer import cause_of
from services.approval.review.errors import DecisionRefusedError
from services.approval.review.service import ReviewService
from shared.contracts.case import fold
from shared.contracts.envelope import CHAIN_START, sha256_hex
from shared.contracts.events import Actor, CaseEvent, Reassigned
from shared.contracts.subjects import derived_id
from shared.messaging.access_log import AccessLog
from shared.messaging.artifacts import Artifacts
from shared.messaging.event_store import EventStore
from shared.runtime.authentication import Caller
from tests.support.examples import CASE, STAY, SUPERVISOR, T0, draft, draft_ref, event
from tests.support.memory import MemoryBus
from tests.unit.test_approval import REVIEW, history

ATTENDING = STAY.attending or ""
OWNER = Caller(subject="kim", role="physician", practitioner="Practitioner/kim", method="jwt", signed_in_at=T0)
STRANGER = OWNER.model_copy(update={"subject": "lee", "practitioner": "Practitioner/lee"})
HEAD = Caller(subject="boss", role="supervisor", practitioner="Practitioner/boss", method="jwt", signed_in_at=T0)
NEXT, REASON, KEY = "Practitioner/dr-2", "on leave", "k1"
WORDS, SEEN, OTHER = sha256_hex(REASON.encode()), "5" * 64, "6" * 64
TEXT, ADDED = f"{draft().text}One line more.\n", "Seen by the dietician."
ADDENDUM = f"ADDENDUM TO DISCHARGE SUMMARY\n\nPatient: Jane Roe, born 1950-01-02, female, MRN 17\n\n{ADDED}\n"
SIGNED_DRAFT = sha256_hex(draft().model_dump_json().encode())

Send = Callable[["Approval", Caller, str | None], Awaitable[Any]]


def by(made: CaseEvent, who: Actor = OWNER.actor, **changed: Any) -> CaseEvent:
    return made.model_copy(update={"by": who, **changed})


def given(to: str, who: Actor, reason: str = WORDS) -> Reassigned:
    due = (T0 + timedelta(days=1), T0 + timedelta(days=3), T0 + timedelta(days=7))
    return Reassigned(owner=to, by=who, reason=reason, deadlines=due)


# The review was given to `OWNER`, who is not the attending: no later review of the stay is theirs.
MINE = (*REVIEW, given(OWNER.practitioner or "", SUPERVISOR, "7" * 64))
SIGNED = by(event("approved"), draft=draft_ref(value=SIGNED_DRAFT), signed=sha256_hex(TEXT.encode()))
AMENDED = by(
    event("amended"), draft=draft_ref(value=SIGNED_DRAFT), seen=SEEN, reason=WORDS, signed=sha256_hex(TEXT.encode())
)
ADDENDED = by(
    event("addended"),
    draft=draft_ref(value=SIGNED_DRAFT),
    seen=SEEN,
    reason=WORDS,
    signed=sha256_hex(ADDENDUM.encode()),
)
REQUESTED = by(event("retraction-requested"), seen=SEEN, reason=WORDS)
RETRACTED = by(event("retracted"), seen=SEEN)
REDRAFT = by(event("rejected"), action="redraft", reason=WORDS)
SECOND = {"draft": draft_ref(2, "8" * 64)}
REDRAFTED = (
    "redraft-requested",
    event("drafted").model_copy(update=SECOND),
    event("review-requested").model_copy(update=SECOND),
)
REDISCHARGED = ("retraction-filed", *REVIEW)
GIVEN = given(NEXT, OWNER.actor)


@dataclass(frozen=True)
class Row:
    """`decision` is what `OWNER` sent by `send`, `later` what they may not decide any more after."""

    decision: CaseEvent
    send: Send
    before: tuple[str | CaseEvent, ...] = MINE
    later: tuple[str | CaseEvent, ...] = ()
    without_key: bool = True  # the case still says that it is the same


DECISIONS: dict[str, Row] = {
    "reassign": Row(GIVEN, lambda at, who, key: at.review.reassign(CASE.id, NEXT, who, REASON, key)),
    "reassign, given on since": Row(
        GIVEN,
        lambda at, who, key: at.review.reassign(CASE.id, NEXT, who, REASON, key),
        later=(given("Practitioner/dr-3", SUPERVISOR),),
    ),
    "reassign, decided since": Row(
        GIVEN,
        lambda at, who, key: at.review.reassign(CASE.id, NEXT, who, REASON, key),
        later=(by(event("approved"), SUPERVISOR), "filed"),
    ),
    "reject": Row(
        REDRAFT,
        lambda at, who, key: at.review.reject(CASE.id, REDRAFT.draft.digest, who, "redraft", REASON, key),  # type: ignore[union-attr]
        later=REDRAFTED,
    ),
    "approve": Row(
        SIGNED,
        lambda at, who, key: at.review.approve(CASE.id, SIGNED_DRAFT, who, TEXT, key=key),
        later=("filed", "retraction-requested", "retracted", *REDISCHARGED),
        without_key=False,
    ),
    "amend": Row(
        AMENDED,
        lambda at, who, key: at.corrections.amend(CASE.id, SEEN, who, TEXT, REASON, key=key),
        before=(*MINE, by(event("approved")), "filed"),
        later=("filed", "retraction-requested", "retracted", *REDISCHARGED),
        without_key=False,
    ),
    "addend": Row(
        ADDENDED,
        lambda at, who, key: at.corrections.addend(CASE.id, SEEN, who, ADDED, REASON, key=key),
        before=(*MINE, by(event("approved")), "filed"),
        later=("filed", "retraction-requested", "retracted", *REDISCHARGED),
        without_key=False,
    ),
    "confirm a retraction": Row(
        RETRACTED,
        lambda at, who, key: at.corrections.retract(CASE.id, SEEN, who, key),
        before=(*MINE, by(event("approved")), "filed", "retraction-requested"),
        later=REDISCHARGED,
        without_key=False,
    ),
}


class Approval:
    """The services that decide, on a bus in memory."""

    def __init__(self) -> None:
        self.bus: Any = MemoryBus()
        unused: Any = None  # nothing is asked for a decision that is there already
        log = AccessLog(self.bus, lambda: T0, lambda: "entry")
        self.review = ReviewService(
            self.bus, unused, unused, OpenReviewsProjection(), log, lambda: T0, lambda: "id", timedelta(minutes=15)
        )
        self.corrections = CorrectionsService(self.bus, self.review)

    async def append(self, events: Sequence[str | CaseEvent], decision: CaseEvent, key: str | None) -> None:
        """Append `events`; the id of `decision` is derived from `key` as where it was sent."""
        store, head = EventStore(self.bus, "approval"), CHAIN_START
        cause = cause_of(CASE, OWNER, key)
        assert await Artifacts(self.bus).of(CASE.id).put(draft().model_dump_json().encode()) == SIGNED_DRAFT
        for number, item in enumerate(events):
            body = event(item) if isinstance(item, str) else item
            id = derived_id(cause, body.event) if cause and body is decision else f"id-{number}"
            head = await store.append(CASE, body, after=head, id=id, time=T0)

    @property
    def stored(self) -> list[tuple[str, int]]:
        return [(item.stream, item.sequence) for item in self.bus.kept]


async def sent(row: Row, key: str | None, body: CaseEvent | None = None) -> Approval:
    at = Approval()
    await at.append((*row.before, body or row.decision, *row.later), body or row.decision, key)
    return at


@pytest.mark.parametrize(
    ("row", "key"),
    [
        *(pytest.param(row, KEY, id=f"{name}, with a key") for name, row in DECISIONS.items()),
        *(pytest.param(row, None, id=name) for name, row in DECISIONS.items() if row.without_key),
    ],
)
async def test_the_first_answer_is_given_to_whoever_may_not_decide_any_more(row: Row, key: str | None) -> None:
    at = await sent(row, key)
    before = at.stored
    assert await row.send(at, OWNER, key) in (row.decision, None)
    assert at.stored == before, "nothing is appended, and no refusal is logged"


@pytest.mark.parametrize("row", DECISIONS.values(), ids=DECISIONS)
async def test_nobody_else_gets_that_answer(row: Row) -> None:
    at = await sent(row, KEY)
    with pytest.raises(DecisionRefusedError) as refused:
        await row.send(at, STRANGER, KEY)
    assert refused.value.code == "forbidden"


@pytest.mark.parametrize("row", DECISIONS.values(), ids=DECISIONS)
async def test_another_decision_does_not_get_that_answer(row: Row) -> None:
    changed = {"seen": OTHER} if hasattr(row.decision, "seen") else {"reason": OTHER, "signed": OTHER}
    fields = {name: value for name, value in changed.items() if hasattr(row.decision, name)}
    other = row.decision.model_copy(update=fields)
    with pytest.raises(DecisionRefusedError) as refused:
        await row.send(await sent(row, KEY, other), OWNER, KEY)
    assert refused.value.code == "key-used"
    with pytest.raises(DecisionRefusedError) as refused:
        await row.send(await sent(row, None, other), OWNER, None)
    assert refused.value.code in ("forbidden", "stale")


async def test_a_retraction_that_is_asked_for_again_is_the_same_request() -> None:
    """Any physician of the department may ask: the sender has left it."""
    at = Approval()
    await at.append((*MINE, by(event("approved")), "filed", REQUESTED), REQUESTED, KEY)
    gone = OWNER.model_copy(update={"departments": ("surgery",)})
    for key in (KEY, None):
        assert await at.corrections.request_retraction(CASE.id, SEEN, gone, REASON, key) == REQUESTED
    with pytest.raises(DecisionRefusedError) as refused:
        await at.corrections.request_retraction(CASE.id, OTHER, gone, REASON)
    assert refused.value.code == "unknown", "the case is concealed from another department"


async def test_of_two_equal_reassignments_sent_at_once_one_is_appended() -> None:
    """The second has read the case before the first was appended, and may not give it away any more after."""
    at = Approval()
    await at.append((*MINE, GIVEN), GIVEN, None)
    stored = at.stored
    answer = await at.review.decisions.decide(
        CASE,
        fold(history(*MINE)),
        OWNER,
        "reassign",
        lambda _: GIVEN,
        repeated=lambda events: repeated.reassigned_earlier(events, NEXT, OWNER.actor, WORDS),
    )
    assert answer == GIVEN
    assert at.stored == stored


@pytest.mark.parametrize(
    ("who", "to", "reason", "later", "found"),
    [
        (OWNER, NEXT, WORDS, (), True),
        (OWNER, NEXT, WORDS, ("escalated",), True),
        (OWNER, NEXT, WORDS, (given("Practitioner/dr-3", SUPERVISOR),), True),
        (OWNER, NEXT, OTHER, (), False),
        (OWNER, "Practitioner/dr-4", WORDS, (), False),
        (HEAD, NEXT, WORDS, (), False),
        (OWNER, NEXT, WORDS, (REDRAFT, *REDRAFTED), False),  # of a draft before this one
    ],
)
def test_a_reassignment_is_known_by_its_sender_its_words_and_its_review(
    who: Caller, to: str, reason: str, later: tuple[str | CaseEvent, ...], found: bool
) -> None:
    past = history(*MINE, GIVEN, *later)
    assert repeated.reassigned_earlier(past, to, who.actor, reason) == (GIVEN if found else None)
