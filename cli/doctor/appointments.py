"""Check Appointments that plan a discharge: that the EHR can be searched for them, and that their stay can be found."""

from collections.abc import Sequence
from datetime import datetime

from services.ingest.appointments import rules
from services.ingest.settings import AppointmentSettings
from shared.clinical.elements import Resource
from shared.clinical.fhir_client import Capabilities, FhirClient
from shared.contracts.errors import CountersignError
from shared.runtime.checks.findings import Group

NAME = "planned discharges"
TYPES = "COUNTERSIGN_APPOINTMENT_TYPES"
RUNBOOK = "docs/how-to/prepare-drafts.md"


async def check_appointments(
    group: Group, ehr: FhirClient, server: Capabilities, settings: AppointmentSettings, now: datetime
) -> None:
    """Search as the poll does; nothing is prepared. Without types nothing is checked."""
    if not settings.types:
        return
    parameters = rules.search_parameters(server)
    if not parameters:
        message = "the EHR does not state that it finds Appointments by date and type: only notified ones are known"
        group.warning(NAME, message, f"let the EHR notify of Appointments: {RUNBOOK}")
        return
    found: dict[str, Resource] = {}
    try:
        for parameter in parameters:
            async for page in ehr.each_page(
                "Appointment", rules.query(parameter, settings.types, now, settings.within)
            ):
                found |= {str(item.get("id")): item for item in page.matches}
    except CountersignError as failure:
        fix = "let the EHR's team grant system/Appointment.rs to the client of ingest"
        group.fault(NAME, f"the EHR cannot be searched for Appointments: {failure.reason}", fix)
        return
    assess_appointments(group, list(found.values()), server, ehr.bases, settings, now)


def assess_appointments(
    group: Group,
    found: Sequence[Resource],
    server: Capabilities,
    bases: frozenset[str],
    settings: AppointmentSettings,
    now: datetime,
) -> None:
    """Report how many of the Appointments plan a discharge, and whether their Encounters can be found. Pure."""
    plans = [(item, rules.plan_of(item, settings.types, now, settings.within)) for item in found]
    planned = [item for item, plan in plans if plan is not None and plan.status == "planned"]
    unnamed = sum(not rules.encounters_of(item, bases) for item in planned)
    if not planned:
        message = f"of {len(found)} Appointments that were found none plans a discharge within {settings.within}"
        group.warning(NAME, message, f"check the codes in {TYPES}, unless no discharge is planned")
    elif unnamed and not server.supports_parameter("Encounter", "appointment"):
        message = f"{unnamed} of {len(planned)} Appointments name no Encounter, and the EHR finds none by Appointment"
        fix = "let the EHR name the Encounter in supportingInformation, or report pending discharges by ADT or REST"
        group.warning(NAME, message, fix)
    else:
        group.ok(NAME, f"{len(planned)} discharges are planned within {settings.within}")
