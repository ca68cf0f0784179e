"""Plan the reimport of a case: what can be appended, in the order of its signatures, and what cannot and why."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from services.approval.case_verification.chart import FiledSignature, against_chart
from services.approval.corrections.rules import number_of
from services.approval.filing.correction_resources import IN_ERROR
from services.approval.filing.renditions import chart
from services.approval.filing.renditions.in_chart import bytes_in_chart
from services.approval.filing.renditions.make import TEXT
from services.approval.filing.resources import chain_head_of
from services.approval.reimport import lost_events
from services.approval.reimport.chart import FiledDocument, each_once, read_filed_documents, targets
from services.approval.reimport.lost_events import KnownCase, LostEvent
from shared.clinical.elements import Resource
from shared.clinical.fhir_client import FhirClient
from shared.contracts.case import Case, evolve, fold, is_expected, restored_event
from shared.contracts.corrections import Retracted
from shared.contracts.envelope import ChainHead, RecordedEvent, sha256_hex
from shared.contracts.errors import PermanentError, TransientError
from shared.contracts.events import Actor, Filed, Reimported, Signature
from shared.contracts.subjects import CaseRef, case_id, derived_id

NOBODY = Actor(subject="nobody", role="operator")


@dataclass(frozen=True, slots=True)
class VerifiedEvent:
    """A lost event that was verified, and the signed text; None for a retraction."""

    lost: LostEvent
    text: bytes | None


@dataclass(slots=True)
class ReimportPlan:
    """`ready` is appended in this order. `stopped` says what cannot be verified: then nothing is appended."""

    ready: list[VerifiedEvent] = field(default_factory=list)
    stopped: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class _LostEntry:
    """A document or a retraction in the chart that the event stream does not have."""

    at: datetime
    provenance: Resource
    held: FiledDocument | None = None  # None: a retraction
    document: Resource | None = None

    @property
    def name(self) -> str:
        if self.held is None or self.document is None:
            return f"the retraction in Provenance {self.provenance['id']}"
        return f"{self.held.name}, DocumentReference {self.document['id']}"


async def plan(
    ref: CaseRef, history: Sequence[RecordedEvent], ehr: FhirClient, organization: str | None
) -> ReimportPlan:
    """Plan the reimport of the case `ref`; `history` is every event of it, or empty.

    `organization` is part of every case id. None: not known; then the id of a case without events is not checked.

    Raises TransientError, PermanentError where the EHR cannot be asked.
    """
    found = ReimportPlan()
    lost_entries = sorted(
        _chart_entries(await read_filed_documents(ehr, ref.id), history, found), key=lambda lost_entry: lost_entry.at
    )
    events = list(history)
    for lost_entry in lost_entries if not found.stopped else ():
        try:
            lost, text = await _verified(lost_entry, KnownCase(events, fold(events), ehr.bases), ref, ehr)
            if not history and organization is not None:
                _is_ours(ref, lost, organization)
        except PermanentError as error:
            return ReimportPlan(stopped=[f"{lost_entry.name}: {error.reason}"])
        found.ready.append(VerifiedEvent(lost, text))
        events.append(recorded_event(ref, lost, fold(events).head.sequence + 1))
    return found


def _chart_entries(
    everything: Sequence[FiledDocument], history: Sequence[RecordedEvent], found: ReimportPlan
) -> Iterator[_LostEntry]:
    """Yield what the event stream does not have. What cannot be reconstructed is added to `found.stopped`."""
    case = fold(history)
    heads = {restored_event(event).head.digest for event in history}
    filed = {entry.filed.document_reference for entry in (*case.earlier, *case.entries) if entry.filed is not None}
    for item in everything:
        try:
            if (lost_entry := _unknown(item, heads, filed)) is not None:
                yield lost_entry
        except PermanentError as error:
            found.stopped.append(f"{item.name}: {error.reason}")
    retractions = {str(one["id"]): one for item in everything for one in each_once(item.retractions)}
    for provenance in each_once(retractions.values()):
        if chain_head_of(provenance) not in heads:
            try:
                yield _LostEntry(lost_events.moment(provenance), provenance)
            except PermanentError as error:
                found.stopped.append(f"Provenance {provenance['id']}: {error.reason}")


def _unknown(item: FiledDocument, heads: set[str], filed: set[str]) -> _LostEntry | None:
    """Return the one document under an identifier if the event stream does not have it. Raises PermanentError."""
    standing = item.valid_documents
    if len(standing) > 1:
        raise PermanentError(f"{len(standing)} documents in the chart have its identifier")
    if not standing or str(standing[0]["id"]) in filed:
        return None  # entered in error and without a signature of ours: ignored
    document = standing[0]
    provenances = each_once(item.of(str(document["id"])))
    if len(provenances) != 1:
        count = len(provenances) or "no"
        raise PermanentError(f"{count} Provenances of ours are about DocumentReference {document['id']}: one has to be")
    if chain_head_of(provenances[0]) in heads:
        return None  # it is being filed by its own step
    if document.get("status") == IN_ERROR and not item.retractions:
        raise PermanentError(
            f"DocumentReference {document['id']} is entered in error, and no retraction of ours says so"
        )
    return _LostEntry(lost_events.moment(provenances[0]), provenances[0], item, document)


async def _verified(
    lost_entry: _LostEntry, known_case: KnownCase, ref: CaseRef, ehr: FhirClient
) -> tuple[LostEvent, bytes | None]:
    """Return the event and the text after comparison with the chart. Raises PermanentError, TransientError."""
    document = None
    if lost_entry.held is None or lost_entry.document is None:
        lost = lost_events.retraction(known_case, lost_entry.provenance)
        _retracts_ours(lost_entry.provenance, known_case.case)
    else:
        document = await ehr.read("DocumentReference", str(lost_entry.document["id"]))  # a search may say less
        lost = lost_events.signature(known_case, lost_entry.held, document, lost_entry.provenance)
    event = lost.event(NOBODY, "")
    if not is_expected(known_case.case, event):
        raise PermanentError(
            f"the case is {known_case.case.state if known_case.case.exists else 'not known'} by its events"
        )
    recorded = recorded_event(ref, lost, known_case.case.head.sequence + 1)
    if (
        lost_entry.held is not None
        and number_of(evolve(known_case.case, recorded), restored_event(recorded)) != lost_entry.held.number
    ):
        raise PermanentError("those before it are not there")
    reasons = await against_chart(FiledSignature(recorded, lost.filed, restored_event(recorded)), ehr)
    if any(reason.unanswered for reason in reasons):
        raise TransientError("; ".join(reason.words for reason in reasons))
    if reasons:
        raise PermanentError("; ".join(reason.words for reason in reasons))
    return lost, await _text(lost, document, ehr)


def _retracts_ours(provenance: Resource, case: Case) -> None:
    filed = {entry.filed.document_reference for entry in case.entries if entry.filed is not None}
    if filed != set(targets(provenance)):
        raise PermanentError("it is about other documents than those that the case has")


def _is_ours(ref: CaseRef, lost: LostEvent, organization: str) -> None:
    """Check that the id of a case without events follows from its encounter. Raises PermanentError."""
    encounter = lost.signature.stay.encounter.partition("/")[2]
    if case_id(organization, encounter) != ref.id:
        raise PermanentError("its encounter leads to another case id: it is of another installation")


async def _text(lost: LostEvent, document: Resource | None, ehr: FhirClient) -> bytes | None:
    """Return exactly what was signed. Raises PermanentError."""
    if document is None or isinstance(lost.signature, Retracted):
        return None
    attachments = chart.attachments(document)
    data = await bytes_in_chart(attachments[TEXT], ehr) if TEXT in attachments else None
    if data is None or sha256_hex(data) != lost.signature.signed:
        raise PermanentError("the chart does not show the text that was signed")
    return data


def recorded_event(ref: CaseRef, lost: LostEvent, at: int) -> RecordedEvent:
    """Return the event as it will be recorded, to fold and to compare with the chart."""
    event: Reimported = lost.event(NOBODY, "")
    return RecordedEvent(ref, event_id(lost), "countersign/approval", lost.signed_at, "", event, ChainHead(at, ""))


def event_id(lost: LostEvent) -> str:
    """Return the id of the event, the same for each reimport."""
    return derived_id(lost.chain_head or _signed_document(lost), "reimported")


def _signed_document(lost: LostEvent) -> str:
    """Name a signature of which the chart has no digest: by the document, and by what was signed."""
    assert isinstance(lost.filed, Filed) and isinstance(lost.signature, Signature)  # noqa: S101, PT018 - basic.py
    return f"{lost.filed.document_reference}/{lost.signature.signed}"
