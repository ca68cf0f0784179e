"""Which searches read the record of a stay, as far as a server can answer them. Pure. Parameters: docs/ehr.md."""

from collections.abc import Mapping
from datetime import UTC, timedelta

from shared.clinical import elements, moments
from shared.clinical.elements import Resource
from shared.clinical.fhir import Capabilities

# Read for the stay: by encounter, and by patient from the day before the admission on.
OF_THE_STAY: Mapping[str, str] = {
    "Observation": "date",
    "Procedure": "date",
    "DiagnosticReport": "date",
    "ImagingStudy": "started",
    "MedicationAdministration": "effective-time",
    "Composition": "date",
    "DocumentReference": "date",
}
# Read for the patient: they live longer than a stay.
OF_THE_PATIENT = (
    "Condition",
    "AllergyIntolerance",
    "MedicationRequest",
    "MedicationStatement",
    "MedicationDispense",
    "Appointment",
    "CarePlan",
    "CareTeam",
    "ClinicalImpression",
    "Consent",
    "Device",
    "DeviceRequest",
    "DeviceUseStatement",
    "Encounter",
    "FamilyMemberHistory",
    "Flag",
    "Goal",
    "Immunization",
    "List",
    "NutritionOrder",
    "ServiceRequest",
)
# Without these no document is whole; of the others a server that does not know the type loses nothing.
ESSENTIAL = ("Condition", "AllergyIntolerance", "MedicationRequest", "Observation", "Procedure", "DiagnosticReport")
INCLUDED = {
    "MedicationRequest": "MedicationRequest:medication",
    "MedicationStatement": "MedicationStatement:medication",
}
TYPES = (*OF_THE_STAY, *OF_THE_PATIENT)
BEFORE = timedelta(days=1)  # of the admission: emergency care


def can_ask(capabilities: Capabilities, type: str) -> bool:
    """Whether the server can be asked for a patient's entries of this type."""
    return not capabilities.search or any(capabilities.has(type, name) for name in ("patient", "subject", "actor"))


def of(type: str, encounter: Resource, patient: str, capabilities: Capabilities) -> list[dict[str, str]]:
    """The parameters to ask for one type with; `patient` is spelled `Patient/id` or `id`.

    The stay's own types are asked for both by encounter and by time: some servers know only one of them, and a
    reference to the encounter may be spelled in a way that the server does not resolve.
    """
    base = {_by(type, capabilities): patient} | ({"_include": INCLUDED[type]} if type in INCLUDED else {})
    if type not in OF_THE_STAY:
        return [base]
    queries = []
    given = type == "MedicationAdministration" and capabilities.has(type, "context")
    parameter = "context" if given else "encounter"
    if capabilities.has(type, parameter):
        named = f"Encounter/{encounter['id']}" if "/" in patient else str(encounter["id"])
        queries.append(base | {parameter: named})
    start = moments.read(elements.child(encounter, "period").get("start"))
    if start is not None and capabilities.has(type, OF_THE_STAY[type]):
        day = (start.begins.astimezone(UTC) - BEFORE).date()
        queries.append(base | {OF_THE_STAY[type]: f"ge{day.isoformat()}"})
    return queries if len(queries) == 2 else [*queries, base]


def _by(type: str, capabilities: Capabilities) -> str:
    """The parameter that names the patient."""
    if not capabilities.search:
        return "patient"
    if type == "Appointment" and not capabilities.has(type, "patient"):
        return "actor"
    return "subject" if not capabilities.has(type, "patient") and capabilities.has(type, "subject") else "patient"
