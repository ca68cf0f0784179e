"""A short observation stay: one night, a monitor for home, almost nothing else; the class is OBSENC."""

from tests.stays.build import Chart
from tests.stays.elements import ICD10CM, dosage
from tests.stays.habits import local, named, oracle, signed
from tests.stays.model import Stay
from tests.stays.words import ABNORMAL, ALLERGIES, PRINCIPAL, day, item, taken


def syncope() -> Stay:
    chart = Chart(
        "us-observation",
        "US Core",
        "class OBSENC; sparse; statements of what is taken at home; end of the stay in another day than UTC's",
        start="2026-12-04T14:20:00-08:00",
        end="2026-12-05T17:30:00-08:00",
    )
    oracle(chart, "66120984")
    named(chart, "Villanueva", "Ramon", born="1979-09-19", gender="male")
    signed(chart, "Grace", "Oyelaran")
    chart.encounter["class"]["code"] = "OBSENC"
    chart.says("high", "dates", "discharged on 5 December in Los Angeles", f"{day('2026-12-04')}.*{day('2026-12-05')}")
    chart.never("critical", "dates", "6 December", day("2026-12-06"))
    _course(chart)
    _medicines(chart)
    return chart.stay(time_zone="America/Los_Angeles")


def _course(chart: Chart) -> None:
    chart.diagnosis(chart.condition("Vasovagal syncope", (ICD10CM, "R55")), None, None)
    chart.says("critical", "diagnosis", "syncope", item("vasovagal syncope"))
    chart.says("medium", "diagnosis", "which is the only one of the Encounter", item("syncope", under=PRINCIPAL))
    chart.report("12-lead ECG", "Sinus rhythm, QTc 431 ms. No ischemia.", category="EC")
    chart.says("high", "report", "ECG", "QTc 431")
    chart.lab("Troponin I", "<0.012 ng/mL", referenceRange=[{"text": "0.000-0.034"}])
    chart.says("high", "laboratory", "troponin below 0.012", item("troponin", r"(<|below|under|less than) ?0\.012"))
    chart.never("critical", "laboratory", "that troponin as abnormal", item("troponin", under=ABNORMAL))


def _medicines(chart: Chart) -> None:
    chart.statement("sertraline 50 mg tablet", dosage("50 mg once daily"), informationSource={"display": "Patient"})
    chart.says("high", "medicine", "sertraline, by his word", "sertraline")
    chart.statement("tadalafil 5 mg tablet", dosage("5 mg daily"), status="stopped")
    chart.never("critical", "medicine status", "tadalafil, no longer taken", taken("tadalafil"))
    chart.statement("ginkgo biloba", status="entered-in-error")
    chart.never("high", "medicine status", "ginkgo, entered in error", "ginkgo")
    chart.allergy("Shellfish", category=["food"], reaction="Hives", recorded="2019-03")
    chart.says("high", "allergy", "shellfish", item("shellfish", under=ALLERGIES))
    chart.order(
        "Ambulatory cardiac event monitor for 30 days", status="active", occurrencePeriod={"start": "2026-12-07"}
    )
    chart.says("critical", "follow-up", "event monitor for 30 days", "event monitor")
    chart.order("No driving until seen in clinic", category=local("Activity"))
    chart.says("critical", "care plan", "no driving", "no driving")
