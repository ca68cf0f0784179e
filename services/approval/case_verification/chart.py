"""Verify one filing against the chart: Provenance and document carry what was signed, and nothing else."""

from dataclasses import dataclass

from services.approval.filing.renditions import chart
from services.approval.filing.renditions.in_chart import digest_in_chart
from services.approval.filing.renditions.make import TEXT
from services.approval.filing.resources import chain_head_of
from services.approval.filing.write_back import profile_of
from shared.clinical import references
from shared.clinical.elements import Resource, children
from shared.clinical.fhir_client import FhirClient, NotFoundError
from shared.contracts.corrections import Retracted, RetractionFiled
from shared.contracts.envelope import RecordedEvent
from shared.contracts.errors import CountersignError, TransientError
from shared.contracts.events import Filed, Signature


@dataclass(frozen=True, slots=True)
class FiledSignature:
    """A `filed` or `retraction-filed` as it was recorded, and the signature or retraction before it."""

    filed: RecordedEvent
    body: Filed | RetractionFiled
    signature: RecordedEvent | None
    changed: bool = False  # a later correction has changed the same document of the EHR

    @property
    def readable(self) -> bool:
        """Return whether we can read in the chart what was filed."""
        return profile_of(self.body) in ("fhir", "fhir-basic")


@dataclass(frozen=True, slots=True)
class Reason:
    """What is wrong, in words; `about_signature`: with what was signed, not with its filing."""

    words: str
    about_signature: bool = False
    unanswered: bool = False


async def against_chart(filing: FiledSignature, ehr: FhirClient) -> list[Reason]:
    """Return what is wrong with one filing.

    What was sent by MDM or transferred by a person cannot be read back: then the events alone are compared.
    """
    if not filing.readable or filing.changed:
        return _of_events(filing)
    if not filing.body.provenance:
        return await _contents(filing, None, ehr)
    try:
        provenance = await ehr.read("Provenance", filing.body.provenance)
    except CountersignError as failure:
        return [_unshown("the Provenance", failure), *await _contents(filing, None, ehr)]
    reasons = []
    if filing.signature is None or filing.signature.head.digest != chain_head_of(provenance):
        reasons.append(Reason("the Provenance in the EHR carries another digest", about_signature=True))
    if isinstance(filing.body, Filed) and not _is_about(provenance, filing.body.document_reference, ehr):
        reasons.append(Reason("the Provenance in the EHR is about another document"))
    return [*reasons, *await _contents(filing, provenance, ehr)]


def _of_events(filing: FiledSignature) -> list[Reason]:
    body, signed = filing.body, filing.signature.body if filing.signature else None
    if not isinstance(body, Filed):
        return []
    if not isinstance(signed, Signature):
        return [Reason("nobody has signed what was filed")]
    if body.renditions.get(TEXT, signed.signed) != signed.signed:
        return [Reason("the text that was filed is not the one that was signed")]
    if profile_of(body) == "mdm" and body.message is None:
        return [Reason("it does not say which message the receiver has accepted")]
    if profile_of(body) == "none" and body.by is None:
        return [Reason("it does not say who has transferred the document")]
    return []


def _is_about(provenance: Resource, id: str, ehr: FhirClient) -> bool:
    wanted = references.reference_targets([{"resourceType": "DocumentReference", "id": id}], ehr.bases)
    return any(target in wanted for target in children(provenance, "target"))


async def _contents(filing: FiledSignature, provenance: Resource | None, ehr: FhirClient) -> list[Reason]:
    body, signed = filing.body, filing.signature.body if filing.signature else None
    if isinstance(body, Filed):
        return await _differing(body, provenance, signed if isinstance(signed, Signature) else None, ehr)
    return await _still_shown(signed, ehr) if isinstance(signed, Retracted) else []


def _unshown(what: str, failure: CountersignError) -> Reason:
    words = f"the EHR does not show {what} ({failure.reason})"
    return Reason(words, unanswered=isinstance(failure, TransientError))


async def _still_shown(retracted: Retracted, ehr: FhirClient) -> list[Reason]:
    """Return retracted documents that the chart still shows. Deleted ones count as retracted."""
    reasons: list[Reason] = []
    for id in retracted.documents:
        try:
            status = (await ehr.read("DocumentReference", id)).get("status")
        except NotFoundError:
            continue
        except CountersignError as failure:
            reasons.append(_unshown("a document that was retracted", failure))
            continue
        if status != "entered-in-error":
            reasons.append(Reason("a document that was retracted is not entered in error in the EHR"))
    return reasons


async def _differing(
    filed: Filed, provenance: Resource | None, signature: Signature | None, ehr: FhirClient
) -> list[Reason]:
    """Return how the document in the chart differs from the signed text and from the renditions that were filed.

    Older events have no digests of renditions; their text is compared with the signature.
    """
    renditions = filed.renditions or ({TEXT: signature.signed} if signature is not None else {})
    reasons: list[Reason] = []
    if filed.renditions and provenance is not None and chart.digests_in(provenance) != filed.renditions:
        reasons.append(Reason("the Provenance names other renditions"))
    if signature is not None and renditions.get(TEXT, signature.signed) != signature.signed:
        reasons.append(Reason("the text that was filed is not the one that was signed"))
    try:
        held = chart.attachments(await ehr.read("DocumentReference", filed.document_reference))
    except CountersignError as failure:
        return [*reasons, _unshown("the document", failure)]
    for content_type, digest in renditions.items():
        if content_type not in held:
            reasons.append(Reason(f"the document in the EHR has no {content_type} any more"))
            continue
        try:
            found = await digest_in_chart(held[content_type], ehr)
        except TransientError as failure:
            reasons.append(_unshown(f"the {content_type} of the document", failure))
            continue
        if found != digest:
            reasons.append(Reason(f"the {content_type} of the document in the EHR is not what was filed"))
    if more := sorted(held.keys() - renditions.keys()):
        reasons.append(Reason(f"the document in the EHR holds what was not filed: {', '.join(more)}"))
    return reasons
