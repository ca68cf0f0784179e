"""Scopes that Countersign needs, and which of them a server has granted. Pure.

https://hl7.org/fhir/smart-app-launch/scopes-and-launch-context.html
"""

import re
from collections.abc import Collection, Iterable

# What the drafter reads (docs/reference/fhir.md).
READ_TYPES = (
    "AdverseEvent",
    "AllergyIntolerance",
    "Appointment",
    "CarePlan",
    "CareTeam",
    "ClinicalImpression",
    "Composition",
    "Condition",
    "Consent",
    "DetectedIssue",
    "DeviceRequest",
    "DeviceUseStatement",
    "DiagnosticReport",
    "Encounter",
    "FamilyMemberHistory",
    "Flag",
    "Goal",
    "ImagingStudy",
    "Immunization",
    "List",
    "Location",
    "Medication",
    "MedicationAdministration",
    "MedicationDispense",
    "MedicationRequest",
    "MedicationStatement",
    "NutritionOrder",
    "Observation",
    "Organization",
    "Patient",
    "Practitioner",
    "PractitionerRole",
    "Procedure",
    "QuestionnaireResponse",
    "ServiceRequest",
    "Specimen",
    "Substance",
)
# type → c(reate), r(ead), u(pdate), d(elete), s(earch), in the order that SMART prescribes
NEEDED = dict.fromkeys(READ_TYPES, "rs") | {
    "Binary": "r",
    "Device": "crs",
    "DocumentReference": "crus",
    "Provenance": "crds",
    "Task": "crus",
}
REQUIRED = ("Encounter", "Patient")  # without them nothing can be drafted
V1 = {"read": "rs", "write": "cud", "*": "cruds"}
_SCOPE = re.compile(r"system/(?P<type>\*|[A-Za-z]+)\.(?P<may>[a-z*]+)")


def needed_scopes(*, v1: bool = False) -> str:
    """Return the scopes to ask for, separated by spaces."""
    if not v1:
        return " ".join(f"system/{type}.{may}" for type, may in sorted(NEEDED.items()))
    return " ".join(f"system/{type}.{word}" for type, may in sorted(NEEDED.items()) for word in _v1_words(may))


def _v1_words(may: str) -> tuple[str, ...]:
    return ("read", "write") if set(may) & set(V1["write"]) else ("read",)


def missing_scopes(granted: Iterable[str]) -> tuple[str, ...]:
    """Return what is needed and not granted, in the notation of SMART 2.

    A scope that is restricted to a search (`system/Observation.rs?category=…`) does not count: it hides a part of the
    record without a trace.
    """
    allowed = permissions(granted)
    found = []
    for type, may in sorted(NEEDED.items()):
        left = "".join(one for one in may if one not in allowed.get(type, set()) | allowed.get("*", set()))
        if left:
            found.append(f"system/{type}.{left}")
    return tuple(found)


def permissions(granted: Iterable[str]) -> dict[str, set[str]]:
    """Return type → permissions (of `cruds`) of system scopes, in either notation. Others are ignored."""
    found: dict[str, set[str]] = {}
    for scope in granted:
        if match := _SCOPE.fullmatch(scope):
            may = V1.get(match["may"], match["may"])
            if set(may) <= set("cruds"):
                found.setdefault(match["type"], set()).update(may)
    return found


def lacks_required(missing: Collection[str]) -> bool:
    """Return whether a type without which nothing works is among the missing ones."""
    return any(scope.partition(".")[0] == f"system/{type}" for scope in missing for type in REQUIRED)
