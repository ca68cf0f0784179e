"""What every rendition of a signed document is made from."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

from services.approval.filing.renditions.signed import SignedText, read
from services.approval.review.signing_rules import identity
from shared.contracts.context import EncounterContext
from shared.contracts.draft import Draft
from shared.contracts.envelope import RecordedEvent
from shared.contracts.events import Signature
from shared.contracts.subjects import derived_id


@dataclass(frozen=True, slots=True)
class Source:
    """A signed text with its decision. The same values give the same bytes at any time.

    `identifier` (system, value) is the document's; `base` is the EHR's base URL, for references; `device` is the id of
    the drafting AI in the EHR. `context` is None if it cannot be read: then there is no name of the hospital.
    """

    decision: RecordedEvent
    approved: Signature
    identifier: tuple[str, str]
    text: str
    draft: Draft
    context: EncounterContext | None
    device: str
    base: str
    replaces: tuple[str, str] | None = None  # identifier of the document whose correction this is

    @property
    def at(self) -> datetime:
        """Return the time of the signature."""
        return self.decision.time

    @property
    def document(self) -> SignedText:
        return read(self.text, self.draft)

    @property
    def patient(self) -> str:
        """Return the line that identifies the patient, as the signed text contains it."""
        return identity(self.draft) or ""

    @property
    def hospital(self) -> str:
        return (self.context.organization_name if self.context else None) or ""

    @property
    def signer(self) -> str:
        """Return the name of the signer, or else their FHIR reference or subject."""
        return self.approved.by.name or self.approved.signer or self.approved.by.subject

    @property
    def signature(self) -> list[str]:
        """Return the lines below the text of a rendition: who signed what, and when."""
        return list(self._signature())

    def _signature(self) -> Iterator[str]:
        by = self.approved.by
        npi = f", NPI {by.npi}" if by.npi else ""
        yield f"Signed by {self.signer}{npi}, {self.at.astimezone(UTC):%Y-%m-%d %H:%M} UTC."
        yield f"SHA-256 of the signed text: {self.approved.signed}"

    def id_of(self, what: str) -> str:
        """Return a UUID that is derived from this decision and `what`."""
        return derived_id(self.decision.id, what)
