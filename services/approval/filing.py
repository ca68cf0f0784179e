"""Puts the signed document into the chart: one DocumentReference and one Provenance, also where creates race."""

from services.approval import resources
from services.approval.resources import Resource
from services.approval.tasks import Devices
from shared.clinical.fhir import FhirClient, oldest, version_of
from shared.contracts.envelope import Recorded
from shared.contracts.events import Approved, Filed
from shared.messaging.steps import Clock


class Filing:
    def __init__(self, ehr: FhirClient, devices: Devices, clock: Clock) -> None:
        self._ehr = ehr
        self._devices = devices
        self._clock = clock

    async def file(self, decision: Recorded, approved: Approved, text: str) -> Filed:
        """File `text` for the approval `decision`; however often this runs, the chart holds one current document."""
        device = await self._devices.id_of(approved.draft)
        document = await self._document(decision, approved, text, device)
        provenance = await self._provenance(decision, approved, str(document["id"]), device)
        return Filed(document_reference=str(document["id"]), provenance=str(provenance["id"]))

    async def _document(self, decision: Recorded, approved: Approved, text: str, device: str) -> Resource:
        query = {"identifier": "|".join(resources.document_identifier(decision.case))}
        wanted = resources.document(decision.case, approved, text, device, decision.time)
        await self._ehr.create(wanted, if_none_exist=query)
        # Parallel conditional creates duplicate on several real servers: look, and let the oldest one stand.
        found = [item for item in await self._ehr.search("DocumentReference", query) if item["status"] == "current"]
        kept = oldest(found)
        for other in found:
            if other["id"] != kept["id"]:
                await self._ehr.update(other | {"status": "entered-in-error"}, if_match=version_of(other))
        return kept

    async def _provenance(self, decision: Recorded, approved: Approved, document: str, device: str) -> Resource:
        query = {"target": f"DocumentReference/{document}"}
        existing = self._ours(await self._ehr.search("Provenance", query))
        if not existing:
            wanted = resources.provenance(
                approved, document, device, decision.head.digest, decision.time, self._clock()
            )
            await self._ehr.create(wanted)
            existing = self._ours(await self._ehr.search("Provenance", query))
        return oldest(existing)

    def _ours(self, found: list[Resource]) -> list[Resource]:
        """A server may write a Provenance of its own about the same document."""
        return [item for item in found if resources.chain_head_of(item) is not None]
