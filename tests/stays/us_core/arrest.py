"""Death told by the disposition's words only, and by deceasedBoolean; the patient gives organs."""

from tests.stays.build import Chart
from tests.stays.elements import ICD10CM, LOINC, dosage
from tests.stays.habits import named, oracle, signed
from tests.stays.model import Pattern, Stay
from tests.stays.words import ABNORMAL, DIAGNOSES, HOME, PRINCIPAL, PROCEDURES, item, number


def arrest() -> Stay:
    chart = Chart(
        "us-arrest-death",
        "US Core",
        "disposition in words only, deceasedBoolean without a time; family wishes as a Consent",
        start="2026-09-15T22:10:00-05:00",
        end="2026-09-17T14:20:00-05:00",
        disposition=None,
    )
    oracle(chart, "30031109", licence="TX-2231-0098")
    named(chart, "Haugen", "Sylvia", born="1970-01-15", gender="female")
    signed(chart, "Dmitri", "Volkov")
    chart.encounter["hospitalization"] = {"dischargeDisposition": {"text": "Expired (organ donor)"}}
    chart.patient["deceasedBoolean"] = True
    chart.says("critical", "outcome", "a death summary", Pattern("death summary", under=("title",)))
    _course(chart)
    _home(chart)
    return chart.stay(time_zone="America/Chicago")


def _course(chart: Chart) -> None:
    chart.diagnosis(chart.condition("Anoxic brain injury after cardiac arrest", (ICD10CM, "G93.1")), "DD", 1)
    chart.says("critical", "diagnosis", "anoxic brain injury", item("anoxic brain injury", under=PRINCIPAL))
    chart.condition("Aspiration pneumonia", verification="confirmed")
    chart.says("medium", "diagnosis", "aspiration pneumonia", item("aspiration pneumonia", under=DIAGNOSES))
    chart.report("EEG", "No cerebral electrical activity.", category="OTH", at="2026-09-17T08:00:00-05:00")
    chart.says("high", "report", "the EEG", "no cerebral electrical activity")
    chart.lab("Troponin T, high sensitivity", 4312, "ng/L", (LOINC, "67151-1"), high=14, flag="HH")
    chart.says("high", "laboratory", "troponin 4,312", item("troponin", number("4312"), under=ABNORMAL))
    chart.procedure("Targeted temperature management", at="2026-09-15T23:30:00-05:00")
    chart.says("high", "procedure", "temperature management", item("temperature management", under=PROCEDURES))
    chart.add(
        "Consent",
        status="active",
        patient=chart.ref(chart.patient),
        scope={"text": "Advance care directive"},
        category=[{"text": "Organ donation: yes, kidneys and liver"}],
        dateTime="2026-09-17T10:00:00-05:00",
    )
    chart.says("medium", "code status", "organ donation", "organ don")


def _home(chart: Chart) -> None:
    chart.home_medicine("amlodipine 5 mg tablet", dosage("5 mg, Oral, Daily"))
    chart.medicine("amlodipine 5 mg tablet", dosage("5 mg, Oral, Daily"))
    chart.never("critical", "outcome", "medicines for home", item("amlodipine", under=HOME))
    chart.care_plan("Low-salt diet")
    chart.never(
        "high", "outcome", "instructions for the dead patient", item("low-salt", under=("instructions", "diet"))
    )
