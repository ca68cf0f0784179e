"""Decisions about filed documents: amend, append, retract. One implementation behind the API and the pages."""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from services.approval.corrections import rules as correction_rules
from services.approval.review.decision_writer import cause_of, key_used
from services.approval.review.errors import DecisionRefusedError
from services.approval.review.service import ReviewService, channel_of, require_reason, signs
from services.approval.review.signing_rules import ResolvedItems
from shared.contracts.case import Case, addenda, current_digest, fold, latest_document
from shared.contracts.case_values import is_known_from_chart_only
from shared.contracts.corrections import Addended, Amended, Retracted, RetractionRequested
from shared.contracts.draft import Draft
from shared.contracts.envelope import RecordedEvent, sha256_hex
from shared.contracts.errors import TransientError
from shared.contracts.events import Signature
from shared.contracts.subjects import CaseRef
from shared.messaging.connection import NatsConnection
from shared.messaging.dead_letter_queue import publish_alert
from shared.runtime.authentication import Caller

S = TypeVar("S", Amended, Addended)

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class CurrentDocument:
    """The current document of a case. Callers send `seen`, its digest, to say what they have seen."""

    seen: str
    text: str
    signature: Signature
    addenda: tuple[str, ...]
    draft: Draft | None  # None: the event was lost, and the document was reimported from the chart


@dataclass(frozen=True)  # no slots: with them, Python 3.11 cannot call a generic class with its type arguments
class _Correction(Generic[S]):
    """A correction or an addendum that is asked for. `make` is its rule, `whole` gives the text that is filed."""

    kind: type[S]
    make: Callable[..., S]
    whole: Callable[[Draft], str]
    seen: str
    words: str
    reason: str
    resolved: ResolvedItems

    @property
    def reason_digest(self) -> str:
        return sha256_hex(self.reason.encode())


class CorrectionsService:
    def __init__(self, bus: NatsConnection, review: ReviewService) -> None:
        self._review = review
        self._cases = review.cases
        self._decisions = review.decisions
        self._bus = bus

    async def current_document(self, case_id: str, case: Case) -> CurrentDocument | None:
        """Return the current document of a case; None before the first signature."""
        last = latest_document(case)
        if last is None:
            return None
        signature = correction_rules.signature_of(last)
        return CurrentDocument(
            seen=current_digest(case),
            text=await self._cases.signed_text(case_id, signature),
            signature=signature,
            addenda=tuple(
                [await self._cases.signed_text(case_id, correction_rules.signature_of(item)) for item in addenda(case)]
            ),
            draft=None
            if is_known_from_chart_only(signature.draft)
            else await self._cases.draft(case_id, signature.draft.digest),
        )

    async def amend(
        self,
        case_id: str,
        seen: str,
        by: Caller,
        text: str,
        reason: str,
        resolved: ResolvedItems = ResolvedItems(),  # noqa: B008 - frozen
        key: str | None = None,
    ) -> Amended:
        """Sign `text` in the place of the document that was `seen`. Raises DecisionRefusedError."""
        correction = _Correction(Amended, correction_rules.amend, lambda _: text, seen, text, reason, resolved)
        return await self._sign(case_id, by, correction, key)

    async def addend(
        self,
        case_id: str,
        seen: str,
        by: Caller,
        words: str,
        reason: str,
        resolved: ResolvedItems = ResolvedItems(),  # noqa: B008 - frozen
        key: str | None = None,
    ) -> Addended:
        """Sign `words` as an addendum to the document that was `seen`. Raises DecisionRefusedError."""
        correction = _Correction(
            Addended,
            correction_rules.addend,
            lambda draft: correction_rules.addendum(draft, words),
            seen,
            words,
            reason,
            resolved,
        )
        return await self._sign(case_id, by, correction, key)

    async def _sign(self, case_id: str, by: Caller, asked: "_Correction[S]", key: str | None) -> S:
        """Check, store and append a correction. Sent again after a lost answer, it is the same signature.

        Raises DecisionRefusedError.
        """
        self._review.require_recent_sign_in(by)
        require_reason(asked.reason, "Say in a few words why.")
        ref, case = await self._cases.case(case_id)
        if (done := await self._signed_before(ref, case, by, asked, key)) is not None:
            return done
        by = await self._cases.authorize(ref, case, by, "decide")
        draft = await self._draft_to_correct(ref, case, asked.seen)
        text = asked.whole(draft)
        correction_rules.filed(case, asked.seen)
        written = await self._cases.added_statements(case_id, draft, asked.words, by)
        supervisor = await self._review.acting_supervisor(ref, by)

        def decide(current: Case) -> S:
            return asked.make(
                current,
                asked.seen,
                by.actor,
                draft,
                asked.words,
                asked.reason_digest,
                resolved=asked.resolved,
                written=written,
                supervisor=supervisor,
                channel=channel_of(by),
            )

        decide(case)  # refused before anything is kept
        await self._store_texts(case_id, case, text, asked.reason)

        def repeated(history: Sequence[RecordedEvent]) -> S | None:
            body = correction_rules.signed_before(asked.kind, fold(history), asked.seen, by.actor)
            return body if body is not None and signs(body, text) else None

        return await self._decisions.decide(ref, case, by, "decide", decide, cause_of(ref, by, key), repeated)

    async def _draft_to_correct(self, ref: CaseRef, case: Case, seen: str) -> Draft:
        """Return the draft of the document that is corrected. Raises DecisionRefusedError where it is not there."""
        last = latest_document(case)
        signature = correction_rules.signature_of(last) if last else correction_rules.filed(case, seen)[0]
        if is_known_from_chart_only(signature.draft):
            raise DecisionRefusedError(
                "no-draft", "Its draft was lost in a restore. Correct it in the EHR, or retract it here."
            )
        return await self._cases.draft(ref.id, signature.draft.digest)

    async def _signed_before(
        self, ref: CaseRef, case: Case, by: Caller, asked: "_Correction[S]", key: str | None
    ) -> S | None:
        """Return the same signature if `by` has appended it before. The draft is only read if `by` has signed.

        Raises DecisionRefusedError where `key` was sent with another one.
        """
        keyed = await self._decisions.find_keyed(ref, by, key, asked.kind)
        earlier = keyed or correction_rules.signed_before(asked.kind, case, asked.seen, by.actor)
        if earlier is None or is_known_from_chart_only(earlier.draft):
            return None
        same = signs(earlier, asked.whole(await self._cases.draft(ref.id, earlier.draft.digest)))
        if keyed is not None and not (same and (keyed.seen, keyed.reason) == (asked.seen, asked.reason_digest)):
            raise key_used()
        return earlier if same else None

    async def request_retraction(
        self, case_id: str, seen: str, by: Caller, reason: str, key: str | None = None
    ) -> RetractionRequested:
        """Ask for a retraction, as the first of two people. Sent again, it is the same request.

        Raises DecisionRefusedError.
        """
        self._review.require_recent_sign_in(by)
        require_reason(reason, "Say in a few words why.")
        ref, case = await self._cases.case(case_id)
        words = sha256_hex(reason.encode())

        def before(current: Case) -> RetractionRequested | None:
            return correction_rules.requested_before(current, seen, by.actor, words)

        def same(body: RetractionRequested) -> bool:
            return (body.seen, body.reason) == (seen, words)

        if (
            done := before(case) or await self._decisions.find_repeated(ref, by, key, RetractionRequested, same)
        ) is not None:
            if case.state == "filed" and case.retraction is not None:
                await self._alert_confirmation_needed(ref, seen)  # the first request may have died before it alerted
            return done
        by = await self._cases.authorize(ref, case, by, "retract")
        supervisor = await self._review.acting_supervisor(ref, by)

        def decide(current: Case) -> RetractionRequested:
            return correction_rules.request_retraction(
                current, seen, by.actor, words, supervisor=supervisor, channel=channel_of(by)
            )

        decide(case)
        await self._store_texts(case_id, case, reason)
        event = await self._decisions.decide(
            ref, case, by, "retract", decide, cause_of(ref, by, key), lambda history: before(fold(history))
        )
        await self._alert_confirmation_needed(ref, seen)
        return event

    async def _alert_confirmation_needed(self, ref: CaseRef, seen: str) -> None:
        """Alert that a second person has to confirm. The page of the case says so in any case."""
        facts = {"case": ref.id, "department": ref.department, "page": f"/reviews/{ref.id}"}
        try:
            await publish_alert(self._bus, "warning", "retraction-requested", id=f"{ref.id}-{seen}", **facts)
        except TransientError as error:
            logger.warning(
                "case %s: the alert about a requested retraction could not be published: %s", ref.id, error.reason
            )

    async def retract(self, case_id: str, seen: str, by: Caller, key: str | None = None) -> Retracted:
        """Confirm a retraction, as the second of two people. Sent again, it is the same confirmation.

        Raises DecisionRefusedError.
        """
        self._review.require_recent_sign_in(by)
        ref, case = await self._cases.case(case_id)

        def before(current: Case) -> Retracted | None:
            return correction_rules.confirmed_before(current, seen, by.actor)

        def same(body: Retracted) -> bool:
            return body.seen == seen

        if (done := before(case) or await self._decisions.find_repeated(ref, by, key, Retracted, same)) is not None:
            return done
        by = await self._cases.authorize(ref, case, by, "decide")
        supervisor = await self._review.acting_supervisor(ref, by)

        def decide(current: Case) -> Retracted:
            return correction_rules.retract(current, seen, by.actor, supervisor=supervisor, channel=channel_of(by))

        return await self._decisions.decide(
            ref, case, by, "decide", decide, cause_of(ref, by, key), lambda history: before(fold(history))
        )

    async def reason_text(self, case_id: str, digest: str) -> str:
        """Return the reason that was given for a decision, by its digest."""
        return (await self._cases.texts(case_id).get(digest)).decode()

    async def _store_texts(self, case_id: str, case: Case, *texts: str) -> None:
        """Store texts before an event refers to them by their digests."""
        for text in texts:
            await self._cases.texts(case_id, case.head.sequence).put(text.encode())
