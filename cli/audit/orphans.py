"""Documents that stand in the chart under our identifiers, and that the trail did not file."""

from collections.abc import AsyncIterator, Awaitable, Callable, Iterable

from cli.audit.case_index import CaseIndex
from services.approval.filing.resources import DOCUMENT_SYSTEM, Resource
from services.approval.proof.fault import Fault
from shared.clinical.fhir_client import FhirClient, SearchResult
from shared.contracts.errors import PermanentError

RefreshCase = Callable[[str, CaseIndex], Awaitable[None]]
NO_CASE = "document {id} in the EHR carries its identifier, and the trail has no such case"
NOT_FILED = "document {id} in the EHR carries its identifier, and the trail did not file it"


async def orphan_documents(
    ehr: FhirClient, identifiers: Iterable[tuple[str, str]] | None, seen: CaseIndex, look_again: RefreshCase
) -> AsyncIterator[Fault]:
    """Of documents with these identifiers; None: with any of ours. `look_again` tells `seen` how a case is by now.

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
        raise PermanentError("it finds none of those that were filed")


async def pages_of(ehr: FhirClient, identifier: str) -> AsyncIterator[SearchResult]:
    """Documents with this identifier, without the contents the EHR leaves out what is not asked for."""
    query = {"identifier": identifier}
    try:
        async for page in ehr.each_page("DocumentReference", query | {"_elements": "identifier,status"}):
            yield page
    except PermanentError:
        async for page in ehr.each_page("DocumentReference", query):
            yield page


def _orphan_cases(document: Resource, seen: CaseIndex) -> list[str]:
    """The cases that a document says it is of, and whose it is not: it does not stand on the trail."""
    if document.get("status") == "entered-in-error" or seen.has_document(str(document["id"])):
        return []
    return [case for case in dict.fromkeys(cases_of(document)) if not seen.case(case)]


def cases_of(document: Resource) -> Iterable[str]:
    """The cases that its identifiers of ours name."""
    for item in document.get("identifier") or []:
        if isinstance(item, dict) and item.get("system") == DOCUMENT_SYSTEM:
            yield str(item.get("value", "")).partition("/")[0]
