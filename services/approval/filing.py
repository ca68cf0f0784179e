"""Puts the signed document into the chart: one DocumentReference and one Provenance, also where creates race.

Where the EHR lets us choose ids, both get one that is derived from the case, and writing twice is writing once.
Elsewhere a search comes after the create; what an EHR shows too late for that is mended later (see follow_up.py).
"""

from collections.abc import Mapping

from services.approval import resources
from services.approval.provenances import carrying, provenances_of
from services.approval.renditions import chart
from services.approval.renditions.make import TEXT
from services.approval.resources import Resource, chain_head_of, with_identifier
from services.approval.tasks import Devices
from shared.clinical.fhir import (
    BadRequestError,
    FhirClient,
    NotFoundError,
    NotTakenError,
    PreconditionFailedError,
    oldest,
    version_of,
)
from shared.contracts.envelope import Recorded
from shared.contracts.events import Approved, Filed
from shared.contracts.failures import PermanentError, TransientError
from shared.contracts.subjects import CaseRef
from shared.messaging.steps import Clock

Renditions = Mapping[str, bytes]  # content type → bytes


class Filing:
    def __init__(self, ehr: FhirClient, devices: Devices, clock: Clock) -> None:
        self._ehr = ehr
        self._devices = devices
        self._clock = clock

    async def file(self, decision: Recorded, approved: Approved, text: str, others: Renditions | None = None) -> Filed:
        """File `text` for the approval `decision`; however often this runs, the chart holds one current document.

        `others` (content type → bytes) are filed in its place, the text among them, where the EHR takes them all.
        """
        device = await self._devices.id_of(approved.draft)
        alone = {TEXT: text.encode()}
        renditions = others or alone
        try:
            document = await self._document(decision, approved, renditions, device)
        except (BadRequestError, NotTakenError):
            if renditions == alone:
                raise
            document = await self._document(decision, approved, alone, device)
        id, held = str(document["id"]), chart.held(document, renditions)
        provenance = await self._provenance(decision, approved, id, device, held)
        return Filed(document_reference=id, provenance=provenance, renditions=held)

    async def _document(self, decision: Recorded, approved: Approved, renditions: Renditions, device: str) -> Resource:
        """The one current document; whatever else is current under its identifier is retired."""
        identifier = resources.document_identifier(decision.case)
        query = {"identifier": "|".join(identifier)}
        contents = chart.contents(renditions, decision.time)
        wanted = resources.document(decision.case, approved, contents, device, decision.time)
        made = await self._make(wanted, resources.document_id(decision.case), query)
        # Parallel conditional creates duplicate on several real servers: look, and let the oldest one stand. What was
        # just made counts also where the search does not show it yet.
        current = _current(await self._documents(decision.case, made))
        if not current:  # it was there, and somebody has retired it before the filing ended
            current = [(await self._ehr.create(wanted)).resource]
        kept = oldest(current)
        await self._retire(current, str(kept["id"]))
        return kept

    async def _documents(self, case: CaseRef, *known: Resource) -> list[Resource]:
        """Documents of the case, `known` ones among them; each once."""
        identifier = resources.document_identifier(case)
        found = await self._ehr.search("DocumentReference", {"identifier": "|".join(identifier)}, fresh=True)
        return with_identifier([*known, *found], identifier)

    async def _retire(self, documents: list[Resource], kept: str) -> None:
        """Set all but `kept` to entered-in-error: of several copies one stands."""
        for other in documents:
            if other["id"] != kept:
                try:
                    await self._ehr.update(other | {"status": "entered-in-error"}, if_match=version_of(other))
                except PreconditionFailedError:
                    raise TransientError("a copy of the document has changed just now") from None

    async def _provenance(
        self, decision: Recorded, approved: Approved, document: str, device: str, held: Mapping[str, str]
    ) -> str:
        """The id of the Provenance of this approval, or of one before it: a backup may not know what was filed."""
        head = decision.head.digest
        found = await provenances_of(self._ehr, f"DocumentReference/{document}")
        existing = carrying(head, found) or [item for item in found if chain_head_of(item) is not None]
        if not existing:
            made_of = chart.entities(held)
            wanted = resources.provenance(approved, document, device, head, decision.time, self._clock(), made_of)
            existing = [await self._make(wanted, resources.provenance_id(head))]
        return str(oldest(existing)["id"])

    async def follow_up(self, case: CaseRef, filed: Filed, chain_head: str) -> int:
        """Leave what is on the trail, and nothing that came into the chart after it was filed.

        Returns how many Provenances of ours are too many and cannot be deleted: they have no status to retire them by.
        Raises PermanentError where what was filed is not there any more: then nothing is touched.
        """
        documents = await self._documents(case)
        await self._ensure("DocumentReference", filed.document_reference, documents)
        await self._retire(_current(documents), filed.document_reference)
        ids = {filed.document_reference, *(str(item["id"]) for item in documents)}
        found = [item for id in sorted(ids) for item in await provenances_of(self._ehr, f"DocumentReference/{id}")]
        surplus = {str(item["id"]) for item in carrying(chain_head, found)} - {filed.provenance}
        if surplus:
            await self._ensure("Provenance", filed.provenance, found)
        return sum([await self._cannot_delete("Provenance", id) for id in sorted(surplus)])

    async def _ensure(self, type: str, id: str, found: list[Resource]) -> None:
        """Raises NotFoundError where the EHR neither found the resource nor can read it."""
        if all(item["id"] != id for item in found):
            await self._ehr.read(type, id)

    async def _cannot_delete(self, type: str, id: str) -> bool:
        try:
            await self._ehr.delete(type, id)
        except PermanentError:
            return True
        return False

    async def _make(self, wanted: Resource, id: str, if_none_exist: Mapping[str, str] | None = None) -> Resource:
        """`wanted` in the EHR: under `id` where it lets us choose, else where nothing matches `if_none_exist`."""
        type = str(wanted["resourceType"])
        if type in (await self._ehr.capabilities()).update_creates:
            try:
                return await self._ehr.read(type, id)
            except NotFoundError:
                pass
            try:
                return await self._ehr.update(wanted | {"id": id})
            except PermanentError:
                pass  # it says that it does, and does not for this id
        return (await self._ehr.create(wanted, if_none_exist=if_none_exist)).resource


def _current(documents: list[Resource]) -> list[Resource]:
    return [item for item in documents if item.get("status") == "current"]
