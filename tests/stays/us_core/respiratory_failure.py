"""Death in intensive care, told by the Patient's time of death only; orders for the discharge were already written."""

from tests.stays.build import Chart
from tests.stays.elements import ICD10CM, LOINC, dosage, hl7
from tests.stays.habits import epic, named, signed
from tests.stays.model import Pattern, Stay
from tests.stays.words import (
    ABNORMAL,
    ACQUIRED,
    ALLERGIES,
    DIAGNOSES,
    DISPOSITION,
    HOME,
    PRINCIPAL,
    PROCEDURES,
    day,
    item,
    number,
)


def respiratory_failure() -> Stay:
    chart = Chart(
        "us-icu-death",
        "US Core",
        "deceasedDateTime and no disposition; comfort care; autopsy pending; discharge orders already written",
        start="2026-02-01T09:00:00-05:00",
        end="2026-02-09T03:47:00-05:00",
        disposition=None,
    )
    epic(chart, "640017", ssn="xxx-xx-8830")
    named(chart, "Castellano", "Vincent", born="1958-11-23", gender="male")
    signed(chart, "Ama", "Boateng")
    chart.patient["deceasedDateTime"] = "2026-02-09T03:47:00-05:00"
    chart.says("critical", "outcome", "a death summary", Pattern("death summary", under=("title",)))
    chart.says(
        "critical",
        "outcome",
        "died on 9 February",
        f"(died|death|deceased|expired).*{day('2026-02-09')}",
        f"{day('2026-02-09')}.*(died|death)",
    )
    _diagnoses(chart)
    _results(chart)
    _treatment(chart)
    _orders(chart)
    return chart.stay(time_zone="America/New_York")


def _diagnoses(chart: Chart) -> None:
    chart.diagnosis(
        chart.condition("Acute respiratory distress syndrome due to influenza A pneumonia", (ICD10CM, "J10.08")),
        "DD",
        1,
    )
    chart.says("critical", "diagnosis", "ARDS due to influenza", item("respiratory distress syndrome", under=PRINCIPAL))
    chart.condition("Ventilator-associated pneumonia", onsetDateTime="2026-02-06T00:00:00-05:00")
    chart.says(
        "high",
        "diagnosis",
        "ventilator-associated pneumonia",
        item("ventilator-associated", under=(*ACQUIRED, *DIAGNOSES)),
    )
    chart.observation(
        "Cause of death",
        (LOINC, "69453-9"),
        category="exam",
        at="2026-02-09T04:10:00-05:00",
        valueCodeableConcept={"text": "Refractory hypoxemia due to ARDS"},
    )
    chart.says("critical", "outcome", "the cause of death", "refractory hypoxemia", anywhere=False)


def _results(chart: Chart) -> None:
    chart.lab(
        "Oxygen partial pressure, arterial",
        41,
        "mm[Hg]",
        (LOINC, "2703-7"),
        low=80,
        high=100,
        flag="LL",
        at="2026-02-08T23:00:00-05:00",
    )
    chart.says("critical", "laboratory", "pO2 41", item("oxygen", number("41"), under=ABNORMAL))
    chart.lab(
        "Influenza A virus RNA",
        valueCodeableConcept={"text": "Detected"},
        interpretation=[hl7("v3-ObservationInterpretation", "POS")],
    )
    chart.says("high", "laboratory", "influenza A was detected", item("influenza A", "detected"))
    chart.report(
        "Autopsy",
        None,
        category="LAB",
        status="registered",
        at="2026-02-09T06:00:00-05:00",
        code={"text": "Autopsy report"},
    )
    chart.says("high", "pending", "autopsy pending", "autopsy", anywhere=False)


def _treatment(chart: Chart) -> None:
    chart.procedure(
        "Mechanical ventilation",
        at=None,
        performedDateTime=None,
        performedPeriod={"start": "2026-02-01T11:30:00-05:00", "end": "2026-02-09T03:00:00-05:00"},
    )
    chart.says("critical", "procedure", "mechanical ventilation", item("mechanical ventilation", under=PROCEDURES))
    chart.procedure("Prone positioning", at="2026-02-03T08:00:00-05:00")
    chart.procedure("ECMO cannulation", status="not-done", statusReason={"text": "Family declined"})
    chart.never(
        "critical", "procedure", "ECMO as done", item("^(?!.*(not (done|performed)|declin)).*ECMO", under=PROCEDURES)
    )
    chart.order("Comfort measures only", category=[{"text": "Code status"}], at="2026-02-08T20:00:00-05:00")
    chart.says("critical", "code status", "comfort measures only", "comfort measures only")


def _orders(chart: Chart) -> None:
    chart.medicine("oseltamivir 75 mg capsule", dosage("Take 1 capsule by mouth 2 times daily."))
    chart.never("critical", "outcome", "medicines for home", item("oseltamivir", under=HOME))
    chart.appointment("Pulmonology clinic", "2026-02-20T09:00:00-05:00")
    chart.never(
        "critical", "outcome", "a visit after the death", "^(?!.*(cancel|after the death|obsolete)).*pulmonology clinic"
    )
    chart.never("critical", "outcome", "medicines to take at home", Pattern("", under=("to take at home",)))
    chart.never("high", "outcome", "discharged home", item("^home$", under=DISPOSITION))
    chart.allergy("Sulfonamide antibiotics", reaction="Anaphylaxis", criticality="high")
    chart.says("high", "allergy", "sulfonamides", item("sulfonamide", under=ALLERGIES))
