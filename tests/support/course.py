"""Small records for tests of the composed course."""

from datetime import UTC, datetime
from typing import Literal

from shared.contracts.context import (
    ContextEntry,
    Diagnosis,
    EncounterContext,
    Measurement,
    Medicine,
    ObservationSeries,
    Patient,
)

AT = datetime(2026, 3, 2, 10, tzinfo=UTC)


def entry(text: str, number: int = 1) -> ContextEntry:
    return ContextEntry(text=text, source=f"Thing/{number}", time=AT, on="2026-03-02")


def medicine(name: str, dose: str, number: int) -> Medicine:
    return Medicine(text=f"{name}, {dose}", source=f"MedicationRequest/{number}", name=name, dose=dose, normal=dose)


def diagnosis(
    text: str,
    role: Literal["principal", "comorbidity"] = "principal",
    certainty: Literal["confirmed", "suspected", "ruled-out"] = "confirmed",
    acquired: bool = False,
) -> Diagnosis:
    return Diagnosis(text=text, source="Condition/1", role=role, certainty=certainty, acquired=acquired)


def series(name: str, value: str, critical: bool) -> ObservationSeries:
    point = Measurement(value=value, time=AT, flag="critically high" if critical else "high", source="Observation/1")
    return ObservationSeries(name=name, first=point, last=point, count=1)


def context(**changes: object) -> EncounterContext:
    made = EncounterContext(
        encounter="Encounter/e",
        encounter_status="finished",
        kind="discharge-summary",
        patient=Patient(source="Patient/p", name="Jane Roe", sex="female"),
        start=AT,
        end=AT,
    )
    return made.model_copy(update=changes)
