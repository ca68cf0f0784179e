"""Find cases of which the EHR has documents that are missing from the event stream, one page at a time."""

from collections.abc import AsyncIterator, Iterable

from services.approval.corrections.rules import status_of
from services.approval.ehr_tasks.task_decision import CASE_ID
from services.approval.filing.resources import DOCUMENT_SYSTEM
from services.approval.verification.orphans import cases_of, pages_of
from services.approval.verification.seen_index import SeenIndex
from shared.clinical.elements import Resource
from shared.clinical.fhir_client import FhirClient
from shared.contracts.case import fold
from shared.contracts.envelope import RecordedEvent
from shared.contracts.errors import PermanentError
from shared.contracts.subjects import case_filter, parse_case_subject
from shared.messaging.event_store import EventStore


async def candidates(ehr: FhirClient, event_store: EventStore) -> AsyncIterator[str]:
    """Yield ids of cases, each once.

    Raises TransientError, and PermanentError if the EHR cannot search by the identifier's system: see `waiting`.
    """
    shown = False
    with SeenIndex() as seen:
        async for page in pages_of(ehr, f"{DOCUMENT_SYSTEM}|"):
            by_case: dict[str, list[Resource]] = {}
            for document in page.matches:
                for case in cases_of(document):
                    by_case.setdefault(case, []).append(document)
            shown = shown or bool(by_case)
            for case, documents in by_case.items():
                if CASE_ID.fullmatch(case) and _differs(await event_store.find(case), documents) and seen.fresh([case]):
                    yield case
    if not shown and await _any_filed(event_store):
        raise PermanentError("it finds none of the filed documents")


def _differs(history: list[RecordedEvent], documents: Iterable[Resource]) -> bool:
    """Return whether the case's events lack one of `documents`, or have another status of it."""
    case = fold(history)
    wanted = {
        entry.filed.document_reference: status_of(case, entry)
        for entry in (*case.earlier, *case.entries)
        if entry.filed is not None
    }
    return any(wanted.get(str(item["id"])) != item.get("status") for item in documents)


async def _any_filed(event_store: EventStore) -> bool:
    async for _ in event_store.pages(case_filter("filed")):
        return True
    return False


async def all_cases(event_store: EventStore) -> AsyncIterator[str]:
    """Yield every case of the event stream once, for an EHR that cannot search by identifier."""
    with SeenIndex() as seen:
        async for page in event_store.pages("discharge.>"):
            for case in seen.fresh(parse_case_subject(item.subject)[0].id for item in page):
                yield case
