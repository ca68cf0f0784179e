"""Reconstruct a lost event from a document and its Provenance: who signed what when. Pure.

Whatever they do not tell and the trail does not either is left empty; what contradicts each other is told nowhere.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from pydantic import ValidationError

from services.approval.filing.renditions import chart
from services.approval.filing.resources import DRAFT_SYSTEM, NAMING, PROMPT_SYSTEM, chain_head_of, entity_of
from services.approval.reimport.chart import Held, targets, text_of
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
UNKNOWN = "unknown"  # role, model, prompt: nobody tells


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
class Trail:
    """The case as it is known so far. `bases`: the EHR's own URLs, in which it may write references."""

    history: Sequence[RecordedEvent]
    case: Case
    bases: Collection[str]

    @property
    def stay(self) -> StayReferences | None:
        """The last that is on the trail."""
        bodies = (restored_event(event).body for event in reversed(self.history))
        return next((stay for body in bodies if isinstance(stay := getattr(body, "stay", None), StayReferences)), None)


def signature(trail: Trail, held: Held, document: Resource, provenance: Resource) -> LostEvent:
    """Raises PermanentError where the two do not tell one signature."""
    signed, head = text_of(provenance), chain_head_of(provenance)
    if signed is None or head is None:
        raise PermanentError("its Provenance names no text")
    signer, by = _signer(trail, provenance, "verifier")
    authenticator = document.get("authenticator")  # not every EHR keeps it
    if authenticator and _names(trail, authenticator) != _names(trail, _agent(provenance, "verifier")):
        raise PermanentError("the document and its Provenance name different signers")
    common: dict[str, Any] = {
        "stay": _stay(trail, document),
        "draft": _draft(trail, held, document, provenance),
        "signed": signed,
        "by": by,
        "signer": signer,
    }
    return LostEvent(
        _body(trail, held, document, common),
        moment(provenance),
        head,
        Filed(
            document_reference=str(document["id"]),
            provenance=str(provenance["id"]),
            renditions=chart.digests_in(provenance),
        ),
        _version(document),
        _version(provenance),
    )


def _body(trail: Trail, held: Held, document: Resource, common: dict[str, Any]) -> Signature:
    later = {"number": held.number, "seen": current_digest(trail.case), "reason": ""}
    if not held.whole:
        return Addended(**common, **later, appends=_related(trail, document, "appends"))
    if any(item.get("code") == "replaces" for item in children(document, "relatesTo")):
        return Amended(**common, **later, replaces=_related(trail, document, "replaces"))
    draft: DraftRef = common["draft"]
    review = trail.case.review
    task = review.task if review is not None and review.draft.digest == draft.digest else None
    return Approved(**common, task=task, edited=common["signed"] != draft.text)


def retraction(trail: Trail, provenance: Resource) -> LostEvent:
    """Raises PermanentError where it does not tell who retracted what."""
    head, stay = chain_head_of(provenance), trail.stay
    if head is None or stay is None:
        raise PermanentError("what was retracted is not on the trail")
    first, requested_by = _signer(trail, provenance, "enterer")
    second, by = _signer(trail, provenance, "verifier")
    if requested_by.subject == by.subject:
        raise PermanentError("its Provenance names one person twice: a retraction takes two")
    body = Retracted(
        stay=stay,
        documents=tuple(targets(provenance)),
        seen=current_digest(trail.case),
        reason="",
        requested_by=requested_by,
        requester=first,
        by=by,
        signer=second,
    )
    filed = RetractionFiled(provenance=str(provenance["id"]))
    return LostEvent(body, moment(provenance), head, filed, None, _version(provenance))


def moment(provenance: Resource) -> datetime:
    """When it was signed. Raises PermanentError."""
    found = parse_timestamp(provenance.get("occurredDateTime"))
    if found is None:
        raise PermanentError("its Provenance does not say when it was signed")
    return found


def _signer(trail: Trail, provenance: Resource, type: str) -> tuple[str | None, Actor]:
    """The FHIR reference, and who that was as far as the chart tells. Raises PermanentError where it tells nobody."""
    who = _agent(provenance, type)
    reference = references.relative(who, trail.bases)
    identifier = child(who, "identifier")
    own = identifier.get("value") if identifier.get("system") == SUBJECT_SYSTEM else None
    subject = reference or own
    if not isinstance(subject, str) or not subject:
        raise PermanentError("its Provenance does not say who signed")
    return reference, Actor(subject=subject, role=UNKNOWN, practitioner=reference)


def _agent(provenance: Resource, type: str) -> Resource:
    agents = (item for item in children(provenance, "agent") if type in codes(item.get("type")))
    return next((who for item in agents if (who := child(item, "who"))), {})


def _names(trail: Trail, who: Any) -> object:
    return references.relative(who, trail.bases) or references.identifiers_of(who)


def _stay(trail: Trail, document: Resource) -> StayReferences:
    """Of the trail, which the document must be about; without one, as the document has it. Raises PermanentError."""
    context = child(document, "context")
    encounters = [references.relative(item, trail.bases) for item in children(context, "encounter")]
    patient = references.relative(document.get("subject"), trail.bases)
    if (known := trail.stay) is not None:
        if known.encounter not in encounters or known.patient != patient:
            raise PermanentError("the document is about another encounter or patient")
        return known
    encounter = next((item for item in encounters if item and item.startswith("Encounter/")), None)
    period = child(context, "period")
    end = parse_timestamp(period.get("end"))
    if encounter is None or patient is None or end is None:
        raise PermanentError("the document does not say of which stay it is")
    organization = references.relative(document.get("custodian"), trail.bases)
    return StayReferences(
        encounter=encounter,
        patient=patient,
        organization=organization,
        start=parse_timestamp(period.get("start")),
        end=end,
    )


def _draft(trail: Trail, held: Held, document: Resource, provenance: Resource) -> DraftRef:
    """The one that the trail has of this digest, or as much of it as the chart tells."""
    last = latest_document(trail.case)
    if not held.whole:
        if last is None or not isinstance(body := last.signature.body, Approved | Amended):
            raise PermanentError("it is an addendum to a document that the trail does not have")
        return body.draft
    digest = entity_of(provenance, DRAFT_SYSTEM) or ""
    known = [event.body.draft for event in trail.history if isinstance(event.body, Drafted)]
    known += [
        body.draft for event in trail.history if isinstance(body := restored_event(event).body, Approved | Amended)
    ]
    found = next((draft for draft in known if draft.digest == digest), None)
    if found is not None:
        return found
    prompt = Prompt(name=UNKNOWN, version=0, digest=entity_of(provenance, PROMPT_SYSTEM) or "")
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


def _related(trail: Trail, document: Resource, code: str) -> str:
    """Id of the document that this one follows. Raises PermanentError."""
    for item in children(document, "relatesTo"):
        found = references.parse(item.get("target"), trail.bases)
        if item.get("code") == code and found is not None:
            return found.id
    raise PermanentError("the document does not say which other it belongs to")


def _version(resource: Resource) -> str | None:
    version = child(resource, "meta").get("versionId")
    return str(version)[:64] if version else None
