"""Rules of amendments, addenda and retractions of filed documents. Pure.

A correction and an addendum are signatures, as an approval is. A retraction takes two people.
"""

from collections.abc import Sequence
from typing import TypeVar

from services.approval.domain import signer
from services.approval.review import edits, signing_rules
from services.approval.review.added_text import Statement
from services.approval.review.errors import DecisionRefusedError
from services.approval.review.signing_rules import ResolvedItems
from shared.contracts import authorship
from shared.contracts.case import Case, ChartEntry, addenda, current_digest, latest_document
from shared.contracts.corrections import Addended, Amended, Retracted, RetractionRequested
from shared.contracts.draft import Draft
from shared.contracts.envelope import RecordedEvent, sha256_hex
from shared.contracts.events import Actor, Approved, Channel, Filed, Signature

S = TypeVar("S", Amended, Addended)


def filed(case: Case, seen: str) -> tuple[Approved | Amended, Filed]:
    """Return the signature of the current document, and the event that filed it.

    Raises DecisionRefusedError where no document is filed, or `seen` is not its current digest.
    """
    if not case.exists:
        raise DecisionRefusedError("unknown", "There is no such case.")
    if case.erasure is not None:
        raise DecisionRefusedError(
            "erased", "The document can be corrected in the EHR alone: what it was made of was erased here."
        )
    last = latest_document(case)
    if case.state != "filed" or case.document is None or last is None or case.awaits is not None:
        raise DecisionRefusedError("not-filed", f"The case is {case.state}.")
    if current_digest(case) != seen:
        raise DecisionRefusedError("changed", "The document has changed since it was read.")
    body = signature_of(last)
    assert not isinstance(body, Addended)  # noqa: S101 - it is a whole document
    return body, case.document


def signature_of(entry: ChartEntry) -> Signature:
    body = entry.signature.body
    assert isinstance(body, Approved | Amended | Addended)  # noqa: S101 - no other event makes an entry
    return body


def amend(
    case: Case,
    seen: str,
    by: Actor,
    draft: Draft,
    text: str,
    reason: str,
    *,
    resolved: ResolvedItems = ResolvedItems(),  # noqa: B008 - frozen
    written: Sequence[Statement] = (),
    supervisor: str | None = None,
    channel: Channel | None = None,
) -> Amended:
    """Sign `text` as a correction of the current document.

    `draft` is the case's draft, `written` the sentences of the text that it does not have, `reason` the digest of the
    reason. What was confirmed for an earlier text stays confirmed.

    Raises DecisionRefusedError for the same reasons as an approval.
    """
    before, document = filed(case, seen)
    signed = sha256_hex(text.encode())
    if signed == before.signed:
        raise DecisionRefusedError("unchanged", "The text is identical to the document in the chart.")
    resolved = carried(case, draft, resolved)
    signing_rules.check(draft, text, resolved, written)
    return Amended(
        stay=before.stay,
        draft=before.draft,
        number=1 + _signed(case, whole=True),
        replaces=document.document_reference,
        seen=seen,
        signed=signed,
        reason=reason,
        by=by,
        signer=signer(case, by, supervisor),
        edits=edits.edit_metrics(draft, text),
        resolutions=signing_rules.resolutions(draft, text, resolved),
        written=signing_rules.confirmed_sentences(written),
        narrative=authorship.narrative_author(draft, text, own=bool(written)),
        channel=channel,
    )


def signed_before(kind: type[S], case: Case, seen: str, by: Actor) -> S | None:
    """Return the correction or addendum that `by` has signed already for the document as it was `seen`, with any text.

    There is one at the most: signing it changes the document.
    """
    bodies = (entry.signature.body for entry in case.entries)
    same = (body for body in bodies if isinstance(body, kind) and body.seen == seen)
    return next((body for body in same if body.by.subject == by.subject), None)


def carried(case: Case, draft: Draft, resolved: ResolvedItems) -> ResolvedItems:
    """Return `settled` with what was confirmed for the current document and its addenda.

    What was removed from them since has to be confirmed again. Open points were seen at the first signature.
    """
    last = latest_document(case)
    bodies = [signature_of(entry) for entry in (*((last,) if last else ()), *addenda(case))]
    sentences = {item.sentence: item.how for body in bodies for item in body.resolutions if item.how == "confirmed"}
    own = {item.digest for body in bodies for item in body.written}
    return ResolvedItems(
        sentences | dict(resolved.resolutions), tuple(range(len(draft.open_points))), resolved.written | frozenset(own)
    )


def addendum(draft: Draft, words: str) -> str:
    """Return the text of an addendum: the kind of document, the line that identifies the patient, and the words."""
    patient = signing_rules.identity(draft)
    return (
        "\n\n".join([f"ADDENDUM TO {draft.type.title.upper()}", *([patient] if patient else []), words.strip()]) + "\n"
    )


def addend(
    case: Case,
    seen: str,
    by: Actor,
    draft: Draft,
    words: str,
    reason: str,
    *,
    resolved: ResolvedItems = ResolvedItems(),  # noqa: B008 - frozen
    written: Sequence[Statement] = (),
    supervisor: str | None = None,
    channel: Channel | None = None,
) -> Addended:
    """Sign an addendum to the current document: `words` below the line that identifies the patient.

    Raises DecisionRefusedError.
    """
    before, document = filed(case, seen)
    resolved = carried(case, draft, resolved)
    signing_rules.check_addendum(draft, words, resolved, written)
    return Addended(
        stay=before.stay,
        draft=before.draft,
        number=1 + _signed(case, whole=False),
        appends=document.document_reference,
        seen=seen,
        signed=sha256_hex(addendum(draft, words).encode()),
        reason=reason,
        by=by,
        signer=signer(case, by, supervisor),
        resolutions=tuple(
            item for item in signing_rules.resolutions(draft, words, resolved) if item.how == "confirmed"
        ),
        written=signing_rules.confirmed_sentences(written),
        channel=channel,
    )


def request_retraction(
    case: Case, seen: str, by: Actor, reason: str, *, supervisor: str | None = None, channel: Channel | None = None
) -> RetractionRequested:
    """Ask for a retraction, as the first of two people. Raises DecisionRefusedError."""
    filed(case, seen)
    if case.retraction is not None:
        raise DecisionRefusedError(
            "asked", f"{case.retraction.actor} has asked for it at {case.retraction.time.isoformat()}."
        )
    return RetractionRequested(seen=seen, reason=reason, by=by, signer=signer(case, by, supervisor), channel=channel)


def retract(
    case: Case, seen: str, by: Actor, *, supervisor: str | None = None, channel: Channel | None = None
) -> Retracted:
    """Confirm a retraction, as the second of two people. Raises DecisionRefusedError, also for the first."""
    before, _ = filed(case, seen)
    request = case.retraction.body if case.retraction else None
    if not isinstance(request, RetractionRequested):
        raise DecisionRefusedError("not-asked", "No retraction of the current document has been requested.")
    second = signer(case, by, supervisor)
    if same_person(request.by, request.signer, by, second):
        raise DecisionRefusedError("same-person", "Whoever asked for the retraction cannot confirm it.")
    return Retracted(
        stay=before.stay,
        documents=in_chart(case.entries),
        seen=seen,
        reason=request.reason,
        requested_by=request.by,
        requester=request.signer,
        by=by,
        signer=second,
        channel=channel,
    )


def requested_before(case: Case, seen: str, by: Actor, reason: str) -> RetractionRequested | None:
    """Return the request of `by` for this retraction where it was appended before, confirmed or not."""
    body = case.retraction.body if case.retraction else None
    if isinstance(body, Retracted):
        body = RetractionRequested(seen=body.seen, reason=body.reason, by=body.requested_by, signer=body.requester)
    if not isinstance(body, RetractionRequested) or body.by.subject != by.subject:
        return None
    return body if (body.seen, body.reason) == (seen, reason) else None


def confirmed_before(case: Case, seen: str, by: Actor) -> Retracted | None:
    """Return the confirmation of `by` for this retraction where it was appended before."""
    body = case.retraction.body if case.retraction else None
    if not isinstance(body, Retracted):
        return None
    return body if (body.seen, body.by.subject) == (seen, by.subject) else None


def same_person(first: Actor, first_signer: str | None, second: Actor, second_signer: str | None) -> bool:
    """Return whether two actors may be one person: the same login, practitioner, signer or NPI."""
    return any(
        one is not None and one == other
        for one, other in (
            (first.subject, second.subject),
            (first.practitioner, second.practitioner),
            (first_signer, second_signer),
            (first.npi, second.npi),
        )
    )


def in_chart(entries: Sequence[ChartEntry]) -> tuple[str, ...]:
    """Return the ids of the filed DocumentReferences, oldest first."""
    return tuple(dict.fromkeys(entry.filed.document_reference for entry in entries if entry.filed is not None))


def _signed(case: Case, *, whole: bool) -> int:
    """Return how many documents of the stay, or addenda, were signed."""
    return sum(entry.whole == whole for entry in (*case.earlier, *case.entries))


def number_of(case: Case, signature: RecordedEvent) -> int:
    """Return the number of the document or addendum of the stay, from 1, including cancelled discharges."""
    before, whole = signature.head.sequence, not isinstance(signature.body, Addended)
    entries = (*case.earlier, *case.entries)
    return 1 + sum(entry.whole == whole and entry.signature.head.sequence < before for entry in entries)


def status_of(case: Case, entry: ChartEntry) -> str:
    """Return the DocumentReference.status that an entry must have in the chart."""
    if entry in case.earlier or case.state == "retracted":
        return "entered-in-error"
    return "superseded" if entry.whole and entry != latest_document(case) else "current"


def has_ended(case: Case) -> bool:
    """Return whether nothing is left to be filed."""
    return case.state in ("filed", "closed", "withdrawn", "retracted") and case.awaits != "file"
