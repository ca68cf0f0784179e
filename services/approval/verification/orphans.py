"""Find documents in the EHR with our identifiers that no event filed."""

from collections.abc import AsyncIterator, Awaitable, Callable, Iterable

from services.approval.case_verification.fault import Fault
from services.approval.filing.resources import DOCUMENT_SYSTEM
from services.approval.verification.seen_index import SeenIndex
from shared.clinical.elements import Resource, children
from shared.clinical.fhir_client import FhirClient, SearchResult
from shared.contracts.errors import PermanentError

RefreshCase = Callable[[str, SeenIndex], Awaitable[None]]
NO_CASE = "document {id} in the EHR has its identifier, but the event stream has no such case"
NOT_FILED = "document {id} in the EHR has its identifier, but no event filed it"


async def orphan_documents(
    ehr: FhirClient, identifiers: Iterable[tuple[str, str]] | None, seen: SeenIndex, look_again: RefreshCase
) -> AsyncIterator[Fault]:
    """Yield faults of documents with these identifiers; None: with any of ours. `look_again` updates a case in `seen`.

    Raises PermanentError where the EHR does not search by identifier, TransientError.
    """
    values = ["|".join(pair) for pair in identifiers] if identifiers is not None else [f"{DOCUMENT_SYSTEM}|"]
    shown = False
    for value in values:
        async for page in pages_of(ehr, value):
            for document in page.matches:
                shown = shown or any(cases_of(document))
                for case in _orphan_cases(document, seen):
                    await look_again(case, seen)
                for case in _orphan_cases(document, seen):
                    words = NO_CASE if seen.case(case) is None else NOT_FILED
                    yield Fault(case, "", 0, words.format(id=document["id"]))
    if not shown and seen.has_documents:
        raise PermanentError("it finds none of the filed documents")


async def pages_of(ehr: FhirClient, identifier: str) -> AsyncIterator[SearchResult]:
    """Yield documents with this identifier, without their contents if the EHR supports `_elements`."""
    query = {"identifier": identifier}
    try:
        async for page in ehr.each_page("DocumentReference", query | {"_elements": "identifier,status"}):
            yield page
    except PermanentError:
        async for page in ehr.each_page("DocumentReference", query):
            yield page


def _orphan_cases(document: Resource, seen: SeenIndex) -> list[str]:
    """Return the cases that a document names and that did not file it."""
    if document.get("status") == "entered-in-error" or seen.has_document(str(document["id"])):
        return []
    return [case for case in dict.fromkeys(cases_of(document)) if not seen.case(case)]


def cases_of(document: Resource) -> Iterable[str]:
    """Yield the cases that the identifiers of a document name."""
    for item in children(document, "identifier"):
        if item.get("system") == DOCUMENT_SYSTEM:
            yield str(item.get("value", "")).partition("/")[0]
