"""Read one case from the chart: its documents by identifier, and our Provenances of them."""

from collections.abc import AsyncIterator, Iterable
from dataclasses import dataclass

from services.approval.filing.correction_resources import IN_ERROR
from services.approval.filing.provenances import provenances_of
from services.approval.filing.resources import DOCUMENT_SYSTEM, TEXT_SYSTEM, chain_head_of, entity_of, with_identifier
from shared.clinical.elements import Resource, children, code
from shared.clinical.fhir_client import FhirClient, oldest

MAX_MISSING_NUMBERS = 2  # in a row, after which the search ends: a document may have been deleted
RETRACTS = "NULLIFY"  # https://terminology.hl7.org/CodeSystem-v3-DataOperation.html


@dataclass(frozen=True, slots=True)
class FiledDocument:
    """The documents with one identifier of a case. `number` counts documents or addenda, from 1."""

    number: int
    whole: bool
    documents: tuple[Resource, ...]
    provenances: tuple[Resource, ...]  # ours, about any of them

    @property
    def name(self) -> str:
        return f"{'document' if self.whole else 'addendum'} {self.number}"

    @property
    def valid_documents(self) -> list[Resource]:
        """Documents that are not entered in error; if there are none, signed ones that were retracted."""
        current = [item for item in self.documents if item.get("status") != IN_ERROR]
        return current or [item for item in self.documents if self.of(str(item["id"]))]

    @property
    def retractions(self) -> list[Resource]:
        return [item for item in self.provenances if operation(item) == RETRACTS]

    def of(self, document: str) -> list[Resource]:
        """Return the Provenances of the signature of `document`."""
        about = [item for item in self.provenances if document in targets(item)]
        return [item for item in about if text_of(item) is not None]


async def read_filed_documents(ehr: FhirClient, case: str) -> list[FiledDocument]:
    """Return the documents of the case in the chart, by identifier. Raises TransientError, PermanentError."""
    return [item for whole in (True, False) async for item in _numbered_documents(ehr, case, whole)]


async def _numbered_documents(ehr: FhirClient, case: str, whole: bool) -> AsyncIterator[FiledDocument]:
    number = missing = 0
    while missing < MAX_MISSING_NUMBERS:
        number += 1
        documents = await _documents(ehr, (DOCUMENT_SYSTEM, _value(case, number, whole)))
        missing = 0 if documents else missing + 1
        if not documents:
            continue
        found = [item for document in documents for item in await _ours(ehr, str(document["id"]))]
        by_id = {str(item["id"]): item for item in found}
        yield FiledDocument(number, whole, tuple(documents), tuple(by_id.values()))


def _value(case: str, number: int, whole: bool) -> str:
    if whole:
        return f"{case}/final" + (f"/{number}" if number > 1 else "")
    return f"{case}/addendum/{number}"


async def _documents(ehr: FhirClient, identifier: tuple[str, str]) -> list[Resource]:
    found = await ehr.search("DocumentReference", {"identifier": "|".join(identifier)}, fresh=True)
    return with_identifier(found, identifier)


async def _ours(ehr: FhirClient, document: str) -> list[Resource]:
    found = await provenances_of(ehr, f"DocumentReference/{document}")
    return [item for item in found if chain_head_of(item) is not None]


def each_once(provenances: Iterable[Resource]) -> list[Resource]:
    """Return one Provenance for each head of the chain: racing creates may have made several."""
    heads: dict[str | None, list[Resource]] = {}
    for item in provenances:
        heads.setdefault(chain_head_of(item), []).append(item)
    return [oldest(items) for items in heads.values()]


def targets(provenance: Resource) -> list[str]:
    """Return the ids of the documents that a Provenance is about, in its order."""
    found = [item.get("reference") for item in children(provenance, "target")]
    return [str(item).partition("/_history")[0].rpartition("/")[2] for item in found if item]


def operation(provenance: Resource) -> str:
    """Return CREATE, UPDATE, APPEND or NULLIFY; empty if it has no activity."""
    return code(provenance.get("activity")) or ""


def text_of(provenance: Resource) -> str | None:
    """Return the SHA-256 of the signed text, from the Provenance."""
    return entity_of(provenance, TEXT_SYSTEM)
