"""Orders whose doses are easily read wrong, and orders that are not for home."""

from typing import Any

from tests.stays.awkward.chart import awkward
from tests.stays.elements import coded, concept, dosage, exact, quantity
from tests.stays.model import Stay
from tests.stays.words import (
    AS_NEEDED,
    DAILY,
    EVENING,
    HOME,
    MORNING,
    NOT_TAKEN,
    TAKEN,
    WEEKLY,
    item,
    mg,
    taken,
)


def doses() -> Stay:
    chart = awkward(
        "doses", "weekly and two-fold orders, days of the week, rates, limits, courses, events, sliding scales"
    )
    chart.says("critical", "identity", "the patient's number", r"MRN:? ?AW/doses")
    monday = {"frequency": 1, "period": 1, "periodUnit": "wk", "dayOfWeek": ["mon"]}
    chart.medicine("methotrexate 2.5 mg tablet", dosage(dose=(15, "mg"), repeat=monday, route="Oral"))
    chart.says("critical", "dose", "methotrexate on Mondays", taken("methotrexate", mg("15"), f"mon|{WEEKLY}"))
    chart.never(
        "critical", "dose", "methotrexate daily", item("methotrexate.*(daily|every day|once a day)", under=TAKEN)
    )
    chart.medicine(
        "prednisolone 5 mg tablet",
        dosage(dose=(10, "mg"), repeat={"when": ["MORN"]}),
        dosage(dose=(5, "mg"), repeat={"when": ["EVE"]}),
    )
    chart.says(
        "critical",
        "dose",
        "10 mg in the morning, 5 mg in the evening",
        taken("prednisolone", f"{mg('10')}.*{MORNING}.*{mg('5')}.*{EVENING}"),
    )
    chart.medicine("levothyroxine 50 microgram", dosage(dose=(exact("0.050"), "mg"), frequency=1))
    chart.medicine("levothyroxine 25 microgram", dosage(dose=(exact("0.025"), "mg"), frequency=1))
    for strength in ("0.050", "0.025"):
        chart.says(
            "critical", "dose", f"levothyroxine {strength} mg", taken("levothyroxine", rf"{strength.rstrip('0')}0? ?mg")
        )
    chart.medicine(
        "alendronate 70 mg", dosage(frequency=1, period=7, unit="d", dose=(1, "tablet"), repeat={"when": ["ACM"]})
    )
    chart.says("critical", "dose", "alendronate every seven days", taken("alendronate", WEEKLY))
    chart.medicine("digoxin", dosage("62.5 mcg", dose=(exact("0.0625"), "mg"), frequency=1, period=2))
    chart.says(
        "critical",
        "dose",
        "digoxin every second day",
        taken("digoxin", r"every (other|second|2) day|alternate|every 2 ?d"),
    )
    chart.medicine(
        "insulin aspart", dosage("4 units; if glucose > 12 mmol/L add 2 units; if < 5 omit", as_needed=False)
    )
    chart.says(
        "critical",
        "dose",
        "the sliding scale as it stands",
        taken("insulin aspart", r"4 units; if glucose > 12 mmol/L add 2 units; if < 5 omit"),
    )
    limited = {"numerator": quantity(8, "mg"), "denominator": quantity(24, "h")}
    chart.medicine(
        "ondansetron 4 mg",
        dosage(dose=(4, "mg"), frequency=1, period=8, unit="h", as_needed="vomiting", maxDosePerPeriod=limited),
    )
    chart.says(
        "critical",
        "dose",
        "ondansetron as needed, at most 8 mg",
        taken("ondansetron", f"vomiting|{AS_NEEDED}", rf"(max|at most|up to|no more).*{mg('8')}"),
    )
    course = {
        "boundsPeriod": {"start": "2026-03-23", "end": "2026-03-30"},
        "frequency": 2,
        "period": 1,
        "periodUnit": "d",
    }
    chart.medicine("doxycycline 100 mg", dosage(dose=(100, "mg"), repeat=course))
    chart.says("critical", "dose", "doxycycline until 30 March", taken("doxycycline", "2026-03-30|30 march"))
    chart.medicine("potassium chloride", dosage("m² 1.8: from 01.12.2026 10 mmol three times a day"))
    chart.says(
        "critical",
        "dose",
        "a text with other numbers as it stands",
        taken("potassium chloride", "from 01.12.2026 10 mmol three times"),
    )
    chart.never(
        "critical", "dose", "a part of a date as a dose", item(r"potassium chloride,? (2026 10|1\.12|01\.12|1\.8)")
    )
    chart.medicine(
        "fentanyl patch",
        dosage("Apply 1", frequency=1, period=72, unit="h", doseAndRate=[{"rateQuantity": quantity(25, "ug/h")}]),
    )
    chart.says(
        "critical",
        "dose",
        "fentanyl 25 µg/h every 72 hours",
        taken("fentanyl", r"25 ?(ug|µg|μg|mcg)/h", r"72 ?h|3 days"),
    )
    chart.medicine("colchicine 500 microgram", dosage(dose=(1, "tablet"), frequency=2, repeat={"count": 6}))
    chart.says(
        "high", "dose", "six doses in all", taken("colchicine", r"\b6 (doses|times)|(total|in all|count).{0,12}6\b")
    )
    chart.medicine("dexamethasone 4 mg", dosage(dose=(8, "mg"), repeat={"timeOfDay": ["07:30:00", "12:00:00"]}))
    chart.says("high", "dose", "at half past seven and noon", taken("dexamethasone", "0?7:30", "12:00|noon"))
    chart.medicine(
        "amlodipine 10 mg", dosage(dose=(1, "tablet"), frequency=1, route="Oral", patientInstruction="do not crush")
    )
    chart.says("critical", "dose", "amlodipine daily", item("amlodipine 10", DAILY, under=HOME))
    chart.says("medium", "dose", "what the patient is told", item("amlodipine", "do not crush", under=HOME))
    return chart.stay()


def not_for_home() -> Stay:
    chart = awkward("barred", "every status and intent that is no order for home; a switch by priorPrescription")
    chart.says("critical", "identity", "the patient's number", r"MRN:? ?AW/barred")
    barred: dict[str, dict[str, Any]] = {
        "ramipril": {"status": "on-hold", "statusReason": concept("until potassium is checked")},
        "metformin": {"status": "stopped"},
        "ibuprofen": {"doNotPerform": True},
        "tramadol": {"status": "cancelled"},
        "zopiclone": {"status": "draft"},
        "codeine": {"status": "entered-in-error"},
        "apixaban": {"intent": "proposal"},
        "dapagliflozin": {"intent": "plan"},
        "ivabradine": {"intent": "option"},
        "ketamine": {"category": "inpatient", "at": "2026-03-17T08:00:00Z", "status": "completed"},
    }
    for name, elements in barred.items():
        chart.medicine(f"{name} tablet", dosage("1 daily"), **elements)
        chart.never("critical", "medicine status", f"{name} to be taken", item(name, under=HOME))
    chart.never("critical", "medicine status", "an order made in error", item("codeine"))
    for name in ("ramipril", "metformin", "ibuprofen"):
        chart.says("high", "medicine status", f"{name} is not to be taken", item(name, under=NOT_TAKEN))
    chart.says("high", "medicine status", "why ramipril waits", item("ramipril", "until potassium is checked"))
    before = chart.home_medicine("simvastatin 40 mg tablet", dosage("1 at night"), status="completed")
    chart.medicine("atorvastatin 80 mg tablet", dosage("1 at night"), priorPrescription=chart.ref(before))
    chart.says("critical", "dose", "atorvastatin instead", taken("atorvastatin 80", "1 at night"))
    chart.never("critical", "medicine status", "simvastatin to take beside it", item("simvastatin", under=HOME))
    chart.home_medicine("aspirin 75 mg tablet", dosage("1 daily"))
    chart.medicine("aspirin 75 mg tablet", dosage("1 daily"))
    chart.says("critical", "dose", "aspirin goes on", taken("aspirin 75", "1 daily"))
    free_text = ("urn:local:drugs", "FREETEXT")
    known_as = "urn:local:names"
    chart.home_medicine(concept("", free_text, (known_as, "1", "Ortoton")), dosage("1 with breakfast"))
    chart.medicine(concept("", free_text, (known_as, "2", "Lefax")), dosage("1 at night"))
    chart.says("critical", "dose", "Lefax", taken("Lefax", "1 at night"))
    chart.never(
        "critical",
        "medicine status",
        "Lefax as a change of another medicine with the same placeholder code",
        item("Lefax.*(changed|1 with breakfast|compare|continued)"),
    )
    chart.says("high", "medicine", "Ortoton has no order", item("Ortoton", under=TAKEN))
    chart.statement("St John's wort", status="not-taken")
    chart.never("high", "medicine status", "a herb that is not taken", taken("st john"))
    chart.dispense("naloxone 4 mg nasal spray", dosage("1 spray for overdose"), status="declined")
    chart.never("high", "medicine status", "what was declined", item("naloxone", under=HOME))
    chart.medicine(
        "salbutamol inhaler",
        dosage("2 puffs as needed"),
        reportedBoolean=True,
        category=None,
        courseOfTherapyType=coded(
            "http://terminology.hl7.org/CodeSystem/medicationrequest-course-of-therapy", "continuous"
        ),
    )
    return chart.stay()
