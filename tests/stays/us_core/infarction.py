"""STEMI: comparators and peaks, a stent, brand and generic names, a changed dose, orders that are none."""

from tests.stays.build import Chart
from tests.stays.elements import ICD10CM, LOINC, RXNORM, SNOMED, concept, dosage, quantity
from tests.stays.habits import local, named, oracle, signed
from tests.stays.model import Stay
from tests.stays.words import (
    ABNORMAL,
    AFTERCARE,
    ALLERGIES,
    AS_NEEDED,
    DAILY,
    DIAGNOSES,
    FAMILY,
    PRINCIPAL,
    PROCEDURES,
    REASON,
    RECONCILIATION,
    TAKEN,
    TWICE,
    item,
    mg,
    number,
    taken,
)


def infarction() -> Stay:
    chart = Chart(
        "us-ami",
        "US Core",
        "troponin by comparator; stent as focalDevice; brand at home, generic after; proposal, draft, doNotPerform",
        start="2026-01-18T04:12:00-05:00",
        end="2026-01-22T15:00:00-05:00",
    )
    oracle(chart, "00482915")
    named(chart, "Petrakis", "Stavros", born="1964-09-30", gender="male")
    signed(chart, "Helen", "Varga")
    _who(chart)
    _diagnoses(chart)
    _results(chart)
    _intervention(chart)
    _changed_medicines(chart)
    _new_medicines(chart)
    _no_orders(chart)
    _aftercare(chart)
    return chart.stay(time_zone="America/New_York")


def _who(chart: Chart) -> None:
    chart.says("critical", "identity", "MRN 00482915", "00482915")
    chart.never("critical", "identity", "the driver's licence", "4410")
    chart.encounter["reasonReference"] = [chart.ref(chart.condition("Chest pain", category="encounter-diagnosis"))]
    chart.says("medium", "reason", "chest pain", item("chest pain", under=REASON))


def _diagnoses(chart: Chart) -> None:
    main = chart.condition("Acute ST elevation myocardial infarction of anterior wall", (ICD10CM, "I21.09"))
    chart.diagnosis(main, "billing", 1)
    chart.says("critical", "diagnosis", "anterior STEMI", item("ST elevation|STEMI", "anterior", under=PRINCIPAL))
    chart.condition("Hyperlipidemia", category="problem-list-item", encounter=None, onsetDateTime="2015")
    chart.says("medium", "diagnosis", "hyperlipidemia", item("hyperlipid", under=DIAGNOSES))
    chart.condition(
        "Gastric ulcer", category="problem-list-item", clinical="resolved", encounter=None, abatementDateTime="2011"
    )
    never = "^(?!.*(resolved|history|former|past|2011)).*gastric ulcer"
    chart.never("medium", "diagnosis", "gastric ulcer as present", item(never, under=DIAGNOSES))
    chart.family("Father", "Myocardial infarction at 48")
    chart.says("medium", "family history", "the father's infarction", item("father", "infarction", under=FAMILY))


def _results(chart: Chart) -> None:
    for at, value in (("2026-01-18T04:30:00-05:00", 0.31), ("2026-01-19T06:00:00-05:00", 3.07)):
        chart.lab("Troponin I", value, "ng/mL", (LOINC, "10839-9"), high=0.04, at=at)
    chart.lab(
        "Troponin I",
        50,
        "ng/mL",
        (LOINC, "10839-9"),
        high=0.04,
        comparator=">",
        flag="H",
        at="2026-01-18T12:00:00-05:00",
    )
    chart.says(
        "critical", "laboratory", "troponin above 50", item("troponin", "(>|above|more than|over) ?50", under=ABNORMAL)
    )
    chart.lab("LDL cholesterol", 187, "mg/dL", (LOINC, "13457-7"), referenceRange=[{"text": "0-99"}])
    chart.says("high", "laboratory", "LDL 187, abnormal", item("LDL", number("187"), under=ABNORMAL))
    chart.lab("Hemoglobin A1c", 5.4, "%", (LOINC, "4548-4"), high=5.6)
    chart.says("medium", "laboratory", "HbA1c 5.4", item("A1c", number("5.4")))
    chart.report(
        "Echocardiogram",
        "LVEF 38 %, anterior hypokinesis. No thrombus.",
        category="CUS",
        at="2026-01-19T10:00:00-05:00",
    )
    chart.says("critical", "report", "LVEF 38 %", r"LVEF 38 ?%")
    chart.report("Chest X-ray", "Pneumothorax", status="entered-in-error")
    chart.never("critical", "report", "pneumothorax, entered in error", "pneumothorax")


def _intervention(chart: Chart) -> None:
    device = chart.add(
        "Device", type={"text": "Drug-eluting coronary stent 3.5 x 24 mm"}, patient=chart.ref(chart.patient)
    )
    chart.procedure(
        "Percutaneous coronary intervention of the LAD",
        at="2026-01-18T05:02:00-05:00",
        focalDevice=[{"manipulated": chart.ref(device)}],
        outcome={"text": "TIMI 3 flow restored"},
        complication=[{"text": "Groin hematoma"}],
    )
    chart.says("critical", "procedure", "PCI of the LAD", item("coronary intervention", "LAD", under=PROCEDURES))
    chart.says("high", "procedure", "groin hematoma as its complication", "groin hematoma")
    chart.says("high", "device", "drug-eluting stent 3.5 x 24 mm", "drug-eluting coronary stent")
    chart.says("medium", "procedure", "TIMI 3 flow", "TIMI 3")


def _changed_medicines(chart: Chart) -> None:
    chart.home_medicine(
        concept("Lipitor 20 mg tablet", (RXNORM, "617318", "atorvastatin 20 MG Oral Tablet [Lipitor]")),
        dosage("1 tab, Oral, Daily"),
    )
    chart.medicine(
        concept("atorvastatin 80 mg oral tablet", (RXNORM, "259255", "atorvastatin 80 MG Oral Tablet")),
        dosage("80 mg = 1 tab, Oral, Bedtime", dose=(80, "mg"), route="Oral"),
    )
    chart.says("critical", "dose", "atorvastatin 80 mg daily", taken("atorvastatin", mg("80"), DAILY))
    chart.never(
        "critical",
        "medicine status",
        "Lipitor 20 mg as continued beside it",
        item("^(?!.*(80|stop|chang|unclear|hold)).*lipitor", under=TAKEN),
    )
    chart.home_medicine("metoprolol succinate 25 mg ER tablet", dosage("25 mg, Oral, Daily", dose=(25, "mg")))
    chart.medicine("metoprolol succinate 50 mg ER tablet", dosage("50 mg, Oral, Daily", dose=(50, "mg")))
    chart.says(
        "critical",
        "medicine status",
        "metoprolol from 25 to 50 mg",
        item("metoprolol", mg("25"), mg("50"), "chang|increas", under=RECONCILIATION),
    )


def _new_medicines(chart: Chart) -> None:
    chart.medicine("aspirin 81 mg chewable tablet", dosage(dose=(81, "mg"), route="Oral", frequency=1))
    chart.says("critical", "dose", "aspirin 81 mg daily", taken("aspirin", mg("81"), DAILY))
    chart.medicine(
        "ticagrelor 90 mg oral tablet",
        dosage(dose=(90, "mg"), route="Oral", frequency=2),
        reasonCode=[{"text": "Drug-eluting stent, for 12 months"}],
    )
    chart.says("critical", "dose", "ticagrelor 90 mg twice daily", taken("ticagrelor", mg("90"), TWICE))
    chart.says("medium", "medicine", "why ticagrelor", "ticagrelor.*(stent|12 months)")
    chart.medicine(
        "nitroglycerin 0.4 mg sublingual tablet",
        dosage(
            dose=(0.4, "mg"),
            route="Sublingual",
            as_needed="Chest pain",
            repeat={"frequency": 1, "period": 5, "periodUnit": "min"},
            maxDosePerPeriod={"numerator": quantity(3, "tablet"), "denominator": quantity(15, "min")},
        ),
    )
    chart.says(
        "critical",
        "dose",
        "nitroglycerin 0.4 mg as needed for chest pain",
        taken("nitroglycerin", mg("0.4"), AS_NEEDED, "chest pain"),
    )
    chart.says(
        "high", "dose", "at most 3 in 15 minutes", "nitroglycerin.*(max|at most|no more|not more|up to).*3.*15 ?min"
    )


def _no_orders(chart: Chart) -> None:
    chart.medicine("clopidogrel 75 mg oral tablet", dosage("75 mg, Oral, Daily"), intent="proposal")
    chart.never("critical", "medicine status", "clopidogrel, only proposed", taken("clopidogrel"))
    chart.medicine("spironolactone 25 mg oral tablet", dosage("25 mg, Oral, Daily"), status="draft")
    chart.never("critical", "medicine status", "spironolactone, a draft", taken("spironolactone"))
    chart.medicine("ibuprofen", dosage(), doNotPerform=True, note=[{"text": "Avoid NSAIDs after infarction"}])
    chart.never("critical", "medicine status", "ibuprofen, not to be taken", taken("ibuprofen"))
    chart.says(
        "high",
        "medicine status",
        "no ibuprofen",
        "(do not|not to|avoid).*ibuprofen|ibuprofen.*(do not|not to|avoid)",
        item("ibuprofen", under=("not to take|do not take",)),
    )


def _aftercare(chart: Chart) -> None:
    chart.order("Cardiac rehabilitation referral", category=local("Referral"), at="2026-01-22T13:00:00-05:00")
    chart.says("high", "follow-up", "cardiac rehabilitation", item("cardiac rehab", under=AFTERCARE))
    chart.order("Stress test", status="revoked")
    chart.never("medium", "follow-up", "a revoked stress test", "^(?!.*(revoked|cancel)).*stress test")
    chart.allergy("No known drug allergy", (SNOMED, "409137002", "No known drug allergy"))
    chart.says("critical", "allergy", "no known drug allergy", item("no known", under=ALLERGIES))
