"""Plan the reimport of a case from an EHR of the profile `fhir-basic`, which keeps no identifier of ours.

What it keeps is the stay, the author, the date and the words. So a document is taken over if it is the only one of the
stay that may be ours and that no event names, and its text says that it is ours. Where the EHR takes Provenances, they
have to agree. What the chart does not prove stops the case: two documents, an addendum, a retraction.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from services.approval.case_verification.chart import FiledSignature, against_chart
from services.approval.corrections import rules as correction_rules
from services.approval.filing.basic_search import ADDENDUM, StayDocuments, is_marked
from services.approval.filing.correction_resources import IN_ERROR
from services.approval.filing.provenances import provenances_of
from services.approval.filing.renditions.make import TEXT
from services.approval.filing.resources import chain_head_of
from services.approval.filing.write_back import document_type_of, filed_ids
from services.approval.reimport.chart import text_of
from services.approval.reimport.lost_events import KnownCase, LostEvent, actor_of, document_version, draft_of_text
from services.approval.reimport.plan import NOBODY, ReimportPlan, VerifiedEvent, recorded_event
from shared.clinical import references
from shared.clinical.elements import Resource, children
from shared.clinical.fhir_client import FhirClient, NotFoundError
from shared.contracts.case import ChartEntry, current_digest, fold, is_expected, restored_event
from shared.contracts.corrections import Amended, Retracted
from shared.contracts.envelope import RecordedEvent, sha256_hex
from shared.contracts.errors import PermanentError, TransientError
from shared.contracts.events import Approved, Filed
from shared.contracts.subjects import CaseRef
from shared.contracts.timestamps import parse_timestamp


@dataclass(frozen=True, slots=True)
class _UnknownDocument:
    """A document in the chart with a text that no event has, and the filing whose text it replaces, if any."""

    document: Resource
    text: str
    replaces: Filed | None = None

    @property
    def name(self) -> str:
        return f"DocumentReference {self.document['id']}"


async def plan_basic(ref: CaseRef, history: Sequence[RecordedEvent], ehr: FhirClient) -> ReimportPlan:
    """Plan the reimport of a case that the event stream has; another one cannot be found in such an EHR.

    Raises TransientError, PermanentError where the EHR cannot be asked.
    """
    known_case = KnownCase(history, fold(history), ehr.bases)
    if known_case.stay is None:
        return ReimportPlan()
    chart = StayDocuments(ehr)
    try:
        found = await _changed(known_case, chart, ehr) + await _unknown(known_case, chart)
    except _StoppedError as stopped:
        return ReimportPlan(stopped=[stopped.reason])
    if not found:
        return ReimportPlan()
    if len(found) > 1:
        names = " and ".join(item.name for item in found)
        return ReimportPlan(
            stopped=[f"{names}: no event has them, and which was signed when cannot be seen in the chart"]
        )
    try:
        return ReimportPlan(ready=[await _verified(ref, known_case, found[0], ehr)])
    except PermanentError as error:
        return ReimportPlan(stopped=[f"{found[0].name}: {error.reason}"])


class _StoppedError(PermanentError):
    """The case cannot be reimported."""


async def _changed(known_case: KnownCase, chart: StayDocuments, ehr: FhirClient) -> list[_UnknownDocument]:
    """Return the current document of the case if the chart has another text of it: a correction changes it."""
    case, filed = known_case.case, known_case.case.document
    if filed is None or (case.retraction is not None and isinstance(case.retraction.body, Retracted)):
        return []
    for id in sorted({entry.filed.document_reference for entry in case.entries if entry.filed is not None}):
        if await _is_retired(ehr, id):
            words = "is entered in error in the chart, and no retraction of ours says so: retract it here too"
            raise _StoppedError(f"DocumentReference {id} {words}")
    try:
        document = await ehr.read("DocumentReference", filed.document_reference)
    except NotFoundError:
        return []  # `audit verify` reports it
    shown = await chart.digests(document)
    if not shown or shown & set(filed.renditions.values()):
        return []
    return [await _readable(document, chart, filed)]


async def _is_retired(ehr: FhirClient, id: str) -> bool:
    try:
        return (await ehr.read("DocumentReference", id)).get("status") == IN_ERROR
    except NotFoundError:
        return False


async def _unknown(known_case: KnownCase, chart: StayDocuments) -> list[_UnknownDocument]:
    """Return the current documents of the stay that no event names and that may be ours."""
    stay, case = known_case.stay, known_case.case
    assert stay is not None  # noqa: S101 - checked by the caller
    own = _waiting(case.entries)
    found = []
    for document in await chart.current(stay, document_type_of(case).code):
        if str(document["id"]) in filed_ids(case) or not await chart.may_be_ours(document):
            continue
        item = await _readable(document, chart, None)
        if sha256_hex(item.text.encode()) not in own:  # that document is being filed by its own step
            found.append(item)
    return found


def _waiting(entries: Sequence[ChartEntry]) -> set[str]:
    return {correction_rules.signature_of(entry).signed for entry in entries if entry.filed is None}


async def _readable(document: Resource, chart: StayDocuments, replaces: Filed | None) -> _UnknownDocument:
    text = await chart.text(document)
    name = f"DocumentReference {document['id']}"
    if text is None:
        raise _StoppedError(f"{name} may be ours, and the chart does not show the text that was signed")
    if text.startswith(ADDENDUM):
        raise _StoppedError(f"{name} may be an addendum of ours, or one that was written in the EHR")
    if not is_marked(text):
        raise _StoppedError(f"{name} has another text than what was filed, and it does not say that it is ours")
    return _UnknownDocument(document, text, replaces)


async def _verified(ref: CaseRef, known_case: KnownCase, found: _UnknownDocument, ehr: FhirClient) -> VerifiedEvent:
    """Return the lost event after comparison with the chart. Raises PermanentError, TransientError."""
    lost = await _lost(known_case, found, ehr)
    recorded = recorded_event(ref, lost, known_case.case.head.sequence + 1)
    if not is_expected(known_case.case, lost.event(NOBODY, "")):
        raise PermanentError(f"the case is {known_case.case.state} by its events")
    assert isinstance(lost.filed, Filed)  # noqa: S101 - a retraction leaves nothing to take over
    reasons = await against_chart(FiledSignature(recorded, lost.filed, restored_event(recorded)), ehr)
    words = "; ".join(reason.words for reason in reasons)
    if any(reason.unanswered for reason in reasons):
        raise TransientError(words)
    if reasons:
        raise PermanentError(words)
    return VerifiedEvent(lost, found.text.encode())


async def _lost(known_case: KnownCase, found: _UnknownDocument, ehr: FhirClient) -> LostEvent:
    document, digest = found.document, sha256_hex(found.text.encode())
    signer, at = _author(known_case, document), parse_timestamp(document.get("date"))
    if at is None:
        raise PermanentError("the document does not say when it was signed")
    provenance = await _provenance(document, digest, ehr)
    common: dict[str, Any] = {
        "stay": known_case.stay,
        "draft": draft_of_text(known_case, digest, document),
        "signed": digest,
        "by": actor_of(signer, signer),
        "signer": signer,
    }
    filed = Filed(
        document_reference=str(document["id"]),
        provenance=str(provenance["id"]) if provenance is not None else "",
        renditions={TEXT: digest},
        profile="fhir-basic",
    )
    head = (chain_head_of(provenance) or "") if provenance is not None else ""
    version = document_version(provenance) if provenance is not None else None
    return LostEvent(_body(known_case, found, common), at, head, filed, document_version(document), version)


def _body(known_case: KnownCase, found: _UnknownDocument, common: dict[str, Any]) -> Approved | Amended:
    if found.replaces is None:
        edited = common["signed"] != common["draft"].text
        return Approved(**common, task=None, edited=edited)
    number = 1 + sum(entry.whole for entry in known_case.case.entries)
    seen = current_digest(known_case.case)
    return Amended(**common, number=number, replaces=found.replaces.document_reference, seen=seen, reason="")


def _author(known_case: KnownCase, document: Resource) -> str:
    """Return the reference of the one Practitioner who is the author: the profile files so. Raises PermanentError."""
    authors = [references.relative(item, known_case.bases) for item in children(document, "author")]
    if len(authors) != 1 or authors[0] is None or not authors[0].startswith("Practitioner/"):
        raise PermanentError("the document does not name one Practitioner as its author")
    return authors[0]


async def _provenance(document: Resource, digest: str, ehr: FhirClient) -> Resource | None:
    """Return our Provenance of this text; None where the EHR has none of ours. Raises PermanentError for others."""
    of_document = await provenances_of(ehr, f"DocumentReference/{document['id']}")
    ours = [item for item in of_document if chain_head_of(item) is not None]
    found = [item for item in ours if text_of(item) == digest]
    if ours and len(found) != 1:
        raise PermanentError(f"{len(found) or 'no'} Provenances of ours are about its text: one has to be")
    return found[0] if found else None
