"""Describe the patient by age, in its usual unit, and sex. Pure."""

from datetime import date

from shared.contracts.context import EncounterContext

ADULT_AGE_YEARS = 18
_NOUNS = {"male": ("man", "boy"), "female": ("woman", "girl")}


def describe_patient(context: EncounterContext) -> str:
    """Return the patient as a noun phrase: `This 72-year-old woman`, `This newborn girl`, `The patient`.

    Age is at admission.
    """
    adult, child = _NOUNS.get((context.patient.sex or "").lower(), ("patient", "child"))
    born, start = context.patient.birth_date, (context.start or context.end).date()
    if born is None or born > start:
        return "The patient" if adult == "patient" else f"This {adult}"
    years, months = _age(born, start)
    if years >= 1:
        return f"This {years}-year-old {adult if years >= ADULT_AGE_YEARS else child}"
    days = (start - born).days
    if days < 1:
        return f"This newborn {child}" if child != "child" else "This newborn"
    return f"This {months}-month-old {child}" if months else f"This {days}-day-old {child}"


def _age(born: date, on: date) -> tuple[int, int]:
    """Return completed years and completed months."""
    months = (on.year - born.year) * 12 + on.month - born.month - (on.day < born.day)
    return months // 12, months
