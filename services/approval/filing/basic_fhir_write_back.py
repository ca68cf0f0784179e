"""The write-back profile `fhir-basic`: a DocumentReference without our identifier, as Oracle Health takes it.

"Filed before?" is answered by our own events and by the stay's documents with the same content. A correction changes
the document that it corrects. Where the EHR takes no Provenance, the event stream alone proves who signed.
"""

from collections.abc import Collection, Iterable

from services.approval.corrections import rules as correction_rules
from services.approval.ehr_tasks.tasks import Devices
from services.approval.filing import basic_resources, correction_resources
from services.approval.filing.basic_search import StayDocuments
from services.approval.filing.chart_check import NotAsSignedError
from services.approval.filing.correction_resources import IN_ERROR
from services.approval.filing.errors import DocumentHeldError, require_chart_check
from services.approval.filing.filing import Filing
from services.approval.filing.provenances import carrying, provenances_of
from services.approval.filing.renditions import chart
from services.approval.filing.renditions.make import TEXT
from services.approval.filing.renditions.writer import Renditions
from services.approval.filing.write_back import SignedDocument, SignedRetraction, Written, document_type_of, filed_ids
from shared.clinical.elements import Resource
from shared.clinical.fhir_client import (
    FhirClient,
    NotFoundError,
    PreconditionFailedError,
    etag_of,
    oldest,
)
from shared.contracts.case import Case, ChartEntry
from shared.contracts.corrections import Amended, RetractionFiled
from shared.contracts.envelope import RecordedEvent, sha256_hex
from shared.contracts.errors import PermanentError, TransientError
from shared.contracts.events import Filed, Signature, StayReferences
from shared.contracts.subjects import CaseRef
from shared.contracts.timestamps import format_timestamp
from shared.messaging.steps import Clock


class BasicFhirWriteBack:
    """`content_type` is what is filed: the text, or one rendition of it."""

    def __init__(
        self,
        ehr: FhirClient,
        filing: Filing,
        devices: Devices,
        renditions: Renditions,
        content_type: str,
        clock: Clock,
    ) -> None:
        self._ehr = ehr
        self._chart = StayDocuments(ehr)
        self._filing = filing
        self._devices = devices
        self._renditions = renditions
        self._content_type = content_type
        self._clock = clock

    async def file(self, document: SignedDocument) -> Written:
        """Create the document, or change the one that it corrects."""
        decision, signature = document.decision, document.signature
        signer = signature.signer or ""
        if not signer.startswith("Practitioner/"):
            raise DocumentHeldError(
                "the EHR takes a document from a Practitioner of its own only, and the signer has none"
            )
        made = await self._renditions.of(decision, signature, document.text, document.number)
        content_type = self._content_type if self._content_type in made else TEXT
        data = made[content_type] if content_type in made else document.text.encode()
        signed_at = format_timestamp(decision.time)
        wanted = basic_resources.document(signature, signer, content_type, data, signed_at)
        if isinstance(signature, Amended) and document.follows is not None:
            id = await self._amend(wanted, document.follows, sha256_hex(data))
        else:
            id = await self._create(wanted, document, sha256_hex(data))
        held = {content_type: sha256_hex(data)}
        provenance = await self._provenance(decision, signature, id, held)
        filed = Filed(document_reference=id, provenance=provenance, renditions=held, profile="fhir-basic")
        return Written(filed, (self._content_type,) if content_type != self._content_type else ())

    async def retract(self, retraction: SignedRetraction) -> RetractionFiled:
        """Set the documents to entered-in-error. Raises DocumentHeldError where the EHR does not take that."""
        type, known = document_type_of(retraction.case).code, filed_ids(retraction.case)
        await self._hold_if_in_chart(retraction.retracted.stay, type, retraction.doubt, known)
        for id in dict.fromkeys(retraction.retracted.documents):
            try:
                await self._filing.mark(await self._ehr.read("DocumentReference", id), IN_ERROR)
            except NotFoundError:
                continue  # somebody has deleted it
            except PermanentError as error:
                words = f"the EHR does not set a document to {IN_ERROR} ({error.reason}): a person has to, in the EHR"
                raise DocumentHeldError(words) from None
        return RetractionFiled(provenance="", profile="fhir-basic")

    async def repair_document(self, _ref: CaseRef, case: Case, entry: ChartEntry) -> int:
        """Retire copies of the document that were committed late."""
        filed = entry.filed
        assert filed is not None  # noqa: S101 - only filed entries are put in order
        later = [item.filed.document_reference for item in _after(case, entry) if item.filed is not None]
        if filed.document_reference in later:
            return 0  # the document has another content since
        wanted = correction_rules.status_of(case, entry)
        signature = correction_rules.signature_of(entry)
        known = filed_ids(case) - {filed.document_reference}
        found = await self._documents_with_content(signature, entry.signature, filed.renditions.values(), known)
        copies = [item for item in found if item["id"] != filed.document_reference]
        if wanted == IN_ERROR:
            copies.append(await self._ehr.read("DocumentReference", filed.document_reference))
        left = sum([await self._cannot_retire(item) for item in copies])
        if filed.provenance:
            left += await self._filing.clear(entry.signature.head.digest, filed.provenance, [filed.document_reference])
        return left

    async def repair_retraction(self, _case: Case) -> int:
        """Do nothing: a retraction creates no resource."""
        return 0

    async def _create(self, wanted: Resource, document: SignedDocument, digest: str) -> str:
        signature = document.signature
        found = await self._documents_with_content(signature, document.decision, {digest}, document.known)
        if not found:
            stay, type = signature.stay, signature.draft.type.code
            await self._hold_if_in_chart(stay, type, document.doubt, document.known)
            found = [(await self._ehr.create(wanted)).resource]
        return str(oldest(found)["id"])

    async def _amend(self, wanted: Resource, replaced: Filed, digest: str) -> str:
        """Change the replaced document to the corrected text. Raises DocumentHeldError if it is not what was filed."""
        id = replaced.document_reference
        try:
            current = await self._ehr.read("DocumentReference", id)
        except NotFoundError:
            raise DocumentHeldError(
                f"DocumentReference {id}, which is to be corrected, is not in the EHR any more"
            ) from None
        shown = await self._chart.digests(current)
        if digest in shown and current.get("docStatus") == "amended":
            return id
        if shown and not shown & set(replaced.renditions.values()):
            raise NotAsSignedError(f"DocumentReference {id} in the EHR is not what was filed: it is not corrected")
        changed = current | {name: wanted[name] for name in ("docStatus", "date", "author", "content")}
        try:
            await self._ehr.update(changed, if_match=etag_of(current))
        except PreconditionFailedError:
            raise TransientError("a document has changed just now") from None
        return id

    async def _provenance(self, decision: RecordedEvent, signature: Signature, id: str, held: dict[str, str]) -> str:
        """Return the id of the signature's Provenance; empty where the EHR takes none."""
        creates = (await self._ehr.capabilities()).creates
        if not {"Provenance", "Device"} <= creates:
            return ""
        head = decision.head.digest
        found = carrying(head, await provenances_of(self._ehr, f"DocumentReference/{id}"))
        if not found:
            device = await self._devices.id_of(signature.draft)
            entities = chart.entities(held)
            wanted = correction_resources.provenance(decision, signature, id, device, self._clock(), entities)
            found = [await self._filing.make_provenance(wanted, head)]
        return str(oldest(found)["id"])

    async def _documents_with_content(
        self, signature: Signature, decision: RecordedEvent, digests: Iterable[str], known: Collection[str]
    ) -> list[Resource]:
        """Return the stay's current documents with one of these contents, except those of the ids `known`."""
        type = signature.draft.type.code
        return await self._chart.with_content(signature.stay, type, decision.time, set(digests), known)

    async def _hold_if_in_chart(self, stay: StayReferences, type: str, doubt: str, known: Collection[str]) -> None:
        """Raise DocumentHeldError where the stay has a document that may be ours and that is not known.

        Only after a restore (`doubt`): otherwise every document of ours is in the events.
        """
        if not doubt:
            return
        others = [item for item in await self._chart.current(stay, type) if item["id"] not in known]
        for item in others:
            if await self._chart.may_be_ours(item):
                require_chart_check(
                    f"{doubt}: DocumentReference {item['id']} may be it. countersign cases reimport shows it"
                )

    async def _cannot_retire(self, document: Resource) -> bool:
        try:
            await self._filing.mark(document, IN_ERROR)
        except PermanentError:
            return True
        return False


def _after(case: Case, entry: ChartEntry) -> list[ChartEntry]:
    entries = [*case.earlier, *case.entries]
    return entries[entries.index(entry) + 1 :]
