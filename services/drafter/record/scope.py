"""Scope of a document: entries of the stay, its end, and what is excluded for which reason."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, tzinfo
from typing import Any

from shared.clinical import elements, fhir_datetime
from shared.clinical.elements import Resource
from shared.clinical.fhir_datetime import FhirDateTime
from shared.clinical.references import ReferenceTargets
from shared.contracts.context import ContextEntry

IN_ERROR = "entered-in-error"
KIND_NAMES = {
    "AllergyIntolerance": "Allergy",
    "Condition": "Diagnosis",
    "Procedure": "Procedure",
    "Observation": "Result",
    "DiagnosticReport": "Report",
    "MedicationRequest": "Medication order",
    "MedicationStatement": "Medication statement",
    "MedicationAdministration": "Medication given",
    "MedicationDispense": "Medication dispensed",
    "FamilyMemberHistory": "Family history",
    "Immunization": "Immunization",
    "ServiceRequest": "Request",
    "Appointment": "Appointment",
    "CarePlan": "Care plan",
    "NutritionOrder": "Diet order",
    "Goal": "Goal",
    "Device": "Device",
    "DeviceUseStatement": "Device",
    "DeviceRequest": "Device order",
    "Consent": "Directive",
    "Flag": "Alert",
    "List": "List",
    "Composition": "Note",
    "DocumentReference": "Note",
    "AdverseEvent": "Adverse event",
    "DetectedIssue": "Warning",
    "QuestionnaireResponse": "Questionnaires",
}
MAX_NAMED_APART = 3  # excluded entries of one kind and reason that are named; more are counted
OF_ANOTHER_ENCOUNTER = "of another encounter"
AFTER_DISCHARGE = "from after the discharge"


@dataclass(frozen=True, slots=True)
class ExcludedEntry:
    """An entry that the document leaves out. `important` ones need a physician's decision."""

    kind: str
    name: str
    reason: str
    source: str
    important: bool = False

    def __str__(self) -> str:
        return f"{self.kind}: {self.name}, {self.reason}"


@dataclass(slots=True)
class StayScope:
    """One stay: its encounters, its patient's records, its time."""

    encounters: ReferenceTargets
    start: FhirDateTime | None
    end: datetime  # of the stay; the last moment of the day where the record only has the day
    end_of_day: datetime
    zone: tzinfo | None
    fallback: tzinfo
    left_out: list[ExcludedEntry] = field(default_factory=list)
    origins: frozenset[str] = (
        frozenset()
    )  # `Type/id` of what names no encounter, but came from the stay (`stay_attribution.py`)

    def parse_time(self, value: Any) -> FhirDateTime | None:
        return fhir_datetime.parse(value, self.zone, self.fallback)

    def first_time(self, resource: Resource, *fields: str) -> FhirDateTime | None:
        """Return the first of `fields` with a time: of a Period start or end, of a Timing the first event."""
        for name in fields:
            value = resource.get(name)
            if isinstance(value, dict):
                events = value.get("event")
                value = (
                    value.get("start")
                    or value.get("end")
                    or (events[0] if isinstance(events, list) and events else None)
                )
            if (moment := self.parse_time(value)) is not None:
                return moment
        return None

    def belongs(self, resource: Resource) -> bool | None:
        """Return whether an entry is the stay's by encounter or origin; None where neither is stated."""
        context = resource.get("context")
        nested = (
            elements.items(context.get("encounter")) if isinstance(context, dict) and "encounter" in context else []
        )
        named = nested or [item for name in ("encounter", "context") for item in elements.items(resource.get(name))]
        named = [item for item in named if "reference" in item or "identifier" in item]
        if not named:
            return True if source(resource) in self.origins else None
        return any(item in self.encounters for item in named)

    def is_within_stay(self, time: FhirDateTime | None) -> bool:
        """Return whether a time is in the stay, or the day before, as emergency care precedes admission."""
        if time is None or time.begins > self.end_of_day:
            return False
        return self.start is None or (self.start.begins - time.ends).total_seconds() <= 86_400

    def is_after(self, resource: Resource, time: FhirDateTime | None) -> bool:
        """Return whether an entry is from after the discharge; what names the stay counts until the end of that day."""
        if time is None:
            return False
        return time.begins > (self.end_of_day if self.belongs(resource) else self.end)

    def is_issued_after(self, resource: Resource) -> bool:
        """Return whether a report or result was issued after the discharge, or after its day if it is the stay's."""
        return self.is_after(resource, self.parse_time(resource.get("issued")))

    def is_of_stay(self, resource: Resource, time: FhirDateTime | None) -> bool:
        """Return whether an entry names the stay, or names no encounter and is in its time."""
        own = self.belongs(resource)
        return own if own is not None else self.is_within_stay(time)

    def leave_out(self, resource: Resource, name: str | None, reason: str, *, important: bool = False) -> None:
        kind = KIND_NAMES.get(str(resource.get("resourceType")), "Entry")
        self.left_out.append(ExcludedEntry(kind, name or "without a name", reason, source(resource), important))

    def usable(
        self, resource: Resource, name: str | None, time: FhirDateTime | None, *, important: bool = False
    ) -> bool:
        """Return whether an entry of the stay may be used; if not, exclude it with the reason."""
        status = elements.string(resource, "status")
        if status == IN_ERROR or IN_ERROR in elements.codes(resource.get("verificationStatus")):
            self.leave_out(resource, name, "entered in error")
        elif not self.is_of_stay(resource, time):
            after = self.belongs(resource) is None and time is not None and time.begins > self.end
            reason = (
                AFTER_DISCHARGE
                if after
                else OF_ANOTHER_ENCOUNTER
                if time or self.belongs(resource) is False
                else "without a date"
            )
            self.leave_out(resource, name, reason)
        elif self.is_after(resource, time):
            self.leave_out(resource, name, AFTER_DISCHARGE, important=important)
        elif name is None:
            self.leave_out(resource, None, "which nothing names", important=important)
        else:
            return True
        return False

    def entry(self, resource: Resource, text: str, time: FhirDateTime | None = None) -> ContextEntry:
        return ContextEntry(
            text=text, source=source(resource), time=time.begins if time else None, on=time.text if time else None
        )


def source(resource: Resource) -> str:
    return f"{resource.get('resourceType', '')}/{resource.get('id', '')}"


def excluded_lines(left_out: Sequence[ExcludedEntry]) -> tuple[str, ...]:
    """Return what was excluded, in words: important entries first, many of a kind counted."""
    ordered = sorted(dict.fromkeys(left_out), key=lambda item: (not item.important, item.kind, item.reason, item.name))
    counts = Counter((item.kind, item.reason) for item in ordered if not item.important)
    lines: dict[str, None] = {}
    for item in ordered:
        count = counts[item.kind, item.reason]
        many = not item.important and count > MAX_NAMED_APART
        lines[f"{item.kind}: {count} entries, {item.reason}" if many else str(item)] = None
    return tuple(lines)
