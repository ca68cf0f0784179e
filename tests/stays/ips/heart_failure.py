"""Heart failure in Lisbon: SNOMED CT, statements instead of orders, decimal commas, absent or unknown data."""

from tests.stays.build import Chart
from tests.stays.elements import LOINC, MRN, SNOMED, coded, concept, dosage, hl7, identifier
from tests.stays.habits import named, signed
from tests.stays.model import Stay
from tests.stays.words import (
    ABNORMAL,
    AFTERCARE,
    ALLERGIES,
    DAILY,
    DIAGNOSES,
    PRINCIPAL,
    TAKEN,
    TWICE,
    day,
    item,
    number,
    taken,
)


def heart_failure() -> Stay:
    chart = Chart(
        "ips-heart-failure",
        "IPS",
        "medicines as statements with dosage; decimal commas; codes of absent-unknown data; summer time",
        start="2026-06-01T23:50:00+01:00",
        end="2026-06-08T11:00:00+01:00",
    )
    named(chart, "Carvalho", "Teresa", "Maria", born="1947-01-30", gender="female", before="Pinto")
    chart.patient["identifier"] = [
        identifier("298 765 432", {"text": "NIF"}, "urn:oid:2.16.620.1.101.10.3.1"),
        identifier("HSL-55012", MRN, "http://hospital.example.pt/processo"),
    ]
    signed(chart, "Joana", "Figueiredo")
    chart.says("critical", "identity", "MRN HSL-55012", "MRN:? ?HSL-55012")
    chart.never("critical", "identity", "the tax number as MRN", "MRN:? ?298")
    chart.says("high", "dates", "admitted on 1 June by Lisbon's time", f"{day('2026-06-01')}.*{day('2026-06-08')}")
    _diagnoses(chart)
    _results(chart)
    _medicines(chart)
    _aftercare(chart)
    return chart.stay(time_zone="Europe/Lisbon")


def _diagnoses(chart: Chart) -> None:
    chart.diagnosis(
        chart.condition("", (SNOMED, "441481004", "Chronic systolic heart failure, acute on chronic")), "DD", 1
    )
    chart.says(
        "critical",
        "diagnosis",
        "acute on chronic systolic heart failure",
        item("systolic heart failure", under=PRINCIPAL),
    )
    chart.condition(
        "",
        (SNOMED, "709044004", "Chronic kidney disease"),
        category="problem-list-item",
        encounter=None,
        severity=coded(SNOMED, "6736007", "Moderate"),
    )
    chart.says("high", "diagnosis", "chronic kidney disease", item("chronic kidney disease", under=DIAGNOSES))
    chart.add(
        "AllergyIntolerance",
        patient=chart.ref(chart.patient),
        clinicalStatus=hl7("allergyintolerance-clinical", "active"),
        code=coded(
            "http://hl7.org/fhir/uv/ips/CodeSystem/absent-unknown-uv-ips", "no-known-allergies", "No known allergies"
        ),
    )
    chart.says("critical", "allergy", "no known allergies", item("no known|none known", under=ALLERGIES))


def _results(chart: Chart) -> None:
    chart.lab("NT-proBNP", 8412, "pg/mL", (LOINC, "33762-6"), referenceRange=[{"text": "<125"}])
    chart.says("critical", "laboratory", "NT-proBNP 8412, abnormal", item("NT-?proBNP", number("8412"), under=ABNORMAL))
    chart.lab("Potássio", 3.1, "mmol/L", (LOINC, "2823-3", "Potassium"), referenceRange=[{"text": "3,5 - 5,1"}])
    chart.says(
        "critical",
        "laboratory",
        "potassium 3.1 is low: the range has decimal commas",
        item("pot[aá]ss", r"3[.,]1", under=ABNORMAL),
    )
    chart.lab(
        "Ureia",
        "7,9 mmol/L",
        referenceRange=[{"text": "2,5 - 7,1 mmol/L"}],
        interpretation=[{"text": "alto"}],
        flag="H",
    )
    chart.says("high", "laboratory", "urea 7,9", item("ureia", r"7[.,]9"))
    chart.never("critical", "laboratory", "79 mmol/L", r"ureia.*\b79\b")
    chart.lab("Ferritin", None, None, (LOINC, "2276-4"), dataAbsentReason=hl7("data-absent-reason", "unknown"))
    chart.report("Echocardiogram", "LVEF 28 %. Severe mitral regurgitation.", at="2026-06-03T10:00:00+01:00")
    chart.says("critical", "report", "LVEF 28 %", r"LVEF 28 ?%")
    chart.vital("Body weight", 68.4, "kg", (LOINC, "29463-7"), at="2026-06-08T07:00:00+01:00")
    chart.says("critical", "vital sign", "68.4 kg at discharge", item("weight", number("68.4")))


def _medicines(chart: Chart) -> None:
    chart.statement(
        "Furosemide 40 mg tablet",
        dosage("1 tablet in the morning and 1 tablet at noon", route="Oral"),
        status="intended",
        context=chart.ref(chart.encounter),
        effectiveDateTime="2026-06-08",
    )
    chart.says(
        "critical", "dose", "furosemide in the morning and at noon", item("furosemide", "morning.*noon", under=TAKEN)
    )
    chart.medicine(
        concept("", (SNOMED, "318851002", "Bisoprolol fumarate 2.5 mg tablet")),
        dosage(dose=(1.25, "mg"), route=coded("http://standardterms.edqm.eu", "20053000", "Oral use"), frequency=1),
    )
    chart.says("critical", "dose", "bisoprolol 1.25 mg daily", taken("bisoprolol", r"(?<![\d.,])1[.,]25 ?mg", DAILY))
    chart.medicine(
        "Digoxina 0,0625 mg comprimido",
        dosage(
            "0,0625 mg às segundas, quartas e sextas", dose=(0.0625, "mg"), repeat={"dayOfWeek": ["mon", "wed", "fri"]}
        ),
    )
    chart.says(
        "critical",
        "dose",
        "digoxin 0,0625 mg on three days a week",
        taken("digoxin", r"0[.,]0625 ?mg", "segundas, quartas e sextas|mon.*wed.*fri"),
    )
    chart.never("critical", "dose", "digoxin 625 mg", r"digoxin.*(?<![\d.,])(625|62[.,]5) ?mg")
    chart.medicine("Sacubitril/valsartan 24 mg/26 mg", dosage(dose=(1, "tablet"), route="Oral", frequency=2))
    chart.says("critical", "dose", "sacubitril/valsartan twice daily", taken("sacubitril", TWICE))
    chart.home_medicine("Ramipril 5 mg", dosage("5 mg daily"))
    chart.medicine(
        "Ramipril 5 mg",
        dosage("5 mg daily"),
        status="stopped",
        statusReason={"text": "Replaced by sacubitril/valsartan"},
    )
    chart.never("critical", "medicine status", "ramipril beside sacubitril", taken("ramipril"))
    chart.says(
        "critical",
        "medicine status",
        "ramipril was stopped",
        "ramipril.*stop|stop.*ramipril",
        item("ramipril", under=("not to take|stopped",)),
    )


def _aftercare(chart: Chart) -> None:
    chart.order("Weigh every morning; call if more than 2 kg in 3 days", category=[{"text": "Self-care"}])
    chart.says("high", "care plan", "weigh every morning", "weigh every morning")
    chart.of_stay(
        "NutritionOrder",
        patient=chart.ref(chart.patient),
        subject=None,
        status="active",
        intent="order",
        dateTime="2026-06-08",
        oralDiet={"type": [{"text": "Sodium 2 g"}], "instruction": "Fluids 1,5 L a day"},
    )
    chart.says("high", "care plan", "fluids 1.5 L", r"1[.,]5 ?L")
    chart.appointment("Consulta de insuficiência cardíaca", "2026-06-15T09:20:00+01:00")
    chart.says(
        "critical",
        "follow-up",
        "heart failure clinic on 15 June",
        item("insuficiência cardíaca", day("2026-06-15"), under=AFTERCARE),
    )
