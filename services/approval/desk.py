"""Decisions: what a person may do with a review, each appended to the case exactly where it was looked at."""

import re
from collections.abc import Callable, Sequence
from typing import TypeVar

from services.approval import clocks, domain
from services.approval.directory import Directory
from services.approval.gate import Settled
from services.approval.records import Records
from services.approval.refusal import Refused
from services.approval.reviews import Reviews
from services.approval.rights import Deed, permitted
from services.approval.written import Statement
from shared.clinical.fhir_client import FhirClient, NotFoundError
from shared.contracts.case import Case, fold
from shared.contracts.corrections import Addended, Amended, Retracted, RetractionRequested
from shared.contracts.draft import Draft
from shared.contracts.envelope import RecordedEvent, sha256_hex
from shared.contracts.errors import CountersignError, TransientError
from shared.contracts.events import (
    Actor,
    Approved,
    CaseEvent,
    Channel,
    ReadingFigures,
    Reassigned,
    Rejected,
    RejectionAction,
    ReviewRequested,
    Signature,
    Withdrawn,
)
from shared.contracts.model import read_strictly
from shared.contracts.retention import ErasureOrdered, HoldPlaced, HoldReleased
from shared.contracts.subjects import FHIR_ID, CaseRef, derived_id
from shared.messaging.access_log import AccessLog
from shared.messaging.artifacts import Artifacts, CaseTexts
from shared.messaging.connection import Bus
from shared.messaging.journal import Conflict, Journal, Unreadable
from shared.messaging.steps import Clock
from shared.runtime.authentication import Caller

TRIES = 5
CASE_ID = re.compile(r"[A-Za-z0-9-]{1,64}")

Event = TypeVar(
    "Event",
    Approved,
    Rejected,
    Reassigned,
    Amended,
    Addended,
    RetractionRequested,
    Retracted,
    ErasureOrdered,
    HoldPlaced,
    HoldReleased,
)


class Desk:
    """Reads reviews and takes decisions. `new_id` gives the ids of decisions: two of them are never the same event."""

    def __init__(
        self,
        ehr: FhirClient,
        directory: Directory,
        reviews: Reviews,
        log: AccessLog,
        clock: Clock,
        new_id: Callable[[], str],
    ) -> None:
        self._ehr = ehr
        self._log = log
        self._reviews = reviews
        self._directory = directory
        self._clock = clock
        self._new_id = new_id

    def attach(self, bus: Bus) -> None:
        self.bus = bus
        self._journal = Journal(bus, "approval")
        self._artifacts = Artifacts(bus)
        self._records = Records(self._artifacts)

    async def history(self, case_id: str) -> list[RecordedEvent]:
        """Empty when there is no such case. What is no case id is none: subjects are made of it."""
        return await self._journal.find(case_id) if CASE_ID.fullmatch(case_id) else []

    async def case(self, case_id: str) -> tuple[CaseRef, Case]:
        return _last(case_id, await self.history(case_id))

    async def look(self, case_id: str, caller: Caller) -> list[RecordedEvent]:
        """The history of a case whose draft the caller is about to see; the look is on the trail when this returns.

        Raises Refused.
        """
        history = await self.history(case_id)
        ref, case = _last(case_id, history)
        caller = await self.permit(ref, case, caller, "see")
        await self._log.record(
            "viewed",
            detail=f"draft {case.review.draft.digest}" if case.review else "no draft yet",
            case_id=case_id,
            subject=caller.subject,
            role=caller.role,
            method=caller.method,
            practitioner=caller.practitioner,
        )
        return history

    async def permit(self, ref: CaseRef, case: Case, caller: Caller, deed: Deed) -> Caller:
        """The caller in the role that may do it. Raises Refused, once that is on the trail."""
        if not case.exists:
            raise Refused("unknown", "There is no such case.")
        found = permitted(caller, case, ref.department, deed)
        if isinstance(found, Caller):
            return found
        await self._log.record(
            "refused",
            detail=f"{deed}: {found.reason}",
            case_id=ref.id,
            subject=caller.subject,
            role=caller.role,
            method=caller.method,
        )
        if found.hidden:
            raise Refused("unknown", "There is no such case.")
        raise Refused("forbidden", f"{found.reason[0].upper()}{found.reason[1:]}.")

    async def readable(self, case_id: str) -> tuple[list[RecordedEvent], list[Unreadable]]:
        """The same for whoever only looks, also where something on the trail cannot be read."""
        return await self._journal.readable(case_id) if CASE_ID.fullmatch(case_id) else ([], [])

    async def recent(self, events: int) -> tuple[list[RecordedEvent], list[Unreadable]]:
        return await self._journal.recent(events)

    async def draft_of(self, case_id: str, case: Case) -> Draft | None:
        """The draft of the case's last review."""
        if case.review is None:
            return None
        return await self.draft(case_id, case.review.draft.digest)

    async def draft(self, case_id: str, digest: str) -> Draft:
        return read_strictly(Draft, await self.texts(case_id).get(digest))

    async def signed_text(self, case_id: str, signed: Signature) -> str:
        """Exactly what was signed."""
        if isinstance(signed, Approved) and not signed.edited:
            return (await self.draft(case_id, signed.draft.digest)).text
        return (await self.texts(case_id).get(signed.signed)).decode()

    def texts(self, case_id: str, at: int = 0) -> CaseTexts:
        """The texts of a case; who writes one knows the case up to its event at sequence `at`."""
        return self._artifacts.of(case_id, at)

    async def approve(
        self,
        case_id: str,
        seen: str,
        by: Caller,
        text: str | None,
        settled: Settled = Settled(),  # noqa: B008 - frozen
        reading: ReadingFigures | None = None,
        key: str | None = None,
    ) -> Approved:
        """Countersign the draft with digest `seen`, or `text` in its place; `key`: see `repeated`. Raises Refused."""
        ref, case = await self._look(case_id, seen)
        by = await self.permit(ref, case, by, "decide")

        def before(current: Case) -> Approved | None:
            return domain.approved_before(current, seen, by.actor, text)

        def same(body: Approved) -> bool:
            return body.draft.digest == seen and (not body.edited if text is None else signs(body, text))

        if (done := before(case) or await self.repeated(ref, by, key, Approved, same)) is not None:
            return done
        review = domain.open_review(case, seen)
        draft = await self._draft_to_sign(ref, review, text)
        written = await self.written(ref.id, draft, text, by) if draft is not None and text is not None else ()
        supervisor = await self.stands_for(ref, by)

        def decide(current: Case) -> Approved:
            return domain.approve(
                current,
                seen,
                by.actor,
                draft=draft,
                text=text,
                settled=settled,
                written=written,
                supervisor=supervisor,
                channel=channel_of(by),
                reading=reading,
            )

        event = decide(case)
        await self._withdraw_if_taken_back(ref, case, review)
        if text is not None and event.edited:
            await self.texts(ref.id, case.head.sequence).put(text.encode())
        return await self.decide(ref, case, by, "decide", decide, cause_of(ref, by, key), before)

    async def repeated(
        self, ref: CaseRef, by: Caller, key: str | None, kind: type[Event], same: Callable[[Event], bool]
    ) -> Event | None:
        """The decision that `by` has sent with this `Idempotency-Key` before, whatever has happened to the case since.

        Raises Refused where it was not the `same`.
        """
        cause = cause_of(ref, by, key)
        if cause is None:
            return None
        id = derived_id(cause, kind.model_fields["event"].default)
        found = next((item.body for item in await self.history(ref.id) if item.id == id), None)
        if not isinstance(found, kind):
            return None
        if not same(found):
            raise Refused("key-used", "It was sent with another decision about this case.")
        return found

    async def written(self, case_id: str, draft: Draft, text: str, by: Caller) -> tuple[Statement, ...]:
        """The sentences of `text` that `draft` does not have, held against the record that it was made from.

        Raises Problem 429 where `by` has sent more texts than there is time for.
        """
        return await self._records.written(case_id, draft, text, by.subject)

    async def _draft_to_sign(self, ref: CaseRef, review: ReviewRequested, text: str | None = None) -> Draft | None:
        """The draft under review where a signature needs it."""
        return await self.draft(ref.id, review.draft.digest) if domain.reads_draft(review, text) else None

    async def _look(self, case_id: str, seen: str = "") -> tuple[CaseRef, Case]:
        """The case as the inbox knows it, where that is about the draft `seen`; else as the trail has it."""
        waiting = self._reviews.find(case_id)
        if waiting is not None:
            case = waiting.case
            if case.review is not None and case.review.draft.digest == seen:
                return waiting.ref, case
        return await self.case(case_id)

    async def stands_for(self, ref: CaseRef, by: Caller) -> str | None:
        """The department's supervisor, as which a supervisor's token without an identity of its own signs."""
        if by.role != "supervisor" or not by.signs_as_owner:
            return None
        found = await self._directory.supervisor(ref.department)
        return found if "/" in found else None

    async def reject(
        self, case_id: str, seen: str, by: Caller, action: RejectionAction, reason: str, key: str | None = None
    ) -> Rejected:
        ref, case = await self._look(case_id, seen)
        by = await self.permit(ref, case, by, "decide")
        words = sha256_hex(reason.encode())

        def before(current: Case) -> Rejected | None:
            return domain.rejected_before(current, seen, by.actor, action, words)

        def same(body: Rejected) -> bool:
            return (body.action, body.reason) == (action, words)  # a refusal need not say of which draft

        if (done := before(case) or await self.repeated(ref, by, key, Rejected, same)) is not None:
            return done
        domain.open_review(case, seen)
        await self.texts(ref.id, case.head.sequence).put(reason.encode())

        def decide(current: Case) -> Rejected:
            return domain.reject(current, seen, by.actor, action, words, channel=channel_of(by))

        return await self.decide(ref, case, by, "decide", decide, cause_of(ref, by, key), before)

    async def approve_in_ehr(self, case_id: str, seen: str, by: Actor, cause: str) -> Approved:
        """Countersign the draft as it is, as `by` did in the EHR. `cause` gives the event its id.

        Whether they may is for the EHR to say, and checked by whoever heard it. Raises Refused.
        """
        ref, case = await self.case(case_id)
        review = domain.open_review(case, seen)
        draft = await self._draft_to_sign(ref, review)

        def decide(current: Case) -> Approved:
            return domain.approve(current, seen, by, draft=draft, channel="ehr")

        decide(case)  # refused before the EHR is asked
        await self._withdraw_if_taken_back(ref, case, review)
        return await self.decide(ref, case, None, "decide", decide, cause)

    async def reject_in_ehr(
        self, case_id: str, seen: str, by: Actor, cause: str, action: RejectionAction, reason: str
    ) -> Rejected:
        """Refuse the draft, as `by` did in the EHR. Raises Refused."""
        ref, case = await self.case(case_id)
        domain.open_review(case, seen)
        words = await self.texts(ref.id, case.head.sequence).put(reason.encode())
        return await self.decide(
            ref,
            case,
            None,
            "decide",
            lambda current: domain.reject(current, seen, by, action, words, channel="ehr"),
            cause,
        )

    async def reassign(self, case_id: str, to: str, by: Caller, reason: str, key: str | None = None) -> None:
        """Give an open review to somebody else, whose clock starts. Raises Refused.

        To whom it belongs already, nothing changes, so that nobody puts a review off; an operator sets a lost timer so.
        """
        ref, case = await self._look(case_id)
        by = await self.permit(ref, case, by, "reassign")
        words = sha256_hex(reason.encode())

        def same(body: Reassigned) -> bool:
            return (body.owner, body.reason) == (to, words)

        if await self.repeated(ref, by, key, Reassigned, same) is not None:
            return
        if case.open and case.owner == to and by.role != "operator":
            return
        await self._check_person(to)
        await self.texts(ref.id, case.head.sequence).put(reason.encode())
        now, times = self._clock(), self._directory.times(ref.department)

        def decide(current: Case) -> Reassigned:
            return domain.reassign(current, to, by.actor, words, clocks.deadlines(now, times, current.requested_at))

        await self.decide(ref, case, by, "reassign", decide, cause_of(ref, by, key))

    async def _check_person(self, to: str) -> None:
        """Raises Refused where the EHR knows no such practitioner. An EHR that is down keeps nobody from going home."""
        kind, _, id = to.partition("/")
        known = kind == "Practitioner" and re.fullmatch(FHIR_ID, id) is not None
        try:
            if known:
                await self._ehr.read("Practitioner", id)
        except NotFoundError:
            known = False
        except CountersignError:
            return
        if not known:
            raise Refused("no-such-person", "The EHR knows no such practitioner: give a reference, Practitioner/…")

    async def decide(
        self,
        ref: CaseRef,
        case: Case,
        by: Caller | None,
        deed: Deed,
        decide: Callable[[Case], Event],
        cause: str | None = None,
        before: Callable[[Case], Event | None] = lambda _: None,
    ) -> Event:
        """Append the decision after what it was taken on; where something came in between, look and decide again.

        `before` finds the same decision where it stands already: it was sent twice, and is taken once.
        """
        for _ in range(TRIES):
            if (done := before(case)) is not None:
                return done
            event = decide(case)
            try:
                await self._append(ref, case, event, derived_id(cause, event.event) if cause else None)
            except Conflict as conflict:
                ref, case = _last(ref.id, conflict.history)
                if case.open and by is not None:  # it may belong to somebody else by now
                    await self.permit(ref, case, by, deed)
            else:
                return event
        raise TransientError("the case changed too often while it was being decided")

    async def _withdraw_if_taken_back(self, ref: CaseRef, case: Case, review: ReviewRequested) -> None:
        """Nobody signs for a stay that goes on: the EHR is asked once more. An EHR that is down stops no signature."""
        try:
            encounter = await self._ehr.read("Encounter", review.stay.encounter.removeprefix("Encounter/"))
        except CountersignError:
            return
        if encounter.get("status") in domain.ONGOING:
            ref, case = await self.case(ref.id)  # the inbox does not know how often the stay was discharged
        if domain.discharge_taken_back(case, review, encounter.get("status")):
            try:
                await self._append(ref, case, Withdrawn(reason="encounter-not-finished"))
            except Conflict:
                raise TransientError("the case changed while it was being decided") from None
            raise Refused("not-open", "The discharge was taken back in the EHR: the case is withdrawn.")

    async def _append(self, ref: CaseRef, case: Case, event: CaseEvent, id: str | None = None) -> None:
        await self._journal.append(ref, event, after=case.head, id=id or self._new_id(), time=self._clock())


def cause_of(ref: CaseRef, by: Caller, key: str | None) -> str | None:
    """What gives a decision its id where it was sent with an `Idempotency-Key`, which is its sender's own."""
    return f"key/{ref.id}/{by.subject}/{key}" if key else None


def signs(body: Signature, text: str) -> bool:
    return body.signed == sha256_hex(text.encode())


def channel_of(caller: Caller) -> Channel:
    """A session is our pages; a token, whoever's it is, our API."""
    return "api" if caller.method in ("token", "jwt") else "inbox"


def _last(case_id: str, history: Sequence[RecordedEvent]) -> tuple[CaseRef, Case]:
    """The case that `history` adds up to; a case without events is of no department."""
    return (history[-1].case if history else CaseRef("*", case_id)), fold(history)
