"""Open points that ask for a physician's decision before the signature, beside the document. Pure."""

from collections.abc import Iterator, Sequence

from services.drafter.record.medicine_points import medicine_points
from services.drafter.record.order_checks import order_checks
from services.drafter.record.scope import ExcludedEntry
from services.drafter.source_record import SourceRecord, UnreadPart
from shared.contracts.context import EncounterContext
from shared.contracts.draft import OpenPoint

# Resource types whose absence may hurt: what could not be read of them is named first.
RESOURCE_NAMES = {
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
    "List": "lists of medicines",
    "Composition": "notes",
    "DocumentReference": "notes and documents",
    "AdverseEvent": "adverse events",
    "DetectedIssue": "warnings",
    "QuestionnaireResponse": "questionnaires",
}

DEATH_REPORTED = (
    "The report of the discharge says that the patient died, and the record does not: compare with the chart"
)


def open_points(
    context: EncounterContext,
    left_out: Sequence[ExcludedEntry],
    record: SourceRecord,
    *,
    handed_over: bool = False,
    death_recorded: bool = True,
) -> tuple[OpenPoint, ...]:
    """Return sources that could not be read, important omissions, and what the record leaves open.

    `handed_over`: others continue the treatment at once, and no visit has to be arranged. `death_recorded`: the record
    states a death, not only the report of the discharge.
    """
    points = [
        *(OpenPoint(text=f"{text}: compare with the chart") for text in unread_lines(record)),
        *([] if death_recorded or not context.died else [OpenPoint(text=DEATH_REPORTED)]),
        *_omissions([item for item in left_out if item.important]),
        *_of_allergies(context, record),
        *medicine_points(context),
        *order_checks(context),
        *_of_results(context, handed_over),
        *(OpenPoint(text=item.text, source=item.source) for item in context.doubts),
    ]
    return tuple({point.text: point for point in points}.values())


def _omissions(left_out: Sequence[ExcludedEntry]) -> Iterator[OpenPoint]:
    """Yield one point for each kind and reason: eight susceptibilities of one late culture are one question."""
    groups: dict[tuple[str, str], list[ExcludedEntry]] = {}
    for item in left_out:
        groups.setdefault((item.kind, item.reason), []).append(item)
    for (kind, reason), entries in groups.items():
        names = ", ".join(dict.fromkeys(item.name for item in entries))
        yield OpenPoint(text=f"Not in the document: {kind.lower()}: {names}, {reason}", source=entries[0].source)


def unread_lines(record: SourceRecord) -> tuple[str, ...]:
    """Return what could not be read, or not completely, in words."""
    return tuple(dict.fromkeys(map(_describe_unread_part, record.unread)))


def _describe_unread_part(item: UnreadPart) -> str:
    name = RESOURCE_NAMES.get(item.type, item.type)
    return f"{name[0].upper()}{name[1:]} could not be read in full from the EHR ({item.reason})"


def _of_allergies(context: EncounterContext, record: SourceRecord) -> Iterator[OpenPoint]:
    if context.died or any(item.type == "AllergyIntolerance" for item in record.unread):
        return  # the patient has died, or the question exists already
    if context.allergies_unknown:
        yield OpenPoint(text=f"Allergies: {context.allergies_unknown[0].lower()}{context.allergies_unknown[1:]}")
    elif not context.allergies:
        yield OpenPoint(
            text="The record has no entry about allergies, neither an allergy nor that there is none: ask the patient"
        )


def _of_results(context: EncounterContext, handed_over: bool) -> Iterator[OpenPoint]:
    for item in context.contradictions:
        yield OpenPoint(text=item.text, source=item.source)
    if context.needs_instructions and not handed_over and not context.follow_up and not context.services:
        yield OpenPoint(text="No follow-up visit is recorded: arrange or confirm")
