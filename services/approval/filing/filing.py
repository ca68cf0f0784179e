"""File the signed document in the chart: one DocumentReference and one Provenance, also where creates race.

Where the EHR accepts client-assigned ids, both are derived from the case, and writes are idempotent. Elsewhere a search
follows the create; what an EHR shows too late for that is repaired by `late_write_check.py`.
"""

from collections.abc import Iterable, Mapping

from services.approval.ehr_tasks.tasks import Devices
from services.approval.filing import correction_resources, resources
from services.approval.filing.chart_check import of_this_signature, verify_as_signed
from services.approval.filing.correction_resources import IN_ERROR
from services.approval.filing.provenances import carrying, provenances_of
from services.approval.filing.renditions import chart
from services.approval.filing.renditions.make import TEXT
from services.approval.filing.resources import with_identifier
from shared.clinical.elements import Resource
from shared.clinical.fhir_client import (
    BadRequestError,
    CreateResult,
    FhirClient,
    NotFoundError,
    PreconditionFailedError,
    UnprocessableError,
    etag_of,
    oldest,
)
from shared.contracts.corrections import Amended
from shared.contracts.envelope import RecordedEvent
from shared.contracts.errors import PermanentError, TransientError
from shared.contracts.events import Filed, Signature
from shared.contracts.subjects import CaseRef
from shared.messaging.steps import Clock

Renditions = Mapping[str, bytes]  # content type → bytes


class Filing:
    def __init__(self, ehr: FhirClient, devices: Devices, clock: Clock) -> None:
        self._ehr = ehr
        self._devices = devices
        self._clock = clock

    async def file(
        self,
        decision: RecordedEvent,
        signature: Signature,
        text: str,
        others: Renditions | None = None,
        number: int = 1,
    ) -> Filed:
        """File `text` for the signature `decision`. Idempotent: the chart has one current document afterwards.

        The document that it replaces is set to superseded, which servers do not do by themselves. `others` (content
        type → bytes, including the text) are filed instead of the text alone if the EHR accepts all of them. `number`
        counts the documents of the case, or its addenda.

        Raises NotAsSignedError if the chart has another document under this identifier.
        """
        device = await self._devices.id_of(signature.draft)
        alone = {TEXT: text.encode()}
        renditions = others or alone
        await self._nothing_else(correction_resources.identifier_of(decision.case, signature, number), renditions)
        try:
            document = await self._document(decision, signature, renditions, device, number)
        except (BadRequestError, UnprocessableError):
            if renditions == alone:
                raise
            document = await self._document(decision, signature, alone, device, number, renditions)
        if isinstance(signature, Amended):
            await self._supersede(signature.replaces)
        id, digests = str(document["id"]), chart.digests_in_document(document, renditions)
        provenance = await self._provenance(decision, signature, id, device, digests)
        return Filed(document_reference=id, provenance=provenance, renditions=digests)

    async def _nothing_else(self, identifier: tuple[str, str], renditions: Renditions) -> None:
        """Check, before anything is written, that current documents with this identifier are as signed."""
        for found in _current(await self._documents(identifier)):
            await verify_as_signed(found, renditions, self._ehr)

    async def _document(
        self,
        decision: RecordedEvent,
        signature: Signature,
        renditions: Renditions,
        device: str,
        number: int,
        signed: Renditions | None = None,
    ) -> Resource:
        """Return the one current document and retire its copies. `signed`: the contents that they may have."""
        case = decision.case
        identifier = correction_resources.identifier_of(case, signature, number)
        query = {"identifier": "|".join(identifier)}
        contents = chart.contents(renditions, decision.time, signature.draft.type.title)
        wanted = correction_resources.document(decision, signature, number, contents, device)
        answer = await self._make(wanted, correction_resources.id_of(case, signature, number), query)
        made = answer.resource
        # Parallel conditional creates duplicate on several real servers: look, and let the oldest one stand. What was
        # just made counts also where the search does not show it yet.
        current = _current(await self._documents(identifier, made))
        for found in current:
            if not (answer.created and found["id"] == made["id"]):  # the EHR may normalize what we have just written
                await verify_as_signed(found, signed or renditions, self._ehr)
        if not current:  # the document existed, and a person retired it before the filing ended
            current = [(await self._ehr.create(wanted)).resource]
        kept = oldest(current)
        await self._retire(current, str(kept["id"]))
        return kept

    async def _documents(self, identifier: tuple[str, str], *known: Resource) -> list[Resource]:
        """Return the documents with this identifier, including `known`, each once."""
        found = await self._ehr.search("DocumentReference", {"identifier": "|".join(identifier)}, fresh=True)
        return with_identifier([*known, *found], identifier)

    async def _retire(self, documents: list[Resource], kept: str) -> None:
        """Set all documents but `kept` to entered-in-error."""
        for other in documents:
            if other["id"] != kept:
                await self.mark(other, IN_ERROR)

    async def _supersede(self, id: str) -> None:
        """Set a document that was replaced to superseded."""
        try:
            found = await self._ehr.read("DocumentReference", id)
        except NotFoundError:
            return  # somebody has deleted it
        if found.get("status") == "current":
            await self.mark(found, "superseded")

    async def mark(self, document: Resource, status: str) -> None:
        """Give a document a status, once."""
        if document.get("status") == status:
            return
        try:
            await self._ehr.update(document | {"status": status}, if_match=etag_of(document))
        except PreconditionFailedError:
            raise TransientError("a document has changed just now") from None

    async def _provenance(
        self, decision: RecordedEvent, signature: Signature, document: str, device: str, held: Mapping[str, str]
    ) -> str:
        """Return the id of the Provenance of this signature; create it if it is missing."""
        head = decision.head.digest
        found = await provenances_of(self._ehr, f"DocumentReference/{document}")
        existing = of_this_signature(head, document, found)
        if not existing:
            made_of = chart.entities(held)
            wanted = correction_resources.provenance(decision, signature, document, device, self._clock(), made_of)
            existing = [await self.make_provenance(wanted, head)]
        return str(oldest(existing)["id"])

    async def follow_up(
        self,
        case: CaseRef,
        filed: Filed,
        chain_head: str,
        identifier: tuple[str, str] | None = None,
        status: str = "current",
    ) -> int:
        """Leave in the chart what was filed, with `status`; retire documents and Provenances that arrived afterwards.

        `identifier`: of the document; None: the first document of the case. Returns how many surplus Provenances of
        ours cannot be deleted: Provenance has no status by which to retire it. Raises PermanentError if what was filed
        is gone: then nothing is changed.
        """
        documents = await self._documents(identifier or resources.document_identifier(case))
        own = await self._ensure("DocumentReference", filed.document_reference, documents)
        await self._retire(_not_retracted(documents), filed.document_reference)
        if status == IN_ERROR or (status == "superseded" and own.get("status") == "current"):
            await self.mark(own, status)
        ids = {filed.document_reference, *(str(item["id"]) for item in documents)}
        return await self.clear(chain_head, filed.provenance, sorted(ids))

    async def clear(self, chain_head: str, kept: str, documents: Iterable[str]) -> int:
        """Leave one Provenance of this head of the chain; returns how many others cannot be deleted."""
        targets = [f"DocumentReference/{id}" for id in documents]
        found = [item for target in targets for item in await provenances_of(self._ehr, target)]
        surplus = {str(item["id"]) for item in carrying(chain_head, found)} - {kept}
        if surplus:
            await self._ensure("Provenance", kept, found)
        return sum([await self._cannot_delete("Provenance", id) for id in sorted(surplus)])

    async def _ensure(self, type: str, id: str, found: list[Resource]) -> Resource:
        """Return the resource, from `found` or by reading it. Raises NotFoundError."""
        return next((item for item in found if item["id"] == id), None) or await self._ehr.read(type, id)

    async def _cannot_delete(self, type: str, id: str) -> bool:
        try:
            await self._ehr.delete(type, id)
        except PermanentError:
            return True
        return False

    async def make_provenance(self, wanted: Resource, head: str) -> Resource:
        """Create the Provenance with this head of the chain, unless another process has created it just now.

        Ours are known by their target and the time of the decision. An EHR that ignores `when` may show another one of
        the same target, and one that refuses it is asked without a condition.
        """
        id = resources.provenance_id(head)
        target = str(wanted["target"][-1]["reference"])
        query = {"target": target, "when": str(wanted["occurredDateTime"])}
        try:
            answer = await self._make(wanted, id, query)
        except (BadRequestError, UnprocessableError):
            return (await self._make(wanted, id, None)).resource
        if answer.created or resources.chain_head_of(answer.resource) == head:
            return answer.resource
        return (await self._make(wanted, id, None)).resource

    async def _make(self, wanted: Resource, id: str, if_none_exist: Mapping[str, str] | None) -> CreateResult:
        type = str(wanted["resourceType"])
        if type in (await self._ehr.capabilities()).update_creates:
            try:
                return CreateResult(await self._ehr.read(type, id), created=False)
            except NotFoundError:
                pass
            try:
                return CreateResult(await self._ehr.update(wanted | {"id": id}), created=True)
            except PermanentError:
                pass  # the server states that it supports this, and refuses this id
        return await self._ehr.create(wanted, if_none_exist=if_none_exist)


def _not_retracted(documents: list[Resource]) -> list[Resource]:
    return [item for item in documents if item.get("status") in ("current", "superseded")]


def _current(documents: list[Resource]) -> list[Resource]:
    return [item for item in documents if item.get("status") == "current"]
