"""Decisions about reviews: approve, reject, reassign. One implementation behind the API, the pages and the EHR."""

import re
from collections.abc import Callable
from datetime import timedelta
from functools import partial

from services.approval import domain
from services.approval.escalation import rules as escalation_rules
from services.approval.escalation.directory import Directory
from services.approval.projections.open_reviews import OpenReviewsProjection
from services.approval.review import repeated
from services.approval.review.authorization import authorize, denial, needs_step_up
from services.approval.review.case_reader import CaseReader
from services.approval.review.case_reader import current as current_case
from services.approval.review.decision_writer import DecisionWriter, cause_of
from services.approval.review.errors import DecisionRefusedError, StepUpRequiredError
from services.approval.review.signing_rules import ResolvedItems
from shared.clinical.fhir_client import FhirClient, NotFoundError
from shared.contracts.case import Case, fold
from shared.contracts.draft import Draft
from shared.contracts.envelope import sha256_hex
from shared.contracts.errors import CountersignError, TransientError
from shared.contracts.events import (
    Actor,
    Approved,
    Channel,
    ReadingFigures,
    Reassigned,
    Rejected,
    RejectionAction,
    ReviewRequested,
    Signature,
    Withdrawn,
)
from shared.contracts.subjects import FHIR_ID, CaseRef
from shared.messaging.access_log import AccessLog
from shared.messaging.connection import NatsConnection
from shared.messaging.event_store import WrongExpectedVersionError
from shared.messaging.steps import Clock
from shared.runtime.authentication import Caller


class ReviewService:
    """Takes the decisions about reviews, for the API, the pages and the EHR's Tasks.

    `cases` reads cases, `decisions` appends to them. A signature needs a sign-in that is no older than `sign_within`.
    """

    def __init__(
        self,
        bus: NatsConnection,
        ehr: FhirClient,
        directory: Directory,
        reviews: OpenReviewsProjection,
        log: AccessLog,
        clock: Clock,
        new_id: Callable[[], str],
        sign_within: timedelta,
    ) -> None:
        self._ehr = ehr
        self._directory = directory
        self._reviews = reviews
        self._clock = clock
        self._sign_within = sign_within
        self.cases = CaseReader(bus, log)
        self.decisions = DecisionWriter(bus, self.cases, clock, new_id)

    def require_recent_sign_in(self, by: Caller) -> None:
        """Raise StepUpRequiredError where `by` has to authenticate again before a signature."""
        if needs_step_up(by, self._clock(), self._sign_within):
            raise StepUpRequiredError(self._sign_within)

    async def approve(
        self,
        case_id: str,
        seen: str,
        by: Caller,
        text: str | None,
        resolved: ResolvedItems = ResolvedItems(),  # noqa: B008 - frozen
        reading: ReadingFigures | None = None,
        key: str | None = None,
    ) -> Approved:
        """Countersign the draft with digest `seen`, or `text` in its place.

        `key` is an `Idempotency-Key`. Raises DecisionRefusedError; StepUpRequiredError where the sign-in is too old.
        """
        self.require_recent_sign_in(by)
        ref, case = await self._current_case(case_id, by, seen)
        before = partial(repeated.approved_before, seen=seen, by=by.actor, text=text)
        same = partial(_is_approval_of, seen=seen, text=text)
        if (done := before(case) or await self.decisions.find_repeated(ref, by, key, Approved, same)) is not None:
            return done
        by = await self.cases.authorize(ref, case, by, "decide")
        review = domain.open_review(case, seen)
        draft = await self._draft_to_sign(ref, review, text)
        added = await self.cases.added_statements(ref.id, draft, text, by) if draft and text is not None else ()
        decide = partial(
            domain.approve,
            seen=seen,
            by=by.actor,
            draft=draft,
            text=text,
            resolved=resolved,
            written=added,
            supervisor=await self.acting_supervisor(ref, by),
            channel=channel_of(by),
            reading=reading,
        )
        event = decide(case)
        await self._withdraw_if_cancelled(ref, case, review)
        if text is not None and event.edited:
            await self.cases.texts(ref.id, case.head.sequence).put(text.encode())
        return await self.decisions.decide(
            ref, case, by, "decide", decide, cause_of(ref, by, key), lambda history: before(fold(history))
        )

    async def _draft_to_sign(self, ref: CaseRef, review: ReviewRequested, text: str | None = None) -> Draft | None:
        """Return the draft under review where it is needed to check the signature."""
        return await self.cases.draft(ref.id, review.draft.digest) if domain.reads_draft(review, text) else None

    async def _current_case(self, case_id: str, by: Caller, seen: str) -> tuple[CaseRef, Case]:
        """Return the case from the projection where that is about the draft `seen` and permits `by` to decide.

        Otherwise from its event stream: the projection may be behind, so it must not refuse a decision.
        """
        waiting = self._reviews.find(case_id)
        if waiting is not None:
            ref, case = waiting.ref, waiting.case
            current = case.review is not None and case.review.draft.digest == seen
            if current and isinstance(authorize(by, case, ref.department, "decide"), Caller):
                return ref, case
        return await self.cases.case(case_id)

    async def acting_supervisor(self, ref: CaseRef, by: Caller) -> str | None:
        """Return the department's supervisor, as whom a supervisor's token without an identity of its own signs."""
        if by.role != "supervisor" or not by.signs_as_owner:
            return None
        found = await self._directory.supervisor(ref.department)
        return found if "/" in found else None

    async def reject(
        self, case_id: str, seen: str | None, by: Caller, action: RejectionAction, reason: str, key: str | None = None
    ) -> Rejected:
        """Refuse the draft with digest `seen`; None: the one under review, as a refusal signs nothing.

        Raises DecisionRefusedError, also where `reason` is blank.
        """
        require_reason(reason, "Say in a few words why the draft is refused.")
        if seen is None:
            _, case = await self.cases.case(case_id)
            seen = case.review.draft.digest if case.review else ""
        digest_seen = seen
        ref, case = await self._current_case(case_id, by, seen)
        words = sha256_hex(reason.encode())
        earlier = partial(repeated.rejected_earlier, seen=seen, by=by.actor, action=action, reason=words)

        def same(body: Rejected) -> bool:
            return (body.action, body.reason) == (action, words)  # a refusal need not say of which draft

        done = repeated.rejected_before(case, seen, by.actor, action, words)
        if (done := done or await self.decisions.find_repeated(ref, by, key, Rejected, same)) is not None:
            return done
        redrafted = case.review is not None and case.review.draft.digest != seen
        if redrafted and (done := earlier(await self.cases.history(case_id))) is not None:
            return done
        by = await self.cases.authorize(ref, case, by, "decide")
        domain.open_review(case, seen)
        await self.cases.texts(ref.id, case.head.sequence).put(reason.encode())

        def decide(current: Case) -> Rejected:
            return domain.reject(current, digest_seen, by.actor, action, words, channel=channel_of(by))

        return await self.decisions.decide(ref, case, by, "decide", decide, cause_of(ref, by, key), earlier)

    async def approve_in_ehr(self, case_id: str, seen: str, by: Actor, cause: str) -> Approved:
        """Countersign the unchanged draft, as `by` did in the EHR. The event's id is derived from `cause`.

        The caller has checked that they may decide. Raises DecisionRefusedError.
        """
        ref, case = await self.cases.case(case_id)
        review = domain.open_review(case, seen)
        draft = await self._draft_to_sign(ref, review)

        def decide(current: Case) -> Approved:
            return domain.approve(current, seen, by, draft=draft, channel="ehr")

        decide(case)  # refused before the EHR is asked
        await self._withdraw_if_cancelled(ref, case, review)
        return await self.decisions.decide(ref, case, None, "decide", decide, cause)

    async def reject_in_ehr(
        self, case_id: str, seen: str, by: Actor, cause: str, action: RejectionAction, reason: str
    ) -> Rejected:
        """Refuse the draft, as `by` did in the EHR. Raises DecisionRefusedError."""
        ref, case = await self.cases.case(case_id)
        domain.open_review(case, seen)
        words = await self.cases.texts(ref.id, case.head.sequence).put(reason.encode())
        return await self.decisions.decide(
            ref,
            case,
            None,
            "decide",
            lambda current: domain.reject(current, seen, by, action, words, channel="ehr"),
            cause,
        )

    async def reassign(self, case_id: str, to: str, by: Caller, reason: str, key: str | None = None) -> None:
        """Give an open review to somebody else; their deadlines start now. Raises DecisionRefusedError.

        For the present owner nothing changes, so that nobody postpones a review; an operator restores a lost timer so.
        Who gave it away may not be entitled to it any more: they get the answer of the same reassignment.
        """
        require_reason(reason, "Say in a few words why somebody else is to decide.")
        history = await self.cases.history(case_id)
        ref, case = current_case(case_id, history)
        words = sha256_hex(reason.encode())
        earlier = partial(repeated.reassigned_earlier, to=to, by=by.actor, reason=words)

        def same(body: Reassigned) -> bool:
            return (body.owner, body.reason) == (to, words)

        if await self.decisions.find_repeated(ref, by, key, Reassigned, same) is not None:
            return
        new = case.open and denial(by, case, ref.department, "reassign") is None
        if not new and earlier(history) is not None:
            return
        by = await self.cases.authorize(ref, case, by, "reassign")
        if case.open and case.owner == to and by.role != "operator":
            return
        await self.check_person(to)
        await self.cases.texts(ref.id, case.head.sequence).put(reason.encode())
        now, times = self._clock(), self._directory.escalation_delays(ref.department)

        def decide(current: Case) -> Reassigned:
            return domain.reassign(
                current, to, by.actor, words, escalation_rules.deadlines(now, times, current.requested_at)
            )

        await self.decisions.decide(ref, case, by, "reassign", decide, cause_of(ref, by, key), earlier)

    async def check_person(self, to: str) -> None:
        """Raise DecisionRefusedError where the EHR has no such practitioner. An EHR that is down refuses nobody."""
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
            raise DecisionRefusedError(
                "no-such-person", "The EHR knows no such practitioner: give a reference, Practitioner/…"
            )

    async def _withdraw_if_cancelled(self, ref: CaseRef, case: Case, review: ReviewRequested) -> None:
        """Withdraw the case and refuse where the stay continues in the EHR. An EHR that is down stops no signature."""
        try:
            encounter = await self._ehr.read("Encounter", review.stay.encounter.removeprefix("Encounter/"))
        except CountersignError:
            return
        if encounter.get("status") in domain.ONGOING:
            ref, case = await self.cases.case(ref.id)  # the inbox does not know how often the stay was discharged
        if domain.is_discharge_cancelled(case, review, encounter.get("status")):
            try:
                await self.decisions.append(ref, case, Withdrawn(reason="encounter-not-finished"))
            except WrongExpectedVersionError:
                raise TransientError("the case changed while it was being decided") from None
            raise DecisionRefusedError("not-open", "The discharge was taken back in the EHR: the case is withdrawn.")


def require_reason(reason: str, detail: str) -> None:
    """Raise DecisionRefusedError where `reason` is blank."""
    if not reason.strip():
        raise DecisionRefusedError("no-reason", detail)


def _is_approval_of(body: Approved, seen: str, text: str | None) -> bool:
    """Return whether `body` signs the draft `seen`, or `text` in its place."""
    return body.draft.digest == seen and (not body.edited if text is None else signs(body, text))


def signs(body: Signature, text: str) -> bool:
    return body.signed == sha256_hex(text.encode())


def channel_of(caller: Caller) -> Channel:
    """Return the channel of a decision: sessions use the pages, tokens the API."""
    return "api" if caller.method in ("token", "jwt") else "inbox"
