"""Reconstruct a lost event from a document and its Provenance: who signed what when. Pure.

What neither they nor the event stream contain is left empty; contradictions raise PermanentError.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from pydantic import ValidationError

from services.approval.filing.renditions import chart
from services.approval.filing.resources import DRAFT_SYSTEM, NAMING, PROMPT_SYSTEM, chain_head_of, entity_of
from services.approval.reimport.chart import FiledDocument, targets, text_of
from shared.clinical import references
from shared.clinical.elements import Resource, child, children, codes
from shared.contracts.case import Case, current_digest, latest_document, restored_event
from shared.contracts.corrections import Addended, Amended, Retracted, RetractionFiled
from shared.contracts.draft import DocumentType, Prompt
from shared.contracts.envelope import RecordedEvent
from shared.contracts.errors import PermanentError
from shared.contracts.events import Actor, Approved, Drafted, DraftRef, Filed, Reimported, Signature, StayReferences
from shared.contracts.timestamps import parse_timestamp

SUBJECT_SYSTEM = f"{NAMING}/subject"
UNKNOWN = "unknown"  # role, model, prompt: the chart does not contain them


@dataclass(frozen=True, slots=True)
class LostEvent:
    """A signature or a retraction that the event stream lacks, reconstructed from the chart."""

    signature: Signature | Retracted
    signed_at: datetime
    chain_head: str
    filed: Filed | RetractionFiled
    document_version: str | None
    provenance_version: str | None

    def event(self, by: Actor, reason: str) -> Reimported:
        return Reimported(
            signature=self.signature,
            signed_at=self.signed_at,
            chain_head=self.chain_head,
            filed=self.filed,
            document_version=self.document_version,
            provenance_version=self.provenance_version,
            by=by,
            reason=reason,
        )


@dataclass(frozen=True, slots=True)
class KnownCase:
    """The case so far. `bases`: base URLs of the EHR, which its references may have."""

    history: Sequence[RecordedEvent]
    case: Case
    bases: Collection[str]

    @property
    def stay(self) -> StayReferences | None:
        """The latest stay that the events name."""
        bodies = (restored_event(event).body for event in reversed(self.history))
        return next((stay for body in bodies if isinstance(stay := getattr(body, "stay", None), StayReferences)), None)


def signature(
    known_case: KnownCase, filed_document: FiledDocument, document: Resource, provenance: Resource
) -> LostEvent:
    """Return the signature of a DocumentReference and its Provenance. Raises PermanentError where they contradict."""
    signed, head = text_of(provenance), chain_head_of(provenance)
    if signed is None or head is None:
        raise PermanentError("its Provenance names no text")
    signer, by = _signer(known_case, provenance, "verifier")
    authenticator = document.get("authenticator")  # not every EHR keeps it
    if authenticator and _names(known_case, authenticator) != _names(known_case, _agent(provenance, "verifier")):
        raise PermanentError("the document and its Provenance name different signers")
    common: dict[str, Any] = {
        "stay": _stay(known_case, document),
        "draft": _draft(known_case, filed_document, document, provenance),
        "signed": signed,
        "by": by,
        "signer": signer,
    }
    return LostEvent(
        _body(known_case, filed_document, document, common),
        moment(provenance),
        head,
        Filed(
            document_reference=str(document["id"]),
            provenance=str(provenance["id"]),
            renditions=chart.digests_in(provenance),
        ),
        document_version(document),
        document_version(provenance),
    )


def _body(
    known_case: KnownCase, filed_document: FiledDocument, document: Resource, common: dict[str, Any]
) -> Signature:
    later = {"number": filed_document.number, "seen": current_digest(known_case.case), "reason": ""}
    if not filed_document.whole:
        return Addended(**common, **later, appends=_related(known_case, document, "appends"))
    if any(item.get("code") == "replaces" for item in children(document, "relatesTo")):
        return Amended(**common, **later, replaces=_related(known_case, document, "replaces"))
    draft: DraftRef = common["draft"]
    review = known_case.case.review
    task = review.task if review is not None and review.draft.digest == draft.digest else None
    return Approved(**common, task=task, edited=common["signed"] != draft.text)


def retraction(known_case: KnownCase, provenance: Resource) -> LostEvent:
    """Return the retraction of a Provenance. Raises PermanentError where it does not state who retracted what."""
    head, stay = chain_head_of(provenance), known_case.stay
    if head is None or stay is None:
        raise PermanentError("the retracted document is not in the case's events")
    first, requested_by = _signer(known_case, provenance, "enterer")
    second, by = _signer(known_case, provenance, "verifier")
    if requested_by.subject == by.subject:
        raise PermanentError("its Provenance names one person twice: a retraction takes two")
    body = Retracted(
        stay=stay,
        documents=tuple(targets(provenance)),
        seen=current_digest(known_case.case),
        reason="",
        requested_by=requested_by,
        requester=first,
        by=by,
        signer=second,
    )
    filed = RetractionFiled(provenance=str(provenance["id"]))
    return LostEvent(body, moment(provenance), head, filed, None, document_version(provenance))


def moment(provenance: Resource) -> datetime:
    """Return when it was signed. Raises PermanentError."""
    found = parse_timestamp(provenance.get("occurredDateTime"))
    if found is None:
        raise PermanentError("its Provenance does not say when it was signed")
    return found


def _signer(known_case: KnownCase, provenance: Resource, type: str) -> tuple[str | None, Actor]:
    """Return the FHIR reference and the person, as far as the chart has them. Raises PermanentError if it has none."""
    who = _agent(provenance, type)
    reference = references.relative(who, known_case.bases)
    identifier = child(who, "identifier")
    own = identifier.get("value") if identifier.get("system") == SUBJECT_SYSTEM else None
    subject = reference or own
    if not isinstance(subject, str) or not subject:
        raise PermanentError("its Provenance does not say who signed")
    return reference, actor_of(subject, reference)


def actor_of(subject: str, reference: str | None) -> Actor:
    """Return a person of whom the chart has no more than an id and a FHIR reference."""
    return Actor(subject=subject, role=UNKNOWN, practitioner=reference)


def _agent(provenance: Resource, type: str) -> Resource:
    agents = (item for item in children(provenance, "agent") if type in codes(item.get("type")))
    return next((who for item in agents if (who := child(item, "who"))), {})


def _names(known_case: KnownCase, who: Any) -> object:
    return references.relative(who, known_case.bases) or references.identifiers_of(who)


def _stay(known_case: KnownCase, document: Resource) -> StayReferences:
    """Return the stay that the events name, which the document must be about; without events, the document's stay.

    Raises PermanentError.
    """
    context = child(document, "context")
    encounters = [references.relative(item, known_case.bases) for item in children(context, "encounter")]
    patient = references.relative(document.get("subject"), known_case.bases)
    if (known := known_case.stay) is not None:
        if known.encounter not in encounters or known.patient != patient:
            raise PermanentError("the document is about another encounter or patient")
        return known
    encounter = next((item for item in encounters if item and item.startswith("Encounter/")), None)
    period = child(context, "period")
    end = parse_timestamp(period.get("end"))
    if encounter is None or patient is None or end is None:
        raise PermanentError("the document does not say of which stay it is")
    organization = references.relative(document.get("custodian"), known_case.bases)
    return StayReferences(
        encounter=encounter,
        patient=patient,
        organization=organization,
        start=parse_timestamp(period.get("start")),
        end=end,
    )


def _draft(known_case: KnownCase, filed_document: FiledDocument, document: Resource, provenance: Resource) -> DraftRef:
    """Return the draft with this digest from the events, otherwise as much of it as the chart contains.

    Raises PermanentError for an addendum to a document that the events do not have.
    """
    last = latest_document(known_case.case)
    if not filed_document.whole:
        if last is None or not isinstance(body := last.signature.body, Approved | Amended):
            raise PermanentError("it is an addendum to a document that the case's events do not have")
        return body.draft
    digest = entity_of(provenance, DRAFT_SYSTEM) or ""
    found = next((draft for draft in _drafts(known_case) if draft.digest == digest), None)
    return found or _lost_draft(digest, entity_of(provenance, PROMPT_SYSTEM) or "", document)


def draft_of_text(known_case: KnownCase, signed: str, document: Resource) -> DraftRef:
    """Return the draft whose text was signed as it was; for another text it is not known of which draft it was made."""
    found = next((draft for draft in _drafts(known_case) if draft.text == signed), None)
    return found or _lost_draft("", "", document)


def _drafts(known_case: KnownCase) -> list[DraftRef]:
    """Return every draft that the events name."""
    bodies = [restored_event(event).body for event in known_case.history]
    return [body.draft for body in bodies if isinstance(body, Drafted | Approved | Amended)]


def _lost_draft(digest: str, prompt_digest: str, document: Resource) -> DraftRef:
    """Return a draft that the event stream does not have, as far as the chart has it."""
    prompt = Prompt(name=UNKNOWN, version=0, digest=prompt_digest)
    return DraftRef(
        digest=digest,
        text="",
        by_hand=False,
        number=0,
        context="",
        kind=UNKNOWN,
        model=UNKNOWN,
        prompt=prompt,
        document=_type(document),
    )


def _type(document: Resource) -> DocumentType | None:
    coding = child(child(document, "type"), "coding")
    display = str(coding.get("display") or "Discharge summary")
    try:
        return DocumentType(title=display, code=str(coding.get("code")), display=display)
    except ValidationError:
        return None  # a code of the EHR's own


def _related(known_case: KnownCase, document: Resource, code: str) -> str:
    """Return the id of the document that this one follows. Raises PermanentError."""
    for item in children(document, "relatesTo"):
        found = references.parse(item.get("target"), known_case.bases)
        if item.get("code") == code and found is not None:
            return found.id
    raise PermanentError("the document does not say which other it belongs to")


def document_version(resource: Resource) -> str | None:
    """Return meta.versionId, where the EHR has versions."""
    version = child(resource, "meta").get("versionId")
    return str(version)[:64] if version else None
