"""Choose the searches that read the record of a stay, as far as a server supports them.

Pure. Parameters: docs/reference/fhir.md.
"""

import re
from collections.abc import Iterable, Mapping
from datetime import UTC, timedelta

from shared.clinical import elements, fhir_datetime
from shared.clinical.elements import Resource
from shared.clinical.fhir_client import Capabilities

Query = dict[str, str]

# Read for the stay: by encounter, and by patient from the day before the admission on.
OF_THE_STAY: Mapping[str, str] = {
    "Observation": "date",
    "Procedure": "date",
    "DiagnosticReport": "date",
    "ImagingStudy": "started",
    "MedicationAdministration": "effective-time",
    "Composition": "date",
    "DocumentReference": "date",
    "QuestionnaireResponse": "authored",
}
# Read for the patient: they live longer than a stay.
OF_THE_PATIENT = (
    "Condition",
    "AllergyIntolerance",
    "MedicationRequest",
    "MedicationStatement",
    "MedicationDispense",
    "AdverseEvent",
    "Appointment",
    "CarePlan",
    "CareTeam",
    "ClinicalImpression",
    "Consent",
    "DetectedIssue",
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
# Few servers have them: they are asked for only where the server says that it does.
ONLY_DECLARED = frozenset({"AdverseEvent", "DetectedIssue", "QuestionnaireResponse"})
INCLUDED = {
    "MedicationRequest": "MedicationRequest:medication",
    "MedicationStatement": "MedicationStatement:medication",
}
TYPES = (*OF_THE_STAY, *OF_THE_PATIENT)
SEARCH_MARGIN = timedelta(days=1)  # before admission, for emergency care
MAX_IDENTIFIERS = 10  # identifiers to search by, of the patient and merged records
UNKNOWN_IDENTIFIER = "urn:uuid:00000000-0000-4000-8000-000000000000|nobody"  # no patient has it


def can_ask(capabilities: Capabilities, type: str) -> bool:
    """Return whether the server can be searched for a patient's entries of this type."""
    if not capabilities.search:
        return type not in ONLY_DECLARED
    return any(capabilities.supports_parameter(type, name) for name in ("patient", "subject", "actor"))


def search_parameters(type: str, encounter: Resource, patient: str, capabilities: Capabilities) -> list[Query]:
    """Return the parameters to search for one type; `patient` is spelled `Patient/id` or `id`.

    Types of the stay are searched both by encounter and by time: some servers support only one of them, and a reference
    to the encounter may be spelled in a way that the server does not resolve.
    """
    base = {_patient_parameter(type, capabilities): patient} | (
        {"_include": INCLUDED[type]} if type in INCLUDED else {}
    )
    return _stay_queries(type, encounter, base, capabilities, typed="/" in patient)


def identifier_search(
    type: str, encounter: Resource, patients: Iterable[Resource], capabilities: Capabilities
) -> list[Query]:
    """Return searches for entries that name the patient by an identifier only.

    A search by reference does not find these. R4's modifier `:identifier` on the parameter of the patient; all
    identifiers in one search. Empty where the patient has none with a system.
    https://hl7.org/fhir/R4/search.html#reference
    """
    numbers = _identifier_values(patients)
    if not numbers:
        return []
    base = {f"{_patient_parameter(type, capabilities)}:identifier": numbers}
    base |= {"_include": INCLUDED[type]} if type in INCLUDED else {}
    return _stay_queries(type, encounter, base, capabilities, typed=True)


def encounter_search(type: str, encounter: Resource, capabilities: Capabilities) -> list[Query]:
    """Return a search by encounter alone, for servers without `:identifier`; only for parameters that it states."""
    parameter = _encounter_parameter(type, capabilities)
    return [{parameter: f"Encounter/{encounter['id']}"}] if parameter is not None else []


def identifier_modifier_probe(encounter: Resource, capabilities: Capabilities) -> Query:
    """Return a search with no match where the server supports `:identifier`, and the encounter where it ignores it."""
    return {
        "_id": str(encounter["id"]),
        f"{_patient_parameter('Encounter', capabilities)}:identifier": UNKNOWN_IDENTIFIER,
    }


def _identifier_values(patients: Iterable[Resource]) -> str:
    """Return the identifiers as an escaped list of system and value: https://hl7.org/fhir/R4/search.html#escaping"""
    pairs = dict.fromkeys(
        (system, value)
        for patient in patients
        for item in elements.children(patient, "identifier")
        if (system := elements.string(item, "system")) and (value := elements.string(item, "value"))
    )
    escaped = (tuple(re.sub(r"([\\,$|])", r"\\\1", part) for part in pair) for pair in pairs)
    return ",".join("|".join(pair) for pair in list(escaped)[:MAX_IDENTIFIERS])


def _encounter_parameter(type: str, capabilities: Capabilities) -> str | None:
    given = type == "MedicationAdministration" and capabilities.supports_parameter(type, "context")
    parameter = "context" if given else "encounter"
    return parameter if capabilities.supports_parameter(type, parameter) else None


def _stay_queries(
    type: str, encounter: Resource, base: Query, capabilities: Capabilities, *, typed: bool
) -> list[Query]:
    """Return `base` unchanged for types of the patient; for those of the stay by encounter and by time."""
    if type not in OF_THE_STAY:
        return [base]
    queries = []
    if (parameter := _encounter_parameter(type, capabilities)) is not None:
        named = f"Encounter/{encounter['id']}" if typed else str(encounter["id"])
        queries.append(base | {parameter: named})
    start = fhir_datetime.parse(elements.child(encounter, "period").get("start"))
    if start is not None and capabilities.supports_parameter(type, OF_THE_STAY[type]):
        day = (start.begins.astimezone(UTC) - SEARCH_MARGIN).date()
        queries.append(base | {OF_THE_STAY[type]: f"ge{day.isoformat()}"})
    return queries if len(queries) == 2 else [*queries, base]


def _patient_parameter(type: str, capabilities: Capabilities) -> str:
    """Return the parameter that names the patient."""
    if not capabilities.search:
        return "patient"
    if type == "Appointment" and not capabilities.supports_parameter(type, "patient"):
        return "actor"
    return (
        "subject"
        if not capabilities.supports_parameter(type, "patient") and capabilities.supports_parameter(type, "subject")
        else "patient"
    )
