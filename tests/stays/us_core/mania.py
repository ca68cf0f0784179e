"""Psychiatry: left against advice, doses that differ by the time of day, a depot injection, entries made in error."""

from tests.stays.build import Chart
from tests.stays.elements import ICD10CM, LOINC, dosage, hl7
from tests.stays.habits import named, oracle, signed
from tests.stays.model import Stay
from tests.stays.words import (
    ABNORMAL,
    AFTERCARE,
    ALLERGIES,
    DISPOSITION,
    GIVEN,
    HOME,
    PRINCIPAL,
    RECONCILIATION,
    SUSPECTED,
    UNSURE,
    day,
    item,
    mg,
    number,
    taken,
)


def mania() -> Stay:
    chart = Chart(
        "us-mania",
        "US Core",
        "left against advice; doses by time of day; every four weeks; visits cancelled and booked",
        start="2026-08-25T22:05:00-04:00",
        end="2026-09-03T18:20:00-04:00",
        disposition="aadvice",
    )
    oracle(chart, "73311982", licence="NC-9918-2213")
    named(chart, "Lindgren", "Tove", born="1990-06-06", gender="other")
    signed(chart, "Samuel", "Achterberg")
    _diagnoses(chart)
    _results(chart)
    _medicines(chart)
    _aftercare(chart)
    return chart.stay(time_zone="America/New_York")


def _diagnoses(chart: Chart) -> None:
    chart.diagnosis(chart.condition("Bipolar I disorder, current episode manic, severe", (ICD10CM, "F31.13")), "DD", 1)
    chart.says("critical", "diagnosis", "bipolar disorder, manic", item("bipolar", "manic", under=PRINCIPAL))
    chart.condition("Suicide attempt", verification="entered-in-error", clinical=None)
    chart.never("critical", "diagnosis", "a suicide attempt, entered in error", "suicide attempt")
    chart.condition("Alcohol use disorder", verification="provisional")
    chart.says(
        "high",
        "diagnosis",
        "alcohol use disorder as provisional",
        item("alcohol", under=SUSPECTED),
        f"alcohol use disorder.*{UNSURE}",
    )
    chart.of_stay(
        "Condition",
        code={"coding": [{"system": ICD10CM, "code": "Z59.01", "display": "Sheltered homelessness"}]},
        clinicalStatus=hl7("condition-clinical", "active"),
        category=[hl7("condition-category", "health-concern")],
    )
    chart.says("medium", "diagnosis", "sheltered homelessness", "sheltered homelessness", anywhere=True)
    chart.says("critical", "disposition", "left against advice", item("against (medical )?advice", under=DISPOSITION))
    chart.never("critical", "disposition", "discharged home", item("^home$", under=DISPOSITION))
    chart.never("high", "identity", "she or he: the gender is other", item(r"Patient:.*\b(female|male)\b"))


def _results(chart: Chart) -> None:
    chart.lab(
        "Lithium",
        1.34,
        "mmol/L",
        (LOINC, "14334-7"),
        referenceRange=[{"text": "0.6 to 1.2"}],
        at="2026-09-01T07:00:00-04:00",
    )
    chart.says("critical", "laboratory", "lithium 1.34, abnormal", item("lithium", number("1.34"), under=ABNORMAL))
    chart.lab("TSH", 6.84, "u[IU]/mL", (LOINC, "3016-3"), low=0.27, high=4.2)
    chart.says("high", "laboratory", "TSH 6.84, abnormal", item("TSH", number("6.84"), under=ABNORMAL))
    chart.lab("Pregnancy test, urine", "Negative", interpretation=[hl7("v3-ObservationInterpretation", "NEG")])
    chart.never("high", "laboratory", "a negative pregnancy test as abnormal", item("pregnancy", under=ABNORMAL))
    chart.lab("Lithium", 0.9, "mmol/L", (LOINC, "14334-7"), status="cancelled", at="2026-09-03T07:00:00-04:00")
    chart.never("high", "laboratory", "the cancelled lithium of 0.9", r"lithium.*\b0\.9\b")
    chart.observation(
        "Columbia suicide severity rating", category="survey", at="2026-09-03T15:00:00-04:00", valueString="Low risk"
    )
    chart.says("high", "function", "low risk by the Columbia rating", "columbia.*low risk")


def _medicines(chart: Chart) -> None:
    chart.medicine(
        "lithium carbonate 300 mg capsule",
        dosage(
            sequence=1,
            dose=(300, "mg"),
            route="Oral",
            repeat={"frequency": 1, "period": 1, "periodUnit": "d", "when": ["MORN"]},
        ),
        dosage(
            sequence=2,
            dose=(600, "mg"),
            route="Oral",
            repeat={"frequency": 1, "period": 1, "periodUnit": "d", "when": ["EVE"]},
        ),
    )
    chart.says(
        "critical",
        "dose",
        "lithium 300 mg in the morning",
        taken("lithium", mg("300") + ".{0,60}(morning|breakfast)|morning.{0,30}" + mg("300")),
    )
    chart.says(
        "critical",
        "dose",
        "lithium 600 mg in the evening",
        taken("lithium", mg("600") + ".{0,60}evening|evening.{0,30}" + mg("600")),
    )
    chart.medicine(
        "paliperidone palmitate 156 mg/mL injection",
        dosage(dose=(156, "mg"), route="Intramuscular", frequency=1, period=4, unit="wk"),
    )
    chart.says(
        "critical",
        "dose",
        "paliperidone 156 mg every 4 weeks",
        taken("paliperidone", mg("156"), "every (4|four) w|q4w|4 ?wk|every 28 d|4-weekly"),
    )
    chart.never("critical", "dose", "paliperidone every day", r"paliperidone[^;|]*156 ?mg[^;|]*\b(daily|every day)")
    chart.home_medicine("divalproex 500 mg DR tablet", dosage("1,000 mg, Oral, Bedtime"))
    chart.medicine(
        "divalproex 500 mg DR tablet",
        dosage("1,000 mg, Oral, Bedtime"),
        status="cancelled",
        statusReason={"text": "Thrombocytopenia"},
    )
    chart.never("critical", "medicine status", "divalproex, cancelled", taken("divalproex"))
    why = "divalproex.*thrombocytopenia"
    chart.says("medium", "medicine status", "why divalproex was cancelled", why, anywhere=True)
    chart.medicine(
        "haloperidol 5 mg tablet", dosage("5 mg, Oral, q6h, PRN agitation"), category="inpatient", status="stopped"
    )
    chart.says("medium", "medicine", "haloperidol in hospital", item("haloperidol", under=GIVEN))
    chart.never("critical", "medicine status", "haloperidol to take at home", item("haloperidol", under=HOME))
    chart.medicine("melatonin 3 mg tablet", dosage("3 mg at bedtime"), status="entered-in-error")
    chart.never("critical", "medicine status", "melatonin, entered in error", "melatonin")
    chart.home_medicine("levothyroxine 50 mcg tablet", dosage(dose=(50, "ug"), route="Oral", frequency=1))
    chart.medicine("levothyroxine 75 mcg tablet", dosage(dose=(75, "ug"), route="Oral", frequency=1))
    chart.says(
        "critical",
        "medicine status",
        "levothyroxine from 50 to 75 mcg",
        item("levothyroxine", r"\b50 ?(mcg|ug|µg|μg)", r"\b75 ?(mcg|ug|µg|μg)", "chang|increas", under=RECONCILIATION),
    )
    chart.allergy(
        "Lamotrigine",
        reaction="Stevens-Johnson syndrome",
        criticality="high",
        encounter={"reference": "Encounter/another"},
    )
    chart.says("critical", "allergy", "lamotrigine: Stevens-Johnson", item("lamotrigine", "stevens", under=ALLERGIES))


def _aftercare(chart: Chart) -> None:
    chart.appointment("Outpatient psychiatry", "2026-09-08T11:00:00-04:00", with_="Dr. Hannah Osei")
    chart.says(
        "critical", "follow-up", "psychiatry on 8 September", item("psychiatry", day("2026-09-08"), under=AFTERCARE)
    )
    chart.appointment("Group therapy intake", "2026-09-10T10:00:00-04:00", status="noshow")
    chart.appointment("Substance use clinic", "2026-09-09T10:00:00-04:00", status="entered-in-error")
    chart.never("high", "follow-up", "a visit entered in error", "substance use clinic")
    chart.care_plan("Call 988 in a crisis", "Lithium level in one week")
    chart.says("high", "care plan", "lithium level in one week", "lithium level in (one|1) week")
