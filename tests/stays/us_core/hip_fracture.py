"""Hip fracture: an implant, blood loss, complications, wound care, weekly and time-limited medicines."""

from tests.stays.build import Chart
from tests.stays.elements import ICD10CM, LOINC, UCUM, dosage, quantity
from tests.stays.habits import local, named, oracle, signed
from tests.stays.model import Stay
from tests.stays.words import (
    ABNORMAL,
    ACQUIRED,
    AFTERCARE,
    ALLERGIES,
    AS_NEEDED,
    DAILY,
    DIAGNOSES,
    DISPOSITION,
    PRINCIPAL,
    PROCEDURES,
    REPORTS,
    WEEKLY,
    day,
    item,
    mg,
    number,
    taken,
)


def hip_fracture() -> Stay:
    chart = Chart(
        "us-hip",
        "US Core",
        "implant, complication, followUp of an operation; expectedSupplyDuration; dayOfWeek; devices left in",
        start="2026-07-11T16:45:00-07:00",
        end="2026-07-17T10:30:00-07:00",
        disposition="snf",
    )
    oracle(chart, "20067713")
    named(chart, "Ferreira", "Consuelo", born="1938-08-19", gender="female", before="Benavides")
    signed(chart, "Rhys", "Morgan")
    _diagnoses(chart)
    _operation(chart)
    _results(chart)
    _medicines(chart)
    _aftercare(chart)
    return chart.stay(time_zone="America/Los_Angeles")


def _diagnoses(chart: Chart) -> None:
    chart.diagnosis(chart.condition("Displaced fracture of the left femoral neck", (ICD10CM, "S72.002A")), "CC", 1)
    chart.says("critical", "diagnosis", "left femoral neck fracture", item("left femoral neck", under=PRINCIPAL))
    ulcer = chart.condition("Pressure ulcer of sacrum, stage 2", onsetDateTime="2026-07-14", recordedDate="2026-07-14")
    chart.diagnosis(ulcer, "CM", 2)
    chart.says(
        "critical",
        "diagnosis",
        "sacral pressure ulcer",
        item("pressure ulcer of sacrum", under=(*ACQUIRED, *DIAGNOSES)),
    )
    chart.condition("Postoperative anemia", onsetDateTime="2026-07-12")
    chart.says("high", "diagnosis", "postoperative anemia", item("postoperative anemia", under=(*ACQUIRED, *DIAGNOSES)))
    chart.condition("Deep vein thrombosis of left leg", clinical=None, verification="refuted")
    chart.never(
        "critical",
        "diagnosis",
        "thrombosis, which was ruled out",
        item("^(?!.*(ruled out|refuted)).*thrombosis", under=DIAGNOSES),
    )
    chart.condition("Osteoporosis", category="problem-list-item", encounter=None)
    chart.says("medium", "diagnosis", "osteoporosis", item("osteoporosis", under=DIAGNOSES))
    chart.never("high", "identity", "the maiden name", "Benavides")


def _operation(chart: Chart) -> None:
    prosthesis = chart.add(
        "Device",
        deviceName=[{"name": "Cemented bipolar hip prosthesis, 46 mm head", "type": "model-name"}],
        patient=chart.ref(chart.patient),
    )
    chart.procedure(
        "Left hip hemiarthroplasty",
        at=None,
        performedDateTime=None,
        performedPeriod={"start": "2026-07-12T08:05:00-07:00", "end": "2026-07-12T09:40:00-07:00"},
        focalDevice=[{"action": {"text": "Implanted"}, "manipulated": chart.ref(prosthesis)}],
        complication=[{"text": "Intraoperative hypotension"}],
        followUp=[{"text": "Remove staples on postoperative day 14"}],
        note=[{"text": "Estimated blood loss 350 mL. Spinal anesthesia."}],
        bodySite=[{"text": "Left hip"}],
    )
    chart.says(
        "critical",
        "procedure",
        "left hemiarthroplasty on 12 July",
        item("left hip hemiarthroplasty", day("2026-07-12"), under=PROCEDURES),
    )
    chart.says("high", "procedure", "hypotension in the operation", "intraoperative hypotension")
    chart.says("critical", "follow-up", "staples out on day 14", "staples.*day 14")
    chart.says("high", "follow-up", "and the patient reads it", item("staples.*day 14", under=AFTERCARE))
    chart.says("medium", "procedure", "350 mL of blood lost", "350 ?mL")
    chart.says("high", "device", "bipolar prosthesis", "bipolar hip prosthesis")
    for text, status, timing in (
        ("Foley catheter", "completed", {"start": "2026-07-12", "end": "2026-07-14"}),
        ("Peripherally inserted central catheter, right arm", "active", {"start": "2026-07-13"}),
    ):
        device = chart.add("Device", type={"text": text}, patient=chart.ref(chart.patient))
        chart.add(
            "DeviceUseStatement",
            status=status,
            subject=chart.ref(chart.patient),
            device=chart.ref(device),
            timingPeriod=timing,
        )
    chart.says("critical", "device", "PICC still in", item("peripherally inserted central catheter|PICC"))
    chart.never(
        "high", "device", "Foley catheter as in place", "^(?!.*(remov|until|2026-07-14|completed|14 jul|ended)).*foley"
    )


def _results(chart: Chart) -> None:
    for at, value, flag in (
        ("2026-07-11T17:00:00-07:00", 11.9, None),
        ("2026-07-13T06:00:00-07:00", 7.4, "LL"),
        ("2026-07-17T06:00:00-07:00", 8.8, "L"),
    ):
        chart.lab("Hemoglobin", value, "g/dL", (LOINC, "718-7"), low=11.6, high=15, flag=flag, at=at)
    chart.says(
        "critical",
        "laboratory",
        "hemoglobin down to 7.4, 8.8 at last",
        item("hemoglobin", number("7.4"), number("8.8"), under=ABNORMAL),
    )
    chart.lab("Vitamin D, 25-hydroxy", 9, "ng/mL", comparator="<", low=30, high=100, flag="L")
    chart.says(
        "high", "laboratory", "vitamin D below 9", item("vitamin D", "(<|below|under|less than) ?9", under=ABNORMAL)
    )
    chart.report("X-ray of pelvis", "Displaced fracture of the left femoral neck. Right hip unremarkable.")
    chart.says("high", "report", "x-ray", item("pelvis", "left femoral neck", under=REPORTS))
    chart.observation(
        "Barthel index total score",
        (LOINC, "96761-2"),
        category="survey",
        at="2026-07-16T10:00:00-07:00",
        valueQuantity=quantity(45, "{score}"),
    )
    chart.says("high", "function", "Barthel 45", item("barthel", number("45")))


def _medicines(chart: Chart) -> None:
    chart.medicine(
        "enoxaparin 40 mg/0.4 mL syringe",
        dosage(dose=(40, "mg"), route="Subcutaneous", frequency=1),
        dispenseRequest={"expectedSupplyDuration": {"value": 28, "unit": "days", "system": UCUM, "code": "d"}},
    )
    chart.says(
        "critical", "dose", "enoxaparin 40 mg daily for 28 days", taken("enoxaparin", mg("40"), DAILY, "28 d|4 weeks")
    )
    chart.medicine(
        "alendronate 70 mg tablet",
        dosage(
            dose=(70, "mg"),
            route="Oral",
            repeat={"dayOfWeek": ["sun"], "frequency": 1, "period": 1, "periodUnit": "wk"},
            patientInstruction="Swallow with a full glass of water and stay upright for 30 minutes",
        ),
    )
    chart.says("critical", "dose", "alendronate 70 mg on Sundays", taken("alendronate", mg("70"), r"sun|" + WEEKLY))
    chart.never(
        "critical", "dose", "alendronate every day", r"alendronate[^;|]*70 ?mg[^;|]*\b(daily|every day|once a day)"
    )
    chart.says("medium", "dose", "upright for 30 minutes", "upright for 30 min")
    chart.medicine(
        "oxycodone 5 mg tablet",
        dosage("2.5-5 mg PO q6h PRN pain, max 4 doses/day", dose=(2.5, 5, "mg"), as_needed="pain"),
        dispenseRequest={"expectedSupplyDuration": quantity(3, "d")},
    )
    chart.says(
        "critical",
        "dose",
        "oxycodone 2.5-5 mg as needed",
        taken("oxycodone", r"2\.5 ?(mg)? ?(-|–|to) ?5 ?mg", AS_NEEDED),
    )
    chart.home_medicine("zolpidem 10 mg tablet", dosage("10 mg at bedtime"))
    chart.medicine(
        "zolpidem 10 mg tablet", dosage("10 mg at bedtime"), status="stopped", statusReason={"text": "Falls"}
    )
    chart.says(
        "critical",
        "medicine status",
        "zolpidem was stopped",
        "zolpidem.*(stop|discontin)|(stop|discontin).*zolpidem",
        item("zolpidem", under=("not to take|stopped",)),
    )
    chart.says("high", "medicine status", "because of falls", "zolpidem.*fall")
    chart.never("critical", "medicine status", "zolpidem to take", taken("zolpidem"))


def _aftercare(chart: Chart) -> None:
    chart.order("Wound care: dry dressing to left hip every other day", category=local("Nursing"))
    chart.says("high", "care plan", "dressing every other day", "dry dressing.*every other day")
    chart.order("Weight bearing as tolerated, left leg", category=local("Activity"))
    chart.says("high", "care plan", "weight bearing as tolerated", "weight bearing as tolerated")
    chart.appointment("Orthopedic follow-up", "2026-07-27T08:15:00-07:00", with_="Harborview Orthopedics")
    chart.says("critical", "follow-up", "orthopedics on 27 July", item("orthop", day("2026-07-27"), under=AFTERCARE))
    chart.says("critical", "disposition", "skilled nursing facility", item("skilled nursing", under=DISPOSITION))
    chart.allergy("Morphine", reaction="Vomiting", type="intolerance")
    chart.says("critical", "allergy", "morphine", item("morphine", under=ALLERGIES))
