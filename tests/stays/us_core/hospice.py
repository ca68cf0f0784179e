"""Cancer, to hospice: directives as Consent and Flag, opioids by small volumes, patches, therapy that ended."""

from tests.stays.build import Chart
from tests.stays.elements import ICD10CM, LOINC, coded, dosage, hl7
from tests.stays.habits import epic, local, named, signed
from tests.stays.model import Stay
from tests.stays.words import (
    ABNORMAL,
    ALLERGIES,
    AS_NEEDED,
    CODE_STATUS,
    DEVICES,
    DIAGNOSES,
    DISPOSITION,
    PRINCIPAL,
    PROCEDURES,
    THREE_TIMES,
    item,
    mg,
    number,
    taken,
)


def hospice() -> Stay:
    chart = Chart(
        "us-hospice",
        "US Core",
        "code status by Consent and Flag; mL and mg of one dose; every 72 hours; cancelled visits",
        start="2026-10-02T13:00:00-06:00",
        end="2026-10-06T15:30:00-06:00",
        disposition="hosp",
    )
    epic(chart, "881356", ssn="xxx-xx-4410")
    named(chart, "Rosenthal", "Miriam", born="1955-05-29", gender="female")
    signed(chart, "Curtis", "Delgado")
    chart.says("critical", "disposition", "to hospice", item("hospice", under=DISPOSITION))
    _diagnoses(chart)
    _findings(chart)
    _medicines(chart)
    _aftercare(chart)
    return chart.stay(time_zone="America/Denver")


def _diagnoses(chart: Chart) -> None:
    chart.diagnosis(chart.condition("Malignant bowel obstruction", (ICD10CM, "K56.69")), "DD", 1)
    chart.says("critical", "diagnosis", "malignant bowel obstruction", item("bowel obstruction", under=PRINCIPAL))
    chart.condition(
        "Ovarian cancer, metastatic to peritoneum",
        (ICD10CM, "C56.9"),
        category="problem-list-item",
        encounter=None,
        stage=[{"summary": {"text": "Stage IIIC"}}],
        severity={"text": "Severe"},
    )
    chart.says("critical", "diagnosis", "ovarian cancer", item("ovarian cancer", under=DIAGNOSES))
    chart.says("medium", "diagnosis", "stage IIIC", "ovarian cancer.*IIIC")
    chart.add(
        "Consent",
        status="active",
        patient=chart.ref(chart.patient),
        scope=hl7("consentscope", "adr"),
        category=[coded(LOINC, "75320-2", "Advance directive"), {"text": "POLST: comfort-focused treatment"}],
        dateTime="2026-10-05",
    )
    chart.says("critical", "code status", "comfort-focused treatment", "comfort-focused")
    chart.of_stay(
        "Flag",
        status="active",
        category=[{"text": "Code status"}],
        code={"text": "DNR/DNI"},
        period={"start": "2026-10-03"},
    )
    chart.says(
        "critical", "code status", "DNR/DNI", item("DNR ?/ ?DNI", under=CODE_STATUS), "(code status|resuscitat).*DNR"
    )
    chart.of_stay(
        "Flag",
        status="inactive",
        category=[{"text": "Code status"}],
        code={"text": "Full code"},
        period={"start": "2026-10-02", "end": "2026-10-03"},
    )
    chart.never(
        "critical",
        "code status",
        "full code, which has ended",
        "^(?!.*(before|former|until|previous|inactive|ended)).*full code",
    )


def _findings(chart: Chart) -> None:
    chart.lab("Albumin", 1.9, "g/dL", (LOINC, "1751-7"), low=3.5, high=5.2, flag="L")
    chart.says("high", "laboratory", "albumin 1.9", item("albumin", number("1.9"), under=ABNORMAL))
    chart.lab("CA-125", 10000, "U/mL", comparator=">", high=35, flag="H")
    chart.says(
        "high",
        "laboratory",
        "CA-125 above 10,000",
        item("CA-?125", "(>|above|over|more than) ?10,?000", under=ABNORMAL),
    )
    chart.lab("Magnesium", 0.0009, "mmol/L", status="cancelled")
    chart.never("medium", "laboratory", "a cancelled magnesium", "0\\.0009")
    chart.report("CT abdomen", "Multiple transition points. Venting gastrostomy in place.", status="amended")
    chart.says("high", "report", "amended CT", "multiple transition points")
    chart.procedure(
        "Venting gastrostomy tube placement",
        at="2026-10-04T10:00:00-06:00",
        followUp=[{"text": "Flush with 30 mL of water twice daily"}],
    )
    chart.says("critical", "procedure", "venting gastrostomy", item("gastrostomy", under=(*PROCEDURES, *DEVICES)))
    chart.says("high", "care plan", "flush the tube twice daily", "flush with 30 ?mL")
    chart.allergy(
        "Asked, not known",
        clinical=None,
        verification="unconfirmed",
        code={"text": "Allergies not reviewed: patient too ill"},
    )
    chart.never(
        "critical",
        "allergy",
        "no known allergies: nobody could ask",
        item("no known allerg|none known", under=ALLERGIES),
    )


def _medicines(chart: Chart) -> None:
    chart.medicine(
        "morphine concentrate 100 mg/5 mL (20 mg/mL) oral solution",
        dosage("Take 0.25 mL (5 mg total) by mouth or under the tongue every 2 hours as needed for pain or dyspnea."),
    )
    chart.says(
        "critical",
        "dose",
        "morphine 0.25 mL (5 mg) every 2 hours as needed",
        taken("morphine", r"(?<![\d.])0\.25 ?mL", mg("5"), "every 2 h|q2h", AS_NEEDED),
    )
    chart.never("critical", "dose", "morphine 25 mL", r"morphine.*(?<![\d.])25 ?mL")
    chart.medicine(
        "fentanyl 25 mcg/hr transdermal patch",
        dosage(dose=(1, "patch"), route="Transdermal", frequency=1, period=72, unit="h"),
    )
    chart.says(
        "critical",
        "dose",
        "fentanyl patch every 72 hours",
        taken("fentanyl", "every (72 ?h|3 days|three days)|q72h|72-hourly"),
    )
    chart.medicine("octreotide 100 mcg/mL injection", dosage(dose=(100, "ug"), route="Subcutaneous", frequency=3))
    chart.says(
        "critical",
        "dose",
        "octreotide 100 mcg three times a day",
        taken("octreotide", r"100 ?(mcg|ug|µg|μg)", THREE_TIMES),
    )
    chart.medicine(
        "haloperidol 2 mg/mL oral concentrate",
        dosage(dose=(0.5, 1, "mg"), route="Oral", frequency=1, period=6, unit="h", as_needed="Nausea"),
    )
    chart.says(
        "critical",
        "dose",
        "haloperidol 0.5-1 mg as needed for nausea",
        taken("haloperidol", r"0\.5 ?(mg)? ?(-|–|to) ?1 ?mg", AS_NEEDED, "nausea"),
    )
    chart.home_medicine("olaparib 150 mg tablet", dosage("300 mg by mouth 2 times daily"))
    chart.medicine(
        "olaparib 150 mg tablet",
        dosage("300 mg by mouth 2 times daily"),
        status="stopped",
        statusReason={"text": "Goals of care: comfort"},
    )
    chart.says(
        "critical",
        "medicine status",
        "olaparib was stopped",
        "olaparib.*(stop|discontin)|(stop|discontin).*olaparib",
        item("olaparib", under=("not to take|stopped",)),
    )
    chart.never("critical", "medicine status", "olaparib to take", taken("olaparib"))


def _aftercare(chart: Chart) -> None:
    chart.appointment("Infusion center: carboplatin", "2026-10-12T08:00:00-06:00", status="cancelled")
    chart.never("critical", "follow-up", "cancelled carboplatin", "^(?!.*cancel).*carboplatin")
    chart.order(
        "Hospice evaluation and care at home",
        category=local("Referral"),
        performer=[{"display": "Mountain Light Hospice"}],
    )
    chart.says("high", "follow-up", "hospice at home by Mountain Light", "hospice evaluation", "Mountain Light")
    chart.of_stay(
        "CareTeam",
        status="active",
        participant=[{"role": [{"text": "Caregiver"}], "member": {"display": "Daniel Rosenthal (son)"}}],
    )
    chart.says("medium", "care team", "the son cares", "Daniel Rosenthal")
