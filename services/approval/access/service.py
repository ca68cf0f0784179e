"""Read the access log for an auditor: search it, resolve patients and stays to cases, record exports."""

import json
import re
from collections.abc import AsyncIterator
from typing import NamedTuple

from services.approval.access.filter import AccessFilter, StoredEntry
from services.approval.access.search import AccessPage, AccessSearch
from shared.contracts.subjects import CASE_ID, CaseRef, case_filter, case_id, parse_case_subject
from shared.messaging.access_log import AccessLog
from shared.messaging.connection import NatsConnection
from shared.messaging.event_store import STREAM, EventStore, raw_message_of
from shared.runtime.authentication import Caller

EVENTS_WITH_PATIENT = ("context-extracted", "prepared")


class CaseOfPatient(NamedTuple):
    case_id: str
    department: str


class AccessLogReader:
    def __init__(self, bus: NatsConnection, log: AccessLog, organization: str) -> None:
        self._bus = bus
        self._log = log
        self._organization = organization
        self._search = AccessSearch(bus)
        self._event_store = EventStore(bus, "approval")

    async def page(self, who: Caller, wanted: AccessFilter, before: int | None, limit: int) -> AccessPage:
        """Return a page of entries, latest first. Raises TransientError."""
        found = await self._search.page(wanted, before, limit)
        return AccessPage(await Visible(self._bus, who).of(found.items), found.before, found.searched_to)

    async def export(self, who: Caller, wanted: AccessFilter, format: str) -> AsyncIterator[list[StoredEntry]]:
        """Return every entry, latest first, in windows. The export is in the access log when this returns."""
        await self._log.record(
            "exported",
            detail=f"access log as {format}",
            case_id=wanted.case,
            by=who.actor,
            role="auditor",
        )
        return self._all(who, wanted)

    async def _all(self, who: Caller, wanted: AccessFilter) -> AsyncIterator[list[StoredEntry]]:
        visible = Visible(self._bus, who)
        async for entries in self._search.all(wanted):
            if shown := await visible.of(entries):
                yield shown

    async def cases_of(self, who: Caller, patient: str | None, encounter: str | None) -> list[CaseOfPatient]:
        """Return the cases of a patient, or of a stay; of both where both are given. Raises TransientError.

        The ids are those of the EHR, with or without the type before them. A patient's cases are read from the events
        that name the patient: all of them are read.
        """
        found: dict[str, CaseOfPatient] | None = None
        if encounter:
            id = case_id(self._organization, encounter.removeprefix("Encounter/"))
            found = {id: CaseOfPatient(id, place)} if (place := await department_of(self._bus, id)) else {}
        if patient:
            theirs = await self._of_patient(f"Patient/{patient.removeprefix('Patient/')}")
            found = theirs if found is None else {id: item for id, item in found.items() if id in theirs}
        return [item for item in (found or {}).values() if who.can_access_department(item.department)]

    async def _of_patient(self, reference: str) -> dict[str, CaseOfPatient]:
        found: dict[str, CaseOfPatient] = {}
        needle = json.dumps(reference, ensure_ascii=False).encode()
        for name in EVENTS_WITH_PATIENT:
            async for page in self._event_store.pages(case_filter(name)):
                for item in page:
                    if needle in item.data and json.loads(item.data).get("stay", {}).get("patient") == reference:
                        ref = parse_case_subject(item.subject)[0]
                        found[ref.id] = CaseOfPatient(ref.id, ref.department)
        return found


class Visible:
    """Which entries a caller may know of. Callers of single departments see entries about cases of those alone."""

    def __init__(self, bus: NatsConnection, who: Caller) -> None:
        self._bus = bus
        self._who = who
        self._cases: dict[str, bool] = {}

    async def of(self, entries: list[StoredEntry]) -> list[StoredEntry]:
        if self._who.departments is None:
            return entries
        return [item for item in entries if item.case_id is not None and await self._may_know(item.case_id)]

    async def _may_know(self, case: str) -> bool:
        if case not in self._cases:
            department = await department_of(self._bus, case)
            self._cases[case] = department is not None and self._who.can_access_department(department)
        return self._cases[case]


async def department_of(bus: NatsConnection, case: str) -> str | None:
    """Return the department in which a case was opened; None where there is no such case. Raises TransientError."""
    query = {"seq": 1, "next_by_subj": CaseRef("*", case).filter, "batch": 1}
    found = await bus.direct_get(STREAM, query) if re.fullmatch(CASE_ID, case) else []
    return next((parse_case_subject(raw_message_of(message).subject)[0].department for message in found), None)
