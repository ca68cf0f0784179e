"""Retract every document of a case in the chart: entered-in-error, with a Provenance of the two people."""

from services.approval.filing import correction_resources
from services.approval.filing.correction_resources import IN_ERROR
from services.approval.filing.filing import Filing
from services.approval.filing.provenances import carrying, provenances_of
from shared.clinical.fhir_client import FhirClient, NotFoundError, oldest
from shared.contracts.corrections import Retracted, RetractionFiled
from shared.contracts.envelope import RecordedEvent
from shared.messaging.steps import Clock


class RetractionFiling:
    def __init__(self, ehr: FhirClient, filing: Filing, clock: Clock) -> None:
        self._ehr = ehr
        self._filing = filing
        self._clock = clock

    async def retract(self, decision: RecordedEvent, retracted: Retracted) -> RetractionFiled:
        """Set the documents to entered-in-error, and create one Provenance that says who retracted them. Idempotent."""
        for id in retracted.documents:
            try:
                found = await self._ehr.read("DocumentReference", id)
            except NotFoundError:
                continue  # somebody has deleted it
            await self._filing.mark(found, IN_ERROR)
        return RetractionFiled(provenance=await self._provenance(decision, retracted))

    async def _provenance(self, decision: RecordedEvent, retracted: Retracted) -> str:
        head = decision.head.digest
        found = carrying(head, await provenances_of(self._ehr, f"DocumentReference/{retracted.documents[-1]}"))
        if not found:
            wanted = correction_resources.retraction(decision, retracted, self._clock())
            found = [await self._filing.make_provenance(wanted, head)]
        return str(oldest(found)["id"])
