"""What asks for a physician's word before the signature. Beside the document, never in it. Pure."""

from collections.abc import Iterator, Sequence

from services.drafter.record.scope import LeftOut
from services.drafter.source_record import SourceRecord, Unread
from shared.contracts.context import EncounterContext
from shared.contracts.draft import OpenPoint
from shared.grounding.reconciliation import reconcile

# Resource types whose absence may hurt: what could not be read of them is named first.
NAMES = {
    "AllergyIntolerance": "allergies",
    "Condition": "diagnoses",
    "MedicationRequest": "medication orders",
    "MedicationStatement": "medication statements",
    "MedicationAdministration": "medications given",
    "MedicationDispense": "medications dispensed",
    "Observation": "results and vital signs",
    "DiagnosticReport": "reports",
    "Procedure": "procedures",
    "Immunization": "immunizations",
    "Appointment": "appointments",
    "ServiceRequest": "referrals and orders",
    "CarePlan": "care plans",
    "Encounter": "the patient's other encounters",
    "FamilyMemberHistory": "family history",
    "Consent": "directives",
    "Flag": "alerts",
    "Composition": "notes",
    "DocumentReference": "notes and documents",
}


def open_points(context: EncounterContext, left_out: Sequence[LeftOut], record: SourceRecord) -> tuple[OpenPoint, ...]:
    """Sources that could not be read, important entries that were left out, and what the record leaves open."""
    found = [
        *(OpenPoint(text=f"{text}: compare with the chart") for text in unread(record)),
        *_omissions([item for item in left_out if item.important]),
        *_of_allergies(context, record),
        *_of_medicines(context),
        *_of_results(context),
    ]
    return tuple({point.text: point for point in found}.values())


def _omissions(left_out: Sequence[LeftOut]) -> Iterator[OpenPoint]:
    """One point for each kind and reason: eight susceptibilities of one late culture are one question."""
    groups: dict[tuple[str, str], list[LeftOut]] = {}
    for item in left_out:
        groups.setdefault((item.kind, item.reason), []).append(item)
    for (kind, reason), found in groups.items():
        names = ", ".join(dict.fromkeys(item.name for item in found))
        yield OpenPoint(text=f"Not in the document: {kind.lower()}: {names}, {reason}", source=found[0].source)


def unread(record: SourceRecord) -> tuple[str, ...]:
    """What could not be read, or not in full, in words."""
    return tuple(dict.fromkeys(map(_unread, record.unread)))


def _unread(item: Unread) -> str:
    name = NAMES.get(item.type, item.type)
    return f"{name[0].upper()}{name[1:]} could not be read in full from the EHR ({item.reason})"


def _of_allergies(context: EncounterContext, record: SourceRecord) -> Iterator[OpenPoint]:
    if any(item.type == "AllergyIntolerance" for item in record.unread):
        return
    if context.allergies_unknown:
        yield OpenPoint(text=f"Allergies: {context.allergies_unknown[0].lower()}{context.allergies_unknown[1:]}")
    elif not context.allergies:
        yield OpenPoint(
            text="The record has no entry about allergies, neither an allergy nor that there is none: ask the patient"
        )


def _of_medicines(context: EncounterContext) -> Iterator[OpenPoint]:
    if not context.instructs:
        return
    if not context.discharge_medicines and (context.home_medicines or context.hospital_medicines):
        yield OpenPoint(
            text="No prescription for the time after the discharge is recorded: confirm which medicines go on"
        )
    for row in reconcile(context):
        if row.change == "unclear" and not row.before and context.discharge_medicines:
            yield OpenPoint(
                text=f"{row.medicine.name}: taken at home before, no order at discharge: confirm whether it goes on",
                source=row.medicine.source,
            )
        elif row.change in ("new", "changed", "unclear") and not row.medicine.dose:
            yield OpenPoint(
                text=f"{row.medicine.name}: the order says neither dose nor how often", source=row.medicine.source
            )
    for medicine in context.discharge_medicines:
        if medicine.doubt:
            yield OpenPoint(
                text=f"{medicine.name}: the words and the structure of the order differ ({medicine.dose})",
                source=medicine.source,
            )


def _of_results(context: EncounterContext) -> Iterator[OpenPoint]:
    for item in context.contradictions:
        yield OpenPoint(text=item.text, source=item.source)
    if context.instructs and not context.follow_up and not context.services:
        yield OpenPoint(text="No follow-up visit is recorded: arrange or confirm")
