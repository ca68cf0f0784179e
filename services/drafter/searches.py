"""Which searches read the record of a stay, as far as a server can answer them. Pure.

Parameters: docs/reference/fhir.md.
"""

import re
from collections.abc import Iterable, Mapping
from datetime import UTC, timedelta

from shared.clinical import elements, moments
from shared.clinical.elements import Resource
from shared.clinical.fhir import Capabilities

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
BEFORE = timedelta(days=1)  # of the admission: emergency care
MOST_NUMBERS = 10  # identifiers of the patient, merged records' too, that entries are looked for by
NOBODY = "urn:uuid:00000000-0000-4000-8000-000000000000|nobody"  # an identifier that no patient has


def can_ask(capabilities: Capabilities, type: str) -> bool:
    """Whether the server can be asked for a patient's entries of this type."""
    if not capabilities.search:
        return type not in ONLY_DECLARED
    return any(capabilities.has(type, name) for name in ("patient", "subject", "actor"))


def of(type: str, encounter: Resource, patient: str, capabilities: Capabilities) -> list[Query]:
    """The parameters to ask for one type with; `patient` is spelled `Patient/id` or `id`.

    The stay's own types are asked for both by encounter and by time: some servers know only one of them, and a
    reference to the encounter may be spelled in a way that the server does not resolve.
    """
    base = {_by(type, capabilities): patient} | ({"_include": INCLUDED[type]} if type in INCLUDED else {})
    return _of_stay(type, encounter, base, capabilities, typed="/" in patient)


def by_number(type: str, encounter: Resource, patients: Iterable[Resource], capabilities: Capabilities) -> list[Query]:
    """As `of`, for entries that name the patient by an identifier only, which a search by reference does not find.

    R4's modifier `:identifier` on the parameter of the patient; all identifiers in one search. Empty where the patient
    has none with a system. https://hl7.org/fhir/R4/search.html#reference
    """
    numbers = _numbers(patients)
    if not numbers:
        return []
    base = {f"{_by(type, capabilities)}:identifier": numbers}
    base |= {"_include": INCLUDED[type]} if type in INCLUDED else {}
    return _of_stay(type, encounter, base, capabilities, typed=True)


def by_encounter(type: str, encounter: Resource, capabilities: Capabilities) -> list[Query]:
    """By the stay alone, for servers without `:identifier`; only where the server says that it knows the parameter."""
    parameter = _encounter_parameter(type, capabilities)
    return [{parameter: f"Encounter/{encounter['id']}"}] if parameter is not None else []


def probe(encounter: Resource, capabilities: Capabilities) -> Query:
    """Finds nothing where the server knows `:identifier`, and the encounter where it ignores what it does not know."""
    return {"_id": str(encounter["id"]), f"{_by('Encounter', capabilities)}:identifier": NOBODY}


def _numbers(patients: Iterable[Resource]) -> str:
    """`system|value,system|value`, escaped: https://hl7.org/fhir/R4/search.html#escaping"""
    pairs = dict.fromkeys(
        (system, value)
        for patient in patients
        for item in elements.children(patient, "identifier")
        if (system := elements.words(item, "system")) and (value := elements.words(item, "value"))
    )
    escaped = (tuple(re.sub(r"([\\,$|])", r"\\\1", part) for part in pair) for pair in pairs)
    return ",".join("|".join(pair) for pair in list(escaped)[:MOST_NUMBERS])


def _encounter_parameter(type: str, capabilities: Capabilities) -> str | None:
    given = type == "MedicationAdministration" and capabilities.has(type, "context")
    parameter = "context" if given else "encounter"
    return parameter if capabilities.has(type, parameter) else None


def _of_stay(type: str, encounter: Resource, base: Query, capabilities: Capabilities, *, typed: bool) -> list[Query]:
    """`base` as it is for types of the patient; for those of the stay by encounter and by time."""
    if type not in OF_THE_STAY:
        return [base]
    queries = []
    if (parameter := _encounter_parameter(type, capabilities)) is not None:
        named = f"Encounter/{encounter['id']}" if typed else str(encounter["id"])
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
