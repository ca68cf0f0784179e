"""Plan the reimport of a case: what can be appended, in the order of its signatures, and what cannot and why."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from services.approval.corrections.rules import number_of
from services.approval.filing.correction_resources import IN_ERROR
from services.approval.filing.renditions import chart
from services.approval.filing.renditions.in_chart import bytes_in_chart
from services.approval.filing.renditions.make import TEXT
from services.approval.filing.resources import chain_head_of
from services.approval.proof.chart import FiledSignature, against_chart
from services.approval.reimport import lost_events
from services.approval.reimport.chart import Held, each_once, held, targets
from services.approval.reimport.lost_events import LostEvent, Trail
from shared.clinical.elements import Resource
from shared.clinical.fhir_client import FhirClient
from shared.contracts.case import Case, evolve, fold, is_expected, restored_event
from shared.contracts.corrections import Retracted
from shared.contracts.envelope import ChainHead, RecordedEvent, sha256_hex
from shared.contracts.errors import PermanentError, TransientError
from shared.contracts.events import Actor, Reimported
from shared.contracts.subjects import CaseRef, case_id, derived_id

NOBODY = Actor(subject="nobody", role="operator")


@dataclass(frozen=True, slots=True)
class Found:
    """A signature that is lost, and the text that was signed; none with a retraction."""

    lost: LostEvent
    text: bytes | None


@dataclass(slots=True)
class Plan:
    """`ready` is taken over in this order. `stopped` says what does not verify: then nothing of the case is."""

    ready: list[Found] = field(default_factory=list)
    stopped: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class _Sign:
    """A document or a retraction in the chart that the trail does not know."""

    at: datetime
    provenance: Resource
    held: Held | None = None  # None: a retraction
    document: Resource | None = None

    @property
    def name(self) -> str:
        if self.held is None or self.document is None:
            return f"the retraction in Provenance {self.provenance['id']}"
        return f"{self.held.name}, DocumentReference {self.document['id']}"


async def plan(ref: CaseRef, history: Sequence[RecordedEvent], ehr: FhirClient, organization: str | None) -> Plan:
    """The case `ref`, of which `history` is every event, or none. `organization` is part of every case id; None: not
    known here, and the id of a case that the trail does not know is not compared with the stay's.

    Raises TransientError, PermanentError where the EHR cannot be asked.
    """
    found = Plan()
    signs = sorted(_signs(await held(ehr, ref.id), history, found), key=lambda sign: sign.at)
    events = list(history)
    for sign in signs if not found.stopped else ():
        try:
            lost, text = await _verified(sign, Trail(events, fold(events), ehr.bases), ref, ehr)
            if not history and organization is not None:
                _is_ours(ref, lost, organization)
        except PermanentError as error:
            return Plan(stopped=[f"{sign.name}: {error.reason}"])
        found.ready.append(Found(lost, text))
        events.append(_recorded(ref, lost, fold(events).head.sequence + 1))
    return found


def _signs(everything: Sequence[Held], history: Sequence[RecordedEvent], found: Plan) -> Iterator[_Sign]:
    """What the trail does not know. What cannot be told at all is said in `found`."""
    case = fold(history)
    heads = {restored_event(event).head.digest for event in history}
    filed = {entry.filed.document_reference for entry in (*case.earlier, *case.entries) if entry.filed is not None}
    for item in everything:
        try:
            if (sign := _unknown(item, heads, filed)) is not None:
                yield sign
        except PermanentError as error:
            found.stopped.append(f"{item.name}: {error.reason}")
    retractions = {str(one["id"]): one for item in everything for one in each_once(item.retractions)}
    for provenance in each_once(retractions.values()):
        if chain_head_of(provenance) not in heads:
            try:
                yield _Sign(lost_events.moment(provenance), provenance)
            except PermanentError as error:
                found.stopped.append(f"Provenance {provenance['id']}: {error.reason}")


def _unknown(item: Held, heads: set[str], filed: set[str]) -> _Sign | None:
    """The one document under an identifier, where the trail does not know it. Raises PermanentError."""
    standing = item.standing
    if len(standing) > 1:
        raise PermanentError(f"{len(standing)} documents stand in the chart under its identifier")
    if not standing or str(standing[0]["id"]) in filed:
        return None  # what is entered in error, with no signature of ours about it, counts as nothing
    document = standing[0]
    provenances = each_once(item.of(str(document["id"])))
    if len(provenances) != 1:
        count = len(provenances) or "no"
        raise PermanentError(f"{count} Provenances of ours are about DocumentReference {document['id']}: one has to be")
    if chain_head_of(provenances[0]) in heads:
        return None  # its filing goes on by itself
    if document.get("status") == IN_ERROR and not item.retractions:
        raise PermanentError(
            f"DocumentReference {document['id']} is entered in error, and no retraction of ours says so"
        )
    return _Sign(lost_events.moment(provenances[0]), provenances[0], item, document)


async def _verified(sign: _Sign, trail: Trail, ref: CaseRef, ehr: FhirClient) -> tuple[LostEvent, bytes | None]:
    """The signature, once the chart holds what it says. Raises PermanentError, TransientError."""
    document = None
    if sign.held is None or sign.document is None:
        lost = lost_events.retraction(trail, sign.provenance)
        _retracts_ours(sign.provenance, trail.case)
    else:
        document = await ehr.read("DocumentReference", str(sign.document["id"]))  # a search may say less
        lost = lost_events.signature(trail, sign.held, document, sign.provenance)
    event = lost.event(NOBODY, "")
    if not is_expected(trail.case, event):
        raise PermanentError(f"the case is {trail.case.state if trail.case.exists else 'not known'} on the trail")
    recorded = _recorded(ref, lost, trail.case.head.sequence + 1)
    if sign.held is not None and number_of(evolve(trail.case, recorded), restored_event(recorded)) != sign.held.number:
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
    """A case that the trail does not know has the id that its encounter leads to. Raises PermanentError."""
    encounter = lost.signature.stay.encounter.partition("/")[2]
    if case_id(organization, encounter) != ref.id:
        raise PermanentError("its encounter leads to another case id: it is of another installation")


async def _text(lost: LostEvent, document: Resource | None, ehr: FhirClient) -> bytes | None:
    """Exactly what was signed. Raises PermanentError."""
    if document is None or isinstance(lost.signature, Retracted):
        return None
    attachments = chart.attachments(document)
    data = await bytes_in_chart(attachments[TEXT], ehr) if TEXT in attachments else None
    if data is None or sha256_hex(data) != lost.signature.signed:
        raise PermanentError("the chart does not show the text that was signed")
    return data


def _recorded(ref: CaseRef, lost: LostEvent, at: int) -> RecordedEvent:
    """As it would stand on the trail: to fold, and to hold against the chart."""
    event: Reimported = lost.event(NOBODY, "")
    return RecordedEvent(ref, event_id(lost), "countersign/approval", lost.signed_at, "", event, ChainHead(at, ""))


def event_id(lost: LostEvent) -> str:
    """The same however often it is taken over."""
    return derived_id(lost.chain_head, "reimported")
