"""Read one stay's record over FHIR R4 with bounded searches; `build_context` selects from it.

Searches, parameters and scopes: docs/reference/fhir.md.
"""

import asyncio
from collections.abc import Mapping
from contextlib import suppress
from datetime import datetime, tzinfo

from services.drafter import referenced_resources, searches
from services.drafter.kinds import KindRegistry
from services.drafter.notes.attachments import AttachmentReader
from services.drafter.record import build_context, notes_to_fetch
from services.drafter.record.identifiers import read_identifiers
from services.drafter.record.identity import merged_from, merged_into
from services.drafter.record.stay import check_is_stay, is_part_only
from services.drafter.source_record import SourceRecord, UnreadPart
from shared.clinical import elements, references
from shared.clinical.elements import Resource
from shared.clinical.fhir_client import FhirClient, NotFoundError, SearchResult
from shared.contracts.context import EncounterContext
from shared.contracts.errors import PermanentError

MAX_CONCURRENT_SEARCHES = 4  # for one extraction: a hospital's server has other clients
MAX_MERGED_RECORDS = 5  # records of one patient that were merged into each other


async def read_stay(
    ehr: FhirClient,
    encounter_id: str,
    *,
    occurred_at: datetime | None,
    attending: str | None,
    died: bool = False,
    zone: tzinfo | None = None,
    kinds: KindRegistry | None = None,
    department: str | None = None,
    ongoing: bool = False,
    identifiers: bool = False,
) -> EncounterContext:
    """Return the stay up to its discharge, in the hospital's time `zone`, with its kind among `kinds`.

    `died`: the report of the discharge says that the patient died. `ongoing`: the stay may not have ended, and is read
    up to `occurred_at`. `identifiers`: what identifies people is collected, so that text can be pseudonymised.

    Raises PermanentError when the encounter does not exist, is no stay, has no patient or has not ended, or when
    nothing of its record can be read; TransientError.
    """
    reader = _StayReader(ehr, ongoing=ongoing, relatives=identifiers)
    record = await reader.record(encounter_id, occurred_at, attending, zone)
    record.died = died
    record.ongoing = ongoing
    context = await asyncio.to_thread(
        build_context, record, kinds, department
    )  # thousands of entries take long; let other tasks run
    if not identifiers:
        return context
    return context.model_copy(update={"identifiers": await asyncio.to_thread(read_identifiers, record)})


class _StayReader:
    """Read one stay."""

    def __init__(self, ehr: FhirClient, *, ongoing: bool = False, relatives: bool = False) -> None:
        self._ehr = ehr
        self._ongoing = ongoing
        self._relatives = relatives
        self._limit = asyncio.Semaphore(MAX_CONCURRENT_SEARCHES)
        self._unread: dict[tuple[str, str], UnreadPart] = {}
        self._included: dict[str, Resource] = {}

    async def record(
        self, id: str, occurred_at: datetime | None, attending: str | None, zone: tzinfo | None
    ) -> SourceRecord:
        encounter = await self._encounter(id)
        check_is_stay(encounter)
        patient, others = await self._patients(encounter)
        record = SourceRecord(encounter, patient, {}, {}, occurred_at, attending, zone=zone)
        record.entries = await self._entries(record, [patient, *others])
        record.entries["Patient"] = others
        record.entries["RelatedPerson"] = await self._related_people([patient, *others])
        record.bases = self._ehr.bases
        record.people = await self._referenced_resources(record)
        record.unread = tuple(self._unread.values())
        self._check_not_empty(record)
        wanted = await asyncio.to_thread(notes_to_fetch, record)
        record.texts = await AttachmentReader(self._ehr, self._limit).texts(wanted)
        return record

    async def _encounter(self, id: str) -> Resource:
        """Return the encounter of the stay; where `id` names a part of one, the whole stay's."""
        try:
            encounter = await self._ehr.read("Encounter", id)
        except NotFoundError:
            raise PermanentError("the EHR has no such encounter") from None
        await self._learn_bases(encounter)
        named = references.relative(encounter.get("partOf"), self._ehr.bases)
        parent = await self._read_optional(named) if named and named.startswith("Encounter/") else None
        if parent is None or not is_part_only(encounter, parent):
            return encounter
        if elements.string(parent, "status") != "finished" and not self._ongoing:
            raise PermanentError("the encounter is a part of a stay that has not ended")
        return parent

    async def _learn_bases(self, encounter: Resource) -> None:
        """Learn the base URL by which the server names itself, before references are compared with it.

        A server behind a proxy may use another than ours. A read does not show it, the fullUrl of a search does.
        """
        await self._ehr.capabilities()
        subject = encounter.get("subject")
        if references.relative(subject) is None or references.relative(subject, self._ehr.bases) is not None:
            return
        with suppress(PermanentError):  # refused: the patient is then on another server
            await self._ehr.search_with_issues("Encounter", {"_id": str(encounter["id"])})

    async def _patients(self, encounter: Resource) -> tuple[Resource, list[Resource]]:
        """Return the patient's surviving record, and those that were merged into it."""
        subject = encounter.get("subject")
        named = references.relative(subject, self._ehr.bases) or await self._by_identifier(subject)
        if named is None or not named.startswith("Patient/"):
            raise PermanentError("the encounter names no patient")
        found: dict[str, Resource] = {}
        waiting, surviving = [named], named
        while waiting and len(found) < MAX_MERGED_RECORDS:
            reference = waiting.pop(0)
            try:
                patient = await self._read(reference)
            except NotFoundError:
                if not found:
                    raise PermanentError("the EHR has no such patient") from None
                continue
            found[reference] = patient
            newer, older = list(merged_into(patient, self._ehr.bases)), list(merged_from(patient, self._ehr.bases))
            surviving = newer[0] if newer and reference == surviving else surviving
            waiting += [item for item in (*newer, *older) if item not in found and item not in waiting]
        surviving = surviving if surviving in found else named
        return found[surviving], [item for reference, item in found.items() if reference != surviving]

    async def _related_people(self, patients: list[Resource]) -> list[Resource]:
        """Return the patient's relatives, for their names; none where the server refuses them."""
        if not self._relatives or not searches.can_ask(await self._ehr.capabilities(), "RelatedPerson"):
            return []
        found = [await self._search_optional("RelatedPerson", {"patient": str(item["id"])}) for item in patients]
        return [item for items in found for item in items or [] if item.get("resourceType") == "RelatedPerson"]

    async def _by_identifier(self, subject: object) -> str | None:
        """Return the patient of a logical reference, where exactly one has the identifier."""
        for system, value in references.identifiers_of(subject):
            found = await self._search("Patient", {"identifier": f"{system}|{value}" if system else value})
            if len(found.matches) == 1:
                return f"Patient/{found.matches[0]['id']}"
        return None

    async def _entries(self, record: SourceRecord, patients: list[Resource]) -> dict[str, list[Resource]]:
        """Return all entries of the patient and the stay by type; where nothing is found, by other spellings."""
        capabilities = await self._ehr.capabilities()
        types = [type for type in searches.TYPES if searches.can_ask(capabilities, type)]
        for type in searches.ESSENTIAL:
            if type not in types:
                self._record_unread(type, "the server cannot be asked for them")
        ids = [str(patient["id"]) for patient in patients]
        for spelling in ("Patient/{}", "{}"):
            found = await asyncio.gather(
                *(self._of_type(type, record, [spelling.format(id) for id in ids]) for type in types)
            )
            if any(items for type, items in zip(types, found, strict=True) if type != "Encounter"):
                break
        entries = dict(zip(types, found, strict=True))
        for type, item in await self._referenced_by_identifier(record, patients, types):
            if all(item.get("id") != known.get("id") for known in entries[type]):
                entries[type].append(item)
        return entries

    async def _referenced_by_identifier(
        self, record: SourceRecord, patients: list[Resource], types: list[str]
    ) -> list[tuple[str, Resource]]:
        """Return entries whose subject is an identifier only, which searches by reference do not find.

        One request tests whether the server supports the modifier `:identifier`. If so, as many searches follow as by
        reference, most of them empty; if not, one for each type that can be searched by encounter alone, up to the
        first refusal: many servers require a patient.
        """
        capabilities = await self._ehr.capabilities()
        if not searches.identifier_search("Encounter", record.encounter, patients, capabilities):
            return []
        known = await self._supports_identifier_modifier(record.encounter)
        queries = [
            (type, query)
            for type in types
            for query in (
                searches.identifier_search(type, record.encounter, patients, capabilities)
                if known
                else searches.encounter_search(type, record.encounter, capabilities)
            )
        ]
        answers = [await self._search_optional(*item) for item in queries[:1]]
        if answers != [None]:  # a server that refuses one type refuses all
            answers += await asyncio.gather(*(self._search_optional(*item) for item in queries[1:]))
        return [
            (type, item)
            for (type, _), items in zip(queries, answers, strict=False)
            for item in items or []
            if item.get("resourceType") == type
        ]

    async def _supports_identifier_modifier(self, encounter: Resource) -> bool:
        """Return whether the server supports `:identifier`. One that ignores it would return all patients' entries."""
        query = searches.identifier_modifier_probe(encounter, await self._ehr.capabilities())
        return await self._search_optional("Encounter", query) == []

    async def _search_optional(self, type: str, params: Mapping[str, str]) -> list[Resource] | None:
        """Return the matches of a search for additional entries; None where the server refuses it."""
        async with self._limit:
            try:
                result = await self._ehr.search_with_issues(type, params)
            except PermanentError:
                return None
        self._record_issues(type, result)
        return result.matches

    async def _of_type(self, type: str, record: SourceRecord, patients: list[str]) -> list[Resource]:
        """Return the entries of one type, each once."""
        capabilities = await self._ehr.capabilities()
        found: dict[str, Resource] = {}
        for patient in patients:
            for params in searches.search_parameters(type, record.encounter, patient, capabilities):
                for item in (await self._search(type, params)).matches:
                    if item.get("resourceType") == type:
                        found.setdefault(str(item["id"]), item)
        return list(found.values())

    async def _search(self, type: str, params: Mapping[str, str]) -> SearchResult:
        """Search, and record a refusal or incompleteness for the reviewer."""
        async with self._limit:
            try:
                result = await self._ehr.search_with_issues(type, params)
            except PermanentError as error:
                if "_include" in params:
                    return await self._without_include(type, params)
                self._record_unread(type, error.reason.partition(": ")[2] or error.reason)
                return SearchResult([], [])
        self._record_issues(type, result)
        return result

    def _record_issues(self, type: str, result: SearchResult) -> None:
        if result.issues:
            self._record_unread(type, f"the server says: {', '.join(result.issues)}")
        for item in result.included:
            self._included[f"{item['resourceType']}/{item['id']}"] = item

    async def _without_include(self, type: str, params: Mapping[str, str]) -> SearchResult:
        try:
            return await self._ehr.search_with_issues(
                type, {name: value for name, value in params.items() if name != "_include"}
            )
        except PermanentError as error:
            self._record_unread(type, error.reason.partition(": ")[2] or error.reason)
            return SearchResult([], [])

    def _record_unread(self, type: str, reason: str) -> None:
        self._unread.setdefault((type, reason), UnreadPart(type, reason))

    async def _read(self, reference: str) -> Resource:
        type, _, id = reference.partition("/")
        async with self._limit:
            return await self._ehr.read(type, id)

    async def _referenced_resources(self, record: SourceRecord) -> dict[str, Resource]:
        """Return resources that are only referenced. A dangling reference is noticed later."""
        people = dict(self._included)
        wanted = set(referenced_resources.referenced_resources(record))
        for _ in range(2):  # a role references a person, a medication its substance
            missing = sorted(wanted - people.keys())
            found = await asyncio.gather(*(self._read_optional(reference) for reference in missing))
            new = {reference: item for reference, item in zip(missing, found, strict=True) if item is not None}
            people |= new
            wanted = set(referenced_resources._references_of(new.values(), self._ehr.bases))
        return people

    async def _read_optional(self, reference: str) -> Resource | None:
        try:
            return await self._read(reference)
        except PermanentError:
            return None  # dangling or refused

    def _check_not_empty(self, record: SourceRecord) -> None:
        """Reject an empty record, which must not become a document.

        Raises PermanentError, so that an operator sees it and may retry.
        """
        if not any(
            items for type, items in record.entries.items() if type not in ("Encounter", "Patient", "RelatedPerson")
        ):
            raise PermanentError("the EHR returned no entries for this stay: an empty record is not drafted")
