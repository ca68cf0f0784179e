"""Reads one stay's record over FHIR R4: bounded searches per type, everything else is `build_context`'s business."""

import asyncio
from dataclasses import dataclass, field
from datetime import datetime

from services.drafter import reading
from services.drafter.context import EncounterContext
from services.drafter.record import build_context
from shared.clinical.fhir import FhirClient, NotFoundError, Resource
from shared.contracts.failures import PermanentError

# By patient and, where the server can, by encounter: the stay's own entries.
OF_THE_STAY = ("Observation", "Procedure", "DiagnosticReport", "CarePlan")
# By patient alone: they live longer than a stay.
OF_THE_PATIENT = ("Condition", "AllergyIntolerance", "MedicationRequest", "MedicationStatement", "Appointment")
DATE_PARAMETERS = {"Observation": "date", "Procedure": "date", "DiagnosticReport": "date", "CarePlan": "date"}
AT_ONCE = 4  # requests of one extraction; a hospital's server has other clients


@dataclass(slots=True)
class Record:
    """What was read, as the server gave it."""

    encounter: Resource
    patient: Resource
    people: dict[str, Resource]  # practitioners, organizations and medications by reference
    entries: dict[str, list[Resource]] = field(default_factory=dict)
    occurred_at: datetime | None = None
    attending: str | None = None


async def extract(
    ehr: FhirClient, encounter_id: str, *, occurred_at: datetime | None, attending: str | None
) -> EncounterContext:
    """The stay up to its discharge.

    Raises PermanentError when there is no such encounter, it has no patient or it has not ended; TransientError.
    """
    try:
        encounter = await ehr.read("Encounter", encounter_id)
    except NotFoundError:
        raise PermanentError("the EHR has no such encounter") from None
    patient = reading.reference(encounter.get("subject"))
    if patient is None or not patient.startswith("Patient/"):
        raise PermanentError("the encounter names no patient")
    limit = asyncio.Semaphore(AT_ONCE)
    capabilities = await ehr.capabilities()
    types = [type for type in (*OF_THE_STAY, *OF_THE_PATIENT) if capabilities.knows(type)]
    person, found = await asyncio.gather(
        _read(ehr, limit, patient),
        asyncio.gather(*(_search(ehr, limit, type, patient.removeprefix("Patient/"), encounter) for type in types)),
    )
    record = Record(encounter, person, {}, dict(zip(types, found, strict=True)), occurred_at, attending)
    await _resolve(ehr, limit, record)
    return build_context(record)


async def _read(ehr: FhirClient, limit: asyncio.Semaphore, reference: str) -> Resource:
    type, _, id = reference.partition("/")
    async with limit:
        return await ehr.read(type, id)


async def _search(
    ehr: FhirClient, limit: asyncio.Semaphore, type: str, patient: str, encounter: Resource
) -> list[Resource]:
    params = {"patient": patient}
    capabilities = await ehr.capabilities()
    if type in OF_THE_STAY:
        start = reading.words(reading.child(encounter, "period"), "start")
        if capabilities.has(type, "encounter"):
            params["encounter"] = encounter["id"]
        elif start and capabilities.has(type, DATE_PARAMETERS[type]):
            params[DATE_PARAMETERS[type]] = f"ge{start}"
    async with limit:
        return [item for item in await ehr.search(type, params) if item.get("resourceType") == type]


async def _resolve(ehr: FhirClient, limit: asyncio.Semaphore, record: Record) -> None:
    """Read the few resources that are only named by reference; what dangles is noticed later, by its absence."""
    wanted = {
        reading.reference(participant.get("individual"))
        for participant in reading.items(record.encounter.get("participant"))
    }
    wanted |= {record.attending, reading.reference(record.encounter.get("serviceProvider"))}
    for type in ("MedicationRequest", "MedicationStatement"):
        wanted |= {reading.reference(item.get("medicationReference")) for item in record.entries.get(type, [])}
    references = sorted(item for item in wanted if item and "/" in item and not item.startswith(("#", "http")))

    async def one(reference: str) -> None:
        try:
            record.people[reference] = await _read(ehr, limit, reference)
        except PermanentError:
            return  # dangling or refused

    await asyncio.gather(*(one(reference) for reference in references))
