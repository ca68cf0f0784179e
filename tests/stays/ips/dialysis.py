"""Dialysis: devices in place, doses at sessions, phosphate binders with meals, potassium that came twice."""

from tests.stays.build import Chart
from tests.stays.elements import LOINC, SNOMED, coded, dosage, exact
from tests.stays.habits import named, signed
from tests.stays.model import Pattern, Stay
from tests.stays.words import (
    ABNORMAL,
    ALLERGIES,
    DEVICES,
    DIAGNOSES,
    PRINCIPAL,
    PROCEDURES,
    THREE_TIMES,
    WEEKLY,
    day,
    item,
    number,
    taken,
)


def dialysis() -> Stay:
    chart = Chart(
        "ips-dialysis",
        "IPS",
        "dates without times; devices; doses on session days; corrected results",
        start="2026-08-03",
        end="2026-08-07",
    )
    named(chart, "Yilmaz", "Emre", born="1960-02-29", gender="male")
    signed(chart, "Nilufer", "Aksoy")
    chart.says("high", "dates", "3 to 7 August", f"{day('2026-08-03')}.*{day('2026-08-07')}")
    _diagnoses(chart)
    _results(chart)
    _devices(chart)
    _medicines(chart)
    _aftercare(chart)
    return chart.stay(time_zone="Europe/Istanbul")


def _diagnoses(chart: Chart) -> None:
    chart.diagnosis(chart.condition("", (SNOMED, "14140009", "Hyperkalemia")), "DD", 1)
    chart.says("critical", "diagnosis", "hyperkalemia", item("hyperkalemia", under=PRINCIPAL))
    chart.condition("", (SNOMED, "46177005", "End-stage renal disease"), category="problem-list-item", encounter=None)
    chart.says("critical", "diagnosis", "end-stage renal disease", item("end-stage renal", under=DIAGNOSES))
    chart.condition(
        "",
        (SNOMED, "59927004", "Hepatic failure"),
        category="problem-list-item",
        encounter=None,
        verification="entered-in-error",
        clinical=None,
    )
    chart.never("critical", "diagnosis", "hepatic failure, entered in error", "hepatic failure")


def _results(chart: Chart) -> None:
    for at, value, flag in (("2026-08-03T06:00:00+03:00", 7.6, "HH"), ("2026-08-07T06:00:00+03:00", 4.9, None)):
        chart.lab("Potassium", value, "mmol/L", (LOINC, "2823-3"), low=3.5, high=5.1, flag=flag, at=at)
    chart.says(
        "critical",
        "laboratory",
        "potassium from 7.6 to 4.9",
        item("potassium", number("7.6"), number("4.9"), under=ABNORMAL),
    )
    chart.lab("Hepatitis B surface antibody", "8,4 mIU/mL", referenceRange=[{"text": ">10 mIU/mL: immune"}])
    chart.says("high", "laboratory", "hepatitis B antibody 8,4", item("hepatitis B surface antibody", r"8[.,]4"))
    chart.lab(
        "Parathyroid hormone", 112.5, "pmol/L", (LOINC, "2731-8"), status="corrected", low=1.6, high=6.9, flag="H"
    )
    chart.says("high", "laboratory", "PTH 112.5", item("parathyroid", number("112.5"), under=ABNORMAL))
    chart.lab("Calcium, ionized", 1.1275, "mmol/L", low=1.15, high=1.33)
    chart.says(
        "high",
        "laboratory",
        "ionized calcium 1.1275, below its range",
        item("calcium", number("1.1275"), under=ABNORMAL),
    )
    chart.lab("Troponin T", 61, "ng/L", (LOINC, "67151-1"), high=14)
    chart.lab(
        "Troponin T",
        61,
        "ng/L",
        (LOINC, "67151-1"),
        high=14,
        interpretation=[{"text": "Normal for dialysis"}],
        at="2026-08-04T06:00:00+03:00",
    )
    chart.says("medium", "laboratory", "troponin 61 is told", item("troponin", number("61")))


def _devices(chart: Chart) -> None:
    fistula = chart.add(
        "Device",
        type=coded(SNOMED, "360046004", "Arteriovenous fistula, left forearm"),
        patient=chart.ref(chart.patient),
    )
    chart.add(
        "DeviceUseStatement",
        status="active",
        subject=chart.ref(chart.patient),
        device=chart.ref(fistula),
        timingPeriod={"start": "2021-03"},
        bodySite={"text": "Left forearm"},
    )
    chart.says("critical", "device", "fistula on the left", item("fistula", "left", under=DEVICES), "fistula.*left")
    chart.never("medium", "device", "the fistula twice", Pattern("fistula.*fistula", DEVICES, whole=True))
    catheter = chart.add(
        "Device",
        type={"text": "Temporary dialysis catheter, right jugular"},
        patient=chart.ref(chart.patient),
        status="active",
    )
    chart.add(
        "DeviceUseStatement",
        status="completed",
        subject=chart.ref(chart.patient),
        device=chart.ref(catheter),
        timingPeriod={"start": "2026-08-03", "end": "2026-08-06"},
    )
    chart.never(
        "high",
        "device",
        "the temporary catheter as in place",
        "^(?!.*(remov|until|2026-08-06|6 aug|ended)).*temporary dialysis catheter",
    )
    chart.procedure("Hemodialysis", at="2026-08-03T08:00:00+03:00", outcome={"text": "Potassium 5,2 after four hours"})
    chart.says("critical", "procedure", "hemodialysis", item("hemodialysis", under=PROCEDURES))


def _medicines(chart: Chart) -> None:
    chart.medicine(
        "Darbepoetin alfa 40 µg",
        dosage(
            dose=(40, "ug"),
            route="Intravenous",
            frequency=1,
            period=1,
            unit="wk",
            repeat={"dayOfWeek": ["wed"]},
            additionalInstruction=[{"text": "at the end of dialysis"}],
        ),
    )
    chart.says(
        "critical",
        "dose",
        "darbepoetin 40 µg once a week",
        taken("darbepoetin", r"40 ?(mcg|ug|µg|μg)", WEEKLY + "|wed"),
    )
    chart.says("medium", "dose", "at the end of dialysis", "end of dialysis")
    chart.medicine(
        "Sevelamer 800 mg",
        dosage(
            dose=(2, "tablet"), route="Oral", repeat={"frequency": 3, "period": 1, "periodUnit": "d", "when": ["C"]}
        ),
    )
    chart.says(
        "critical",
        "dose",
        "sevelamer 2 tablets three times a day with meals",
        taken("sevelamer", r"\b2 tab", THREE_TIMES + "|with (meals|food)|meal"),
    )
    chart.medicine(
        "Alfacalcidol 0.25 µg", dosage(dose=(exact("0.250"), "ug"), route="Oral", frequency=1, period=2, unit="d")
    )
    chart.says(
        "critical",
        "dose",
        "alfacalcidol 0.25 µg every other day",
        taken("alfacalcidol", r"(?<![\d.,])0\.250? ?(mcg|ug|µg|μg)", "every (other|second|2) d|every 48 h|alternate d"),
    )
    chart.medicine(
        "Enoxaparin",
        dosage(dose=(20, "mg"), route="Subcutaneous"),
        doNotPerform=True,
        reasonCode=[{"text": "Bleeding from the fistula"}],
    )
    chart.never("critical", "medicine status", "enoxaparin, not to be given", taken("enoxaparin"))
    chart.home_medicine("Spironolactone 25 mg", dosage("25 mg daily"))
    chart.medicine(
        "Spironolactone 25 mg", dosage("25 mg daily"), status="stopped", statusReason={"text": "Hyperkalemia"}
    )
    chart.says(
        "critical",
        "medicine status",
        "spironolactone was stopped",
        "spironolactone.*stop|stop.*spironolactone",
        item("spironolactone", under=("not to take|stopped",)),
    )
    chart.never("critical", "medicine status", "spironolactone to take", taken("spironolactone"))


def _aftercare(chart: Chart) -> None:
    chart.order(
        "Hemodialysis three times a week",
        intent="order",
        occurrenceTiming={
            "repeat": {"dayOfWeek": ["mon", "wed", "fri"], "frequency": 1, "period": 1, "periodUnit": "wk"}
        },
    )
    chart.says("critical", "follow-up", "dialysis three times a week", "hemodialysis three times a week")
    chart.allergy("Cefazolin", recorded="2026-08-05", reaction="Anaphylaxis", verification="presumed")
    chart.says("critical", "allergy", "cefazolin", item("cefazolin", under=ALLERGIES))
