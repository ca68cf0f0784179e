"""A child with diabetic ketoacidosis: ranges by age, rates, insulin by ratio, small decimals, parents who learn."""

from tests.stays.build import Chart
from tests.stays.elements import ICD10CM, LOINC, SNOMED, Element, dosage, exact, limits, quantity
from tests.stays.habits import epic, named, signed
from tests.stays.model import Stay
from tests.stays.words import (
    ABNORMAL,
    AFTERCARE,
    ALLERGIES,
    AS_NEEDED,
    DAILY,
    DIAGNOSES,
    FAMILY,
    GIVEN,
    HOME,
    PENDING,
    PRINCIPAL,
    RECONCILIATION,
    day,
    item,
    mg,
    number,
    taken,
)


def years(low: int, high: int) -> Element:
    """An age range in years."""
    return {"low": quantity(low, "a"), "high": quantity(high, "a")}


def ketoacidosis() -> Stay:
    chart = Chart(
        "us-dka",
        "US Core",
        "several reference ranges by age and sex; rates per kg; no known allergies; antibodies pending",
        start="2026-06-20T02:15:00-05:00",
        end="2026-06-23T16:40:00-05:00",
    )
    epic(chart, "902266", ssn="xxx-xx-0000")
    named(chart, "Kowalczyk", "Oskar", born="2017-03-28", gender="male")
    signed(chart, "Beatriz", "Fonseca")
    _diagnoses(chart)
    _results(chart)
    _treatment(chart)
    _medicines(chart)
    _aftercare(chart)
    return chart.stay(time_zone="America/Chicago")


def _diagnoses(chart: Chart) -> None:
    chart.diagnosis(
        chart.condition("Type 1 diabetes mellitus with ketoacidosis without coma", (ICD10CM, "E10.10")), "DD", 1
    )
    chart.says(
        "critical",
        "diagnosis",
        "type 1 diabetes with ketoacidosis",
        item("type 1 diabetes.*ketoacidosis", under=PRINCIPAL),
    )
    chart.condition("Cerebral edema", clinical=None, verification="refuted")
    chart.never(
        "critical", "diagnosis", "cerebral edema", item("^(?!.*(ruled out|refuted)).*cerebral edema", under=DIAGNOSES)
    )
    chart.family("Maternal grandmother", "Type 2 diabetes mellitus")
    chart.says("medium", "family history", "the grandmother's diabetes", item("grandmother", under=FAMILY))
    chart.never(
        "critical",
        "diagnosis",
        "type 2 diabetes as his own",
        item("type 2 diabetes", under=("principal|other diagnos|problem",)),
    )
    chart.allergy("No Known Allergies", (SNOMED, "716186003", "No known allergy"), recorded="2026-06-20")
    chart.says("critical", "allergy", "no known allergies", item("no known", under=ALLERGIES))
    chart.says("critical", "identity", "MRN 902266", r"MRN:? ?902266")


def _results(chart: Chart) -> None:
    chart.lab(
        "Alkaline phosphatase",
        268,
        "U/L",
        (LOINC, "6768-6"),
        referenceRange=[
            limits(40, 129, "U/L", age=years(18, 120)),
            limits(142, 335, "U/L", age=years(1, 10)),
            limits(129, 417, "U/L", age=years(10, 13)),
        ],
    )
    chart.never(
        "critical",
        "laboratory",
        "alkaline phosphatase 268 as high: it is normal at nine",
        item("alkaline", number("268"), under=ABNORMAL),
    )
    chart.lab(
        "Creatinine",
        0.94,
        "mg/dL",
        (LOINC, "2160-0"),
        referenceRange=[
            limits(0.7, 1.3, "mg/dL", age=years(18, 120), appliesTo=[{"text": "male"}]),
            limits(0.31, 0.61, "mg/dL", age=years(5, 12)),
        ],
    )
    chart.says(
        "critical",
        "laboratory",
        "creatinine 0.94 is high for a child",
        item("creatinine", number("0.94"), under=ABNORMAL),
    )
    chart.lab("pH of venous blood", 7.08, "[pH]", (LOINC, "2746-6"), low=7.32, high=7.43, flag="LL")
    chart.says("critical", "laboratory", "pH 7.08", item("pH", number("7.08"), under=ABNORMAL))
    chart.lab("Glucose", 600, "mg/dL", (LOINC, "2345-7"), comparator=">", high=99, flag="HH")
    chart.says(
        "critical", "laboratory", "glucose above 600", item("glucose", "(>|above|over|more than) ?600", under=ABNORMAL)
    )
    chart.lab("Beta-hydroxybutyrate", exact("9.10"), "mmol/L", high=0.27)
    chart.says("high", "laboratory", "beta-hydroxybutyrate 9.1", item("hydroxybutyrate", r"9\.10?\b", under=ABNORMAL))
    chart.lab("Hemoglobin A1c", 12.7, "%", (LOINC, "4548-4"), referenceRange=[{"text": "<5.7 %"}])
    chart.says("critical", "laboratory", "HbA1c 12.7", item("A1c", number("12.7"), under=ABNORMAL))
    chart.report(
        "GAD-65 and islet cell antibodies", None, category="LAB", status="registered", at="2026-06-20T09:00:00-05:00"
    )
    chart.says("critical", "pending", "antibodies pending", item("antibod", under=PENDING))
    chart.vital("Body weight", 24.6, "kg", (LOINC, "29463-7"), at="2026-06-23T06:00:00-05:00")
    chart.says("high", "vital sign", "24.6 kg", item("weight", number("24.6")))


def _treatment(chart: Chart) -> None:
    chart.administration(
        "insulin regular 1 unit/mL infusion",
        {"rateQuantity": quantity(0.05, "U/kg/h"), "route": {"text": "Intravenous"}},
    )
    chart.says(
        "high", "medicine", "insulin infusion in hospital", item("insulin regular", under=(*GIVEN, *RECONCILIATION))
    )
    chart.never("critical", "medicine status", "the infusion to take at home", item("insulin regular", under=HOME))
    chart.procedure(
        "Diabetes self-management education",
        at="2026-06-22T14:00:00-05:00",
        note=[{"text": "Parents gave two injections"}],
    )
    chart.says("medium", "procedure", "diabetes education", "diabetes self-management education")


def _medicines(chart: Chart) -> None:
    chart.medicine(
        "insulin glargine 100 units/mL pen",
        dosage(
            dose=(7.5, "[IU]"),
            route="Subcutaneous",
            repeat={"frequency": 1, "period": 1, "periodUnit": "d", "when": ["HS"]},
        ),
    )
    chart.says(
        "critical",
        "dose",
        "glargine 7.5 units at bedtime",
        taken("glargine", r"(?<![\d.])7\.5 ?(\[?iu\]?|units?)", DAILY),
    )
    chart.never("critical", "dose", "glargine 75 units", r"glargine.*\b75 ?(\[?iu|unit)")
    chart.medicine(
        "insulin lispro 100 units/mL pen",
        dosage(
            "1 unit for every 15 g of carbohydrate with meals",
            route="Subcutaneous",
            repeat={"when": ["C"]},
            patientInstruction="Add 0.5 units for every 50 mg/dL above 150 mg/dL",
        ),
    )
    chart.says("critical", "dose", "lispro 1 unit per 15 g", taken("lispro", "1 unit.*15 ?g"))
    chart.says("high", "dose", "and the correction", "0\\.5 units for every 50")
    chart.medicine("glucagon 3 mg nasal powder", dosage(dose=(3, "mg"), route="Nasal", as_needed="Severe hypoglycemia"))
    chart.says("critical", "dose", "glucagon 3 mg as needed", taken("glucagon", mg("3"), AS_NEEDED))
    chart.medicine(
        "ibuprofen 100 mg/5 mL suspension",
        dosage(dose=(240, "mg"), route="Oral", frequency=1, period=6, unit="h", as_needed=True),
        intent="plan",
    )
    chart.never("critical", "medicine status", "ibuprofen, only a plan", taken("ibuprofen"))


def _aftercare(chart: Chart) -> None:
    chart.appointment("Pediatric endocrinology", "2026-06-30T10:00:00-05:00", with_="Dr. Ines Calder")
    chart.says(
        "critical", "follow-up", "endocrinology on 30 June", item("endocrinology", day("2026-06-30"), under=AFTERCARE)
    )
    chart.care_plan("Check blood glucose before meals, at bedtime and at 3 am", status="active")
    chart.says("high", "care plan", "glucose checks", "before meals, at bedtime and at 3 ?am")
    chart.of_stay(
        "Goal", encounter=None, lifecycleStatus="active", description={"text": "HbA1c below 7 % within six months"}
    )
    chart.says("medium", "care plan", "goal of HbA1c below 7 %", "below 7 ?%")
