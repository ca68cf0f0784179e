"""What a person may do with a document after its filing, each appended to the case exactly where it was looked at."""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from services.approval import corrections
from services.approval.desk import Desk, cause_of, channel_of, signs
from services.approval.gate import Settled
from services.approval.refusal import Refused
from shared.contracts.case import Case, addenda, current_digest, latest_document
from shared.contracts.case_values import is_known_from_chart_only
from shared.contracts.corrections import Addended, Amended, Retracted, RetractionRequested
from shared.contracts.draft import Draft
from shared.contracts.envelope import sha256_hex
from shared.contracts.errors import TransientError
from shared.contracts.events import Signature
from shared.contracts.subjects import CaseRef
from shared.messaging.deadletter import alert
from shared.runtime.authentication import Caller

S = TypeVar("S", Amended, Addended)

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Standing:
    """A document as it stands; `seen` is the digest with which somebody says that they have seen it so."""

    seen: str
    text: str
    signature: Signature
    addenda: tuple[str, ...]
    draft: Draft | None  # None: it was lost with the trail, and the document taken over from the chart


class CorrectionsDesk:
    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    async def standing(self, case_id: str, case: Case) -> Standing | None:
        """None before the first signature."""
        last = latest_document(case)
        if last is None:
            return None
        signature = corrections.signature_of(last)
        return Standing(
            seen=current_digest(case),
            text=await self._desk.signed_text(case_id, signature),
            signature=signature,
            addenda=tuple(
                [await self._desk.signed_text(case_id, corrections.signature_of(item)) for item in addenda(case)]
            ),
            draft=None
            if is_known_from_chart_only(signature.draft)
            else await self._desk.draft(case_id, signature.draft.digest),
        )

    async def amend(
        self,
        case_id: str,
        seen: str,
        by: Caller,
        text: str,
        reason: str,
        settled: Settled = Settled(),  # noqa: B008 - frozen
        key: str | None = None,
    ) -> Amended:
        """Sign `text` in the place of the document that was `seen`. Raises Refused."""
        return await self._sign(
            Amended, corrections.amend, lambda _: text, case_id, seen, by, text, reason, settled, key
        )

    async def addend(
        self,
        case_id: str,
        seen: str,
        by: Caller,
        words: str,
        reason: str,
        settled: Settled = Settled(),  # noqa: B008 - frozen
        key: str | None = None,
    ) -> Addended:
        """Sign `words` as an addendum to the document that was `seen`. Raises Refused."""
        return await self._sign(
            Addended,
            corrections.addend,
            lambda draft: corrections.addendum(draft, words),
            case_id,
            seen,
            by,
            words,
            reason,
            settled,
            key,
        )

    async def _sign(
        self,
        kind: type[S],
        make: Callable[..., S],
        whole: Callable[[Draft], str],
        case_id: str,
        seen: str,
        by: Caller,
        words: str,
        reason: str,
        settled: Settled,
        key: str | None,
    ) -> S:
        """Check, keep and append what `make` makes of `words`; `whole` is the text that is filed. Sent again by whoever
        lost the answer, it is the same signature.
        """
        ref, case = await self._desk.case(case_id)
        by = await self._desk.permit(ref, case, by, "decide")
        last = latest_document(case)
        signature = corrections.signature_of(last) if last else corrections.filed(case, seen)[0]
        if is_known_from_chart_only(signature.draft):
            raise Refused("no-draft", "Its draft was lost in a restore. Correct it in the EHR, or retract it here.")
        draft = await self._desk.draft(case_id, signature.draft.digest)
        text = whole(draft)

        def before(current: Case) -> S | None:
            return corrections.signed_before(kind, current, seen, by.actor, sha256_hex(text.encode()))

        def same(body: S) -> bool:
            return (body.seen, body.reason) == (seen, sha256_hex(reason.encode())) and signs(body, text)

        if (done := before(case) or await self._desk.repeated(ref, by, key, kind, same)) is not None:
            return done
        corrections.filed(case, seen)
        written = await self._desk.written(case_id, draft, words, by)
        supervisor = await self._desk.stands_for(ref, by)

        def decide(current: Case) -> S:
            return make(
                current,
                seen,
                by.actor,
                draft,
                words,
                sha256_hex(reason.encode()),
                settled=settled,
                written=written,
                supervisor=supervisor,
                channel=channel_of(by),
            )

        decide(case)  # refused before anything is kept
        await self._keep(case_id, case, text, reason)
        return await self._desk.decide(ref, case, by, "decide", decide, cause_of(ref, by, key), before)

    async def request_retraction(
        self, case_id: str, seen: str, by: Caller, reason: str, key: str | None = None
    ) -> RetractionRequested:
        """The first of two people. Sent again by whoever lost the answer, it is the same request. Raises Refused."""
        ref, case = await self._desk.case(case_id)
        by = await self._desk.permit(ref, case, by, "retract")
        words = sha256_hex(reason.encode())

        def before(current: Case) -> RetractionRequested | None:
            return corrections.requested_before(current, seen, by.actor, words)

        def same(body: RetractionRequested) -> bool:
            return (body.seen, body.reason) == (seen, words)

        if (done := before(case) or await self._desk.repeated(ref, by, key, RetractionRequested, same)) is not None:
            if case.state == "filed" and case.retraction is not None:
                await self._tell(ref, seen)  # the first may have ended before it did
            return done
        supervisor = await self._desk.stands_for(ref, by)

        def decide(current: Case) -> RetractionRequested:
            return corrections.request_retraction(
                current, seen, by.actor, words, supervisor=supervisor, channel=channel_of(by)
            )

        decide(case)
        await self._keep(case_id, case, reason)
        event = await self._desk.decide(ref, case, by, "retract", decide, cause_of(ref, by, key), before)
        await self._tell(ref, seen)
        return event

    async def _tell(self, ref: CaseRef, seen: str) -> None:
        """A second person has to know that they are waited for. The page of the case says so in any case."""
        facts = {"case": ref.id, "department": ref.department, "page": f"/reviews/{ref.id}"}
        try:
            await alert(self._desk.bus, "warning", "retraction-requested", id=f"{ref.id}-{seen}", **facts)
        except TransientError as error:
            logger.warning("case %s: nobody was told that a retraction was asked for: %s", ref.id, error.reason)

    async def retract(self, case_id: str, seen: str, by: Caller, key: str | None = None) -> Retracted:
        """The second of two people. Sent again, it is the same confirmation. Raises Refused."""
        ref, case = await self._desk.case(case_id)
        by = await self._desk.permit(ref, case, by, "decide")

        def before(current: Case) -> Retracted | None:
            return corrections.confirmed_before(current, seen, by.actor)

        def same(body: Retracted) -> bool:
            return body.seen == seen

        if (done := before(case) or await self._desk.repeated(ref, by, key, Retracted, same)) is not None:
            return done
        supervisor = await self._desk.stands_for(ref, by)

        def decide(current: Case) -> Retracted:
            return corrections.retract(current, seen, by.actor, supervisor=supervisor, channel=channel_of(by))

        return await self._desk.decide(ref, case, by, "decide", decide, cause_of(ref, by, key), before)

    async def words(self, case_id: str, digest: str) -> str:
        """Somebody's reason."""
        return (await self._desk.texts(case_id).get(digest)).decode()

    async def _keep(self, case_id: str, case: Case, *texts: str) -> None:
        """Before an event names them by their digests."""
        for text in texts:
            await self._desk.texts(case_id, case.head.sequence).put(text.encode())
