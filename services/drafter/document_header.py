"""Render the header of a document: patient, stay, and what of the record could not be read. Pure."""

from datetime import datetime

from shared.contracts.context import EncounterContext
from shared.contracts.draft import Fact


def header(context: EncounterContext) -> tuple[Fact, ...]:
    """Return the lines above the parts: patient, dates, and what of the record could not be read."""
    patient = context.patient
    stated = patient.birth or (f"{patient.birth_date:%Y-%m-%d}" if patient.birth_date else None)
    born = f"born {stated}" if stated else "date of birth not recorded"
    identity = [patient.name, born, patient.sex or "sex not recorded", f"MRN {patient.mrn or 'not recorded'}"]
    stay = [f"Admitted {format_day(context.start, context.start_on)}", _end(context)]
    place = [part for part in dict.fromkeys((context.service, context.organization_name)) if part]
    unread = (
        [Fact(text=f"Not read in full from the EHR: {', '.join(context.unread)}", source="")] if context.unread else []
    )
    return (
        Fact(text=f"Patient: {', '.join(identity)}", source=patient.source),
        Fact(text=f"Stay: {', '.join([*stay, *place])}", source=context.encounter),
        *unread,
    )


def _end(context: EncounterContext) -> str:
    if context.died:
        return f"died {format_day(context.end, context.end_on)}"
    if context.ongoing:
        return f"discharge expected {context.expected_end:%Y-%m-%d}" if context.expected_end else "not discharged yet"
    return f"discharged {format_day(context.end, context.end_on)}"


def age(context: EncounterContext) -> int | None:
    """Return completed years at the end of the stay."""
    born = context.patient.birth_date
    if born is None:
        return None
    end = context.end.date()
    return end.year - born.year - ((end.month, end.day) < (born.month, born.day))


def length_of_stay(context: EncounterContext) -> int | None:
    """Return calendar days from admission to the end; one at least."""
    return max((context.end.date() - context.start.date()).days, 1) if context.start else None


def format_day(time: datetime | None, on: str | None = None) -> str:
    return on or (f"{time:%Y-%m-%d}" if time else "date not recorded")
