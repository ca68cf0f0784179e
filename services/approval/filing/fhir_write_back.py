"""The write-back profile `fhir`: a DocumentReference with our identifier, created conditionally, and a Provenance."""

from services.approval.corrections import rules as correction_rules
from services.approval.filing.correction_resources import identifier_of
from services.approval.filing.filing import Filing
from services.approval.filing.renditions.writer import Renditions
from services.approval.filing.retraction import RetractionFiling
from services.approval.filing.write_back import SignedDocument, SignedRetraction, Written
from shared.contracts.case import Case, ChartEntry
from shared.contracts.corrections import Retracted, RetractionFiled
from shared.contracts.subjects import CaseRef


class FhirWriteBack:
    def __init__(self, filing: Filing, retracting: RetractionFiling, renditions: Renditions) -> None:
        self._filing = filing
        self._retracting = retracting
        self._renditions = renditions

    async def file(self, document: SignedDocument) -> Written:
        """File the document with its renditions; the text alone where the EHR refuses the others."""
        decision, signature, text, number = document.decision, document.signature, document.text, document.number
        renditions = await self._renditions.of(decision, signature, text, number)
        filed = await self._filing.file(decision, signature, text, renditions, number)
        refused = tuple(sorted(renditions.keys() - filed.renditions.keys()))
        return Written(filed.model_copy(update={"profile": "fhir"}), refused)

    async def retract(self, retraction: SignedRetraction) -> RetractionFiled:
        """Set the documents to entered-in-error, with one Provenance."""
        filed = await self._retracting.retract(retraction.decision, retraction.retracted)
        return filed.model_copy(update={"profile": "fhir"})

    async def repair_document(self, ref: CaseRef, case: Case, entry: ChartEntry) -> int:
        """Leave one document in its status and one Provenance of its signature."""
        assert entry.filed is not None  # noqa: S101 - only filed entries are put in order
        signature = correction_rules.signature_of(entry)
        return await self._filing.follow_up(
            ref,
            entry.filed,
            entry.signature.head.digest,
            identifier_of(ref, signature, correction_rules.number_of(case, entry.signature)),
            correction_rules.status_of(case, entry),
        )

    async def repair_retraction(self, case: Case) -> int:
        """Leave one Provenance of the retraction."""
        retraction = case.retraction
        if retraction is None or case.retracted is None or not isinstance(retraction.body, Retracted):
            return 0
        return await self._filing.clear(retraction.head.digest, case.retracted.provenance, retraction.body.documents)
