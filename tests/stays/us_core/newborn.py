"""A preterm newborn: weights in grams, drops in decimals, ranges by hours of age, screening that is not back."""

from tests.stays.build import Chart
from tests.stays.elements import ICD10CM, LOINC, dosage, exact, limits, quantity
from tests.stays.habits import epic, local, named, signed
from tests.stays.model import Stay
from tests.stays.words import (
    ABNORMAL,
    ACQUIRED,
    AFTERCARE,
    DAILY,
    DIAGNOSES,
    GIVEN,
    HOME,
    IMMUNIZATIONS,
    PENDING,
    PROCEDURES,
    day,
    item,
    number,
    taken,
)


def newborn() -> Stay:
    chart = Chart(
        "us-newborn",
        "US Core",
        "weight in g; small doses; the mother's data in the child's record; screening pending; no diagnosis roles",
        start="2026-03-14T18:22:00-05:00",
        end="2026-03-29T11:00:00-05:00",
    )
    epic(chart, "1002443", ssn="xxx-xx-9999")
    named(chart, "Thornton", "Baby Boy", born="2026-03-14", gender="male")
    signed(chart, "Ingrid", "Salazar")
    _diagnoses(chart)
    _findings(chart)
    _treatment(chart)
    _medicines(chart)
    _aftercare(chart)
    return chart.stay(time_zone="America/Chicago")


def _diagnoses(chart: Chart) -> None:
    chart.condition(
        "Preterm newborn, gestational age 34 completed weeks", (ICD10CM, "P07.37"), severity={"text": "Moderate"}
    )
    chart.says("critical", "diagnosis", "preterm, 34 weeks", item("preterm newborn.*34", under=DIAGNOSES))
    chart.condition(
        "Apnea of prematurity", clinical="resolved", abatementDateTime="2026-03-23", onsetDateTime="2026-03-15"
    )
    chart.says("high", "diagnosis", "apnea of prematurity", item("apnea of prematurity", under=(*DIAGNOSES, *ACQUIRED)))
    chart.condition("Early-onset sepsis", verification="refuted", clinical=None)
    chart.never(
        "critical",
        "diagnosis",
        "sepsis, which was ruled out",
        item("^(?!.*(ruled out|refuted)).*sepsis", under=DIAGNOSES),
    )
    chart.family("Mother", "Hepatitis B carrier")
    chart.never(
        "critical",
        "diagnosis",
        "hepatitis B as the child's",
        item("hepatitis B", under=("principal|other diagnos|problem",)),
    )


def _findings(chart: Chart) -> None:
    chart.vital("Birth weight", 2140, "g", (LOINC, "8339-4"), at="2026-03-14T18:40:00-05:00")
    chart.vital("Body weight", 2385, "g", (LOINC, "29463-7"), at="2026-03-29T06:00:00-05:00")
    chart.says("critical", "vital sign", "2,385 g at discharge", item("weight", number("2385")))
    chart.lab(
        "Bilirubin, total",
        15.8,
        "mg/dL",
        (LOINC, "1975-2"),
        at="2026-03-18T06:00:00-05:00",
        flag="H",
        referenceRange=[
            limits(0.2, 1.2, "mg/dL", age={"low": quantity(1, "a")}),
            limits(None, 12, "mg/dL", age={"high": quantity(28, "d")}),
        ],
    )
    chart.says("critical", "laboratory", "bilirubin 15.8, high", item("bilirubin", number("15.8"), under=ABNORMAL))
    chart.lab(
        "Bilirubin, total",
        8.3,
        "mg/dL",
        (LOINC, "1975-2"),
        at="2026-03-27T06:00:00-05:00",
        referenceRange=[
            limits(0.2, 1.2, "mg/dL", age={"low": quantity(1, "a")}),
            limits(None, 12, "mg/dL", age={"high": quantity(28, "d")}),
        ],
    )
    chart.never("high", "laboratory", "8.3 as high: it is normal at this age", r"8\.3 mg/dL \((high|abnormal)")
    chart.lab("Glucose, capillary", 31, "mg/dL", low=45, high=99, flag="LL", at="2026-03-14T20:00:00-05:00")
    chart.says("critical", "laboratory", "glucose 31", item("glucose", number("31"), under=ABNORMAL))
    chart.report("Newborn metabolic screen", None, category="LAB", status="registered", at="2026-03-16T10:00:00-05:00")
    chart.says("critical", "pending", "metabolic screen pending", item("metabolic screen", under=PENDING))
    chart.report(
        "Hearing screen, automated ABR",
        "Passed right ear, referred left ear.",
        category="OTH",
        at="2026-03-28T10:00:00-05:00",
    )
    chart.says("critical", "report", "left ear referred", "referred left ear")


def _treatment(chart: Chart) -> None:
    chart.procedure(
        "Phototherapy", at=None, performedDateTime=None, performedPeriod={"start": "2026-03-18", "end": "2026-03-20"}
    )
    chart.says("high", "procedure", "phototherapy", item("phototherapy", under=PROCEDURES))
    chart.administration(
        "caffeine citrate",
        {"dose": quantity(21.4, "mg"), "route": {"text": "Oral"}, "text": "10 mg/kg daily"},
        at="2026-03-16T08:00:00-05:00",
    )
    chart.says("medium", "medicine", "caffeine in hospital", item("caffeine", under=GIVEN))
    chart.never("critical", "medicine status", "caffeine at home", item("caffeine", under=HOME))
    chart.immunization("Hepatitis B, pediatric", "2026-03-14T21:00:00-05:00", doseQuantity=quantity(0.5, "mL"))
    chart.says("critical", "immunization", "hepatitis B vaccine given", item("hepatitis B", under=IMMUNIZATIONS))
    chart.immunization(
        "Nirsevimab 50 mg",
        "2026-03-29T09:00:00-05:00",
        status="not-done",
        statusReason={"text": "Out of stock, give at first visit"},
    )
    chart.never(
        "critical",
        "immunization",
        "nirsevimab as given",
        item("^(?!.*(not (given|done)|stock)).*nirsevimab", under=IMMUNIZATIONS),
    )


def _medicines(chart: Chart) -> None:
    chart.medicine("cholecalciferol 400 units/mL oral drops", dosage(dose=(1, "mL"), route="Oral", frequency=1))
    chart.says("critical", "dose", "vitamin D 1 mL daily", taken("cholecalciferol", r"(?<![\d.])1 ?mL", DAILY))
    chart.medicine(
        "ferrous sulfate 15 mg iron/mL oral drops",
        dosage(dose=(exact("0.30"), "mL"), route="Oral", frequency=1, patientInstruction="4.5 mg of iron"),
    )
    chart.says("critical", "dose", "iron 0.3 mL daily", taken("ferrous sulfate", r"(?<![\d.])0\.30? ?mL", DAILY))
    chart.never("critical", "dose", "iron 30 mL or 3 mL", r"ferrous[^;|]*(?<![\d.])(30|3) ?mL")


def _aftercare(chart: Chart) -> None:
    chart.appointment("Pediatrician: weight check", "2026-03-31T09:30:00-05:00", with_="Dr. Owen Pruitt")
    chart.says(
        "critical", "follow-up", "weight check on 31 March", item("weight check", day("2026-03-31"), under=AFTERCARE)
    )
    chart.order("Audiology: diagnostic hearing test", category=local("Referral"), at="2026-03-29T10:00:00-05:00")
    chart.says("critical", "follow-up", "audiology", item("audiology", under=AFTERCARE))
    chart.of_stay(
        "NutritionOrder",
        patient=chart.ref(chart.patient),
        subject=None,
        status="active",
        intent="order",
        dateTime="2026-03-29T08:00:00-05:00",
        enteralFormula={
            "baseFormulaType": {"text": "Fortified breast milk 24 kcal/oz"},
            "administrationInstruction": "45 mL every 3 hours",
        },
    )
    chart.says("high", "care plan", "fortified milk 24 kcal/oz", "24 ?kcal/oz")
