"""The port through which signed documents reach the chart, and the profiles that implement it (ADR 47).

Each profile passes tests/component/test_write_back_port.py: a document is in the chart exactly once, whatever dies, is
lost or comes twice.
"""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from services.approval.filing.errors import DocumentHeldError
from shared.contracts.case import Case, ChartEntry
from shared.contracts.corrections import Addended, Retracted, RetractionFiled
from shared.contracts.draft import DocumentType
from shared.contracts.envelope import RecordedEvent
from shared.contracts.events import Filed, Signature, WriteBackProfile
from shared.contracts.subjects import CaseRef


@dataclass(frozen=True, slots=True)
class SignedDocument:
    """A document, its correction or an addendum that is to be filed.

    `number` counts the documents of the case, or its addenda. `releases` counts how often a person has released it
    after it was held, and `released` is the digest of the last release. `follows` is the filed document that it
    corrects or appends to, `known` the ids of all documents of the case that were filed before. `doubt` says why the
    chart may have it already although no event says so; empty: it does not (see last_restore.py).
    """

    decision: RecordedEvent
    signature: Signature
    text: str
    number: int = 1
    releases: int = 0
    follows: Filed | None = None
    known: frozenset[str] = frozenset()
    released: str = ""
    doubt: str = ""


@dataclass(frozen=True, slots=True)
class SignedRetraction:
    """A retraction that is to be filed, and its case. `releases`, `released` and `doubt` as for a document."""

    decision: RecordedEvent
    retracted: Retracted
    case: Case
    releases: int = 0
    released: str = ""
    doubt: str = ""


class Written(NamedTuple):
    """What was filed, and content types that were configured and that the receiver refused."""

    filed: Filed
    refused: tuple[str, ...] = ()


class WriteBack(Protocol):
    """One way into the chart. Both methods are idempotent.

    They raise DocumentHeldError where a person has to decide, ManualTransferRequiredError where a person enters the
    document into the chart, and TransientError or another PermanentError for what is retried without limit.
    """

    async def file(self, document: SignedDocument) -> Written:
        """File one document."""

    async def retract(self, retraction: SignedRetraction) -> RetractionFiled:
        """Mark the documents of a case as entered in error."""


class ChartRepair(Protocol):
    """What a profile that can read the chart does about writes that reached it late. Idempotent."""

    async def repair_document(self, ref: CaseRef, case: Case, entry: ChartEntry) -> int:
        """Retire copies of a filed document; return how many could not be retired."""

    async def repair_retraction(self, case: Case) -> int:
        """Retire copies of what a retraction wrote; return how many could not be retired."""


class WriteBacks:
    """The profiles that are configured. `choose` returns the one for new documents."""

    def __init__(
        self,
        choose: Callable[[], Awaitable[WriteBackProfile]],
        profiles: Mapping[WriteBackProfile, WriteBack],
        repairs: Mapping[WriteBackProfile, ChartRepair],
    ) -> None:
        self._choose = choose
        self._profiles = profiles
        self._repairs = repairs

    def repair_of(self, filed: Filed | RetractionFiled) -> ChartRepair | None:
        """Return what puts the chart in order after a filing; None where we cannot read the chart."""
        return self._repairs.get(profile_of(filed))

    async def chosen(self, follows: Filed | None = None) -> WriteBackProfile:
        """Return the profile of a document. What corrects, appends or retracts goes the way of what it follows."""
        return profile_of(follows) if follows is not None else await self._choose()

    def of(self, profile: WriteBackProfile) -> WriteBack:
        """Return a profile. Raises DocumentHeldError where it is not configured."""
        found = self._profiles.get(profile)
        if found is None:
            raise DocumentHeldError(
                "the document that this one follows was sent as HL7v2 MDM, and no receiver is configured "
                "(COUNTERSIGN_MDM_HOST)"
            )
        return found


def profile_of(filed: Filed | RetractionFiled) -> WriteBackProfile:
    """Return the profile by which something was filed. Events from before there were profiles have none: FHIR."""
    return filed.profile or "fhir"


def document_in_ehr(filed: Filed | None) -> str | None:
    """Return the FHIR reference of a filed document; None where the EHR has no DocumentReference of ours."""
    if filed is None or profile_of(filed) not in ("fhir", "fhir-basic"):
        return None
    return f"DocumentReference/{filed.document_reference}"


def current_filings(case: Case) -> list[Filed]:
    """Return the filed documents of the stay that nothing has replaced: the last one, and the addenda."""
    filed = [(entry.whole, entry.filed) for entry in case.entries if entry.filed is not None]
    last = next((found for whole, found in reversed(filed) if whole), None)
    return [found for whole, found in filed if not whole or found is last]


def document_key(case: CaseRef, signature: Signature, number: int) -> str:
    """Return the key of a document or an addendum where the receiver gives it no id."""
    return f"{case.id}/addendum/{number}" if isinstance(signature, Addended) else f"{case.id}/final/{number}"


def filed_ids(case: Case) -> frozenset[str]:
    """Return the ids of every document of the stay that was filed."""
    entries = (*case.earlier, *case.entries)
    return frozenset(entry.filed.document_reference for entry in entries if entry.filed is not None)


def document_type_of(case: Case) -> DocumentType:
    """Return the type of the documents of a case."""
    return case.review.draft.type if case.review is not None else DocumentType(title="Discharge summary")
