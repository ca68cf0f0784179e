"""Transfer of an aortic dissection: infusions run on, nothing goes home, the emergency encounter is another."""

from tests.stays.build import Chart
from tests.stays.elements import ICD10CM, LOINC, dosage, quantity
from tests.stays.habits import epic, named, panel_part, signed
from tests.stays.model import Serve, Stay
from tests.stays.words import (
    ABNORMAL,
    ALLERGIES,
    DISPOSITION,
    GIVEN,
    HOME,
    PRINCIPAL,
    RECONCILIATION,
    VITALS,
    item,
    number,
    together,
)

EMERGENCY = {"reference": "Encounter/us-transfer-ed"}


def dissection() -> Stay:
    chart = Chart(
        "us-transfer",
        "US Core",
        "transfer; destination; an infusion's rate; reason only at the emergency encounter; encounter typed references",
        start="2026-11-03T01:20:00-08:00",
        end="2026-11-03T06:55:00-08:00",
        disposition="other-hcf",
    )
    epic(chart, "159753", ssn="xxx-xx-3021")
    named(chart, "Nakagawa", "Kenji", born="1966-07-07", gender="male")
    signed(chart, "Lucia", "Marchetti")
    there = chart.add("Organization", name="Bayview University Hospital")
    chart.encounter["hospitalization"]["destination"] = chart.ref(there)
    chart.says(
        "critical",
        "disposition",
        "to another hospital",
        item("other (healthcare|health care|hospital)|bayview|transfer|another", under=DISPOSITION),
    )
    chart.says("high", "disposition", "to Bayview University Hospital", "Bayview University")
    emergency = chart.add(
        "Encounter",
        id=EMERGENCY["reference"].partition("/")[2],
        status="finished",
        subject=chart.ref(chart.patient),
        period={"start": "2026-11-02T23:50:00-08:00", "end": "2026-11-03T01:20:00-08:00"},
        reasonCode=[{"text": "Tearing chest pain"}],
    )
    emergency["class"] = {"system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": "EMER"}
    chart.says("high", "reason", "tearing chest pain, told in the emergency department", "tearing chest pain")
    _course(chart)
    _medicines(chart)
    return chart.stay(serve=Serve(ids="typed"), time_zone="America/Los_Angeles")


def _course(chart: Chart) -> None:
    chart.diagnosis(chart.condition("Type A aortic dissection", (ICD10CM, "I71.010")), "DD", 1)
    chart.says("critical", "diagnosis", "type A dissection", item("type A aortic dissection", under=PRINCIPAL))
    chart.condition("Pulmonary embolism", clinical=None, verification="refuted")
    chart.report(
        "CT angiography chest",
        "Type A dissection from the aortic root to the left iliac artery.",
        at="2026-11-03T00:40:00-08:00",
        encounter=EMERGENCY,
    )
    chart.says("critical", "report", "the CT of the emergency department", "left iliac artery")
    chart.lab("Lactate", 4.44, "mmol/L", (LOINC, "2524-7"), high=2.0, flag="H")
    chart.says("high", "laboratory", "lactate 4.44", item("lactate", number("4.44"), under=ABNORMAL))
    chart.lab("D-dimer", 20, "ug/mL{FEU}", comparator=">", referenceRange=[{"text": "< 0.50"}])
    chart.says(
        "high", "laboratory", "D-dimer above 20", item("D-dimer", "(>|above|over|more than) ?20", under=ABNORMAL)
    )
    chart.vital("Heart rate", 58, "/min", (LOINC, "8867-4"), at="2026-11-03T06:40:00-08:00")
    chart.observation(
        "Blood pressure",
        (LOINC, "85354-9"),
        category="vital-signs",
        at="2026-11-03T06:40:00-08:00",
        component=[
            panel_part("Systolic blood pressure", 108, "mm[Hg]"),
            panel_part("Diastolic blood pressure", 62, "mm[Hg]"),
        ],
    )
    chart.says(
        "critical",
        "vital sign",
        "blood pressure 108/62 at the transfer",
        r"108 ?(mm ?\[?hg\]?)? ?/ ?62",
        together("systolic.* 108", "diastolic.* 62", under=VITALS),
    )


def _medicines(chart: Chart) -> None:
    chart.medicine(
        "esmolol 10 mg/mL infusion",
        dosage(route="Intravenous", doseAndRate=[{"rateQuantity": quantity(150, "ug/kg/min")}]),
        category="inpatient",
    )
    chart.says("critical", "medicine", "esmolol 150 mcg/kg/min", r"esmolol.*150 ?(mcg|ug|µg|μg)/kg/min")
    chart.administration(
        "fentanyl", {"dose": quantity(100, "ug"), "route": {"text": "Intravenous"}}, at="2026-11-03T02:05:00-08:00"
    )
    chart.says("medium", "medicine", "fentanyl given", item("fentanyl", under=GIVEN))
    chart.never("critical", "medicine status", "esmolol to take at home", item("esmolol", under=HOME))
    chart.home_medicine("losartan 100 mg tablet", dosage("Take 1 tablet by mouth daily."))
    chart.never(
        "critical",
        "medicine status",
        "losartan as continued or stopped: nobody said so",
        item("losartan.*[—–-] ?(continued|stopped|unchanged)", under=RECONCILIATION),
        item("losartan", under=HOME),
    )
    chart.says("high", "medicine status", "losartan was taken at home", "losartan")
    chart.allergy(
        "Iodinated contrast media", reaction="Urticaria", recorded="2026-11-03T00:30:00-08:00", encounter=EMERGENCY
    )
    chart.says("critical", "allergy", "contrast media", item("contrast", under=ALLERGIES))
