"""A death in intensive care, a transplanted patient with late results, and a bleeding over several encounters."""

from base64 import b64encode

from tests.stays.build import Chart
from tests.stays.elements import LOINC, dosage, exact
from tests.stays.model import Stay
from tests.stays.words import ABNORMAL, DISPOSITION, FOLLOW_UP, HOME, NOT_TAKEN, PENDING, item, mg, number, taken


def icu_death() -> Stay:
    chart = Chart(
        "icu-death",
        "review",
        "orders for home that were written before the death, a later visit, an autopsy, an older code status",
        start="2026-10-01T02:00:00Z",
        end="2026-10-06T04:12:00Z",
        disposition="exp",
    )
    chart.patient |= {"birthDate": "1952-02-02", "deceasedDateTime": "2026-10-06T04:12:00Z"}
    chart.diagnosis(chart.condition("Septic shock"), rank=1)
    chart.says("critical", "outcome", "died", item("died|death|deceased|expired"))
    chart.medicine("ciprofloxacin 500 mg tablet", dosage("1 tablet twice daily"), at="2026-10-04T10:00:00Z")
    chart.never("critical", "medicine status", "ciprofloxacin to take", taken("ciprofloxacin"))
    chart.appointment("Pulmonary clinic", "2026-10-20T10:00:00Z")
    chart.never("critical", "follow-up", "a visit of a dead patient", item("pulmonary clinic", under=FOLLOW_UP))
    chart.care_plan("Take all antibiotics until finished")
    chart.never("critical", "care plan", "instructions for a dead patient", item("take all antibiotics"))
    chart.order("Full code", at="2026-10-01T02:30:00Z", status="revoked")
    chart.order("DNR/DNI, comfort measures only", at="2026-10-05T20:00:00Z")
    chart.says("critical", "code status", "DNR at last", item("DNR"))
    chart.never("high", "code status", "full code now", item(r"full code(?!.*(revoked|until|earlier|replaced))"))
    chart.order("Autopsy", status="active", at="2026-10-06T05:00:00Z")
    chart.says("high", "pending", "autopsy asked for", item("autopsy", "order|request"), anywhere=True)
    chart.never("medium", "allergy", "a question to a patient who died", item("ask the patient"))
    chart.procedure("Withdrawal of mechanical ventilation", at="2026-10-06T03:30:00Z")
    chart.says("high", "procedure", "ventilation withdrawn", item("withdrawal of mechanical"))
    return chart.stay()


def transplant() -> Stay:
    chart = Chart(
        "late-results",
        "review",
        "an amended report, a preliminary culture, results after the discharge, release forms of tacrolimus",
        start="2026-11-02T09:00:00Z",
        end="2026-11-06T12:00:00Z",
    )
    chart.patient |= {"gender": "male", "birthDate": "1968-06-06"}
    chart.diagnosis(chart.condition("Acute pyelonephritis of kidney transplant"), rank=1)
    chart.home_medicine("Prograf 1 mg capsule (tacrolimus)", dosage("3 mg twice daily", dose=(3, "mg"), frequency=2))
    chart.medicine(
        "Envarsus XR (tacrolimus extended-release) 4 mg tablet",
        dosage("4 mg every morning", dose=(4, "mg"), frequency=1),
        note=[{"text": "Replaces Prograf. Do NOT take both."}],
    )
    chart.says("critical", "dose", "Envarsus 4 mg", item("envarsus", mg("4"), under=HOME))
    chart.says("critical", "dose", "not both", item("envarsus|tacrolimus", "not take both"))
    chart.never("critical", "medicine status", "tacrolimus continued", item("tacrolimus", "continued"))
    first = chart.report("CT abdomen", "No abscess.", status="final", issued="2026-11-03T10:00:00Z")
    first["status"] = "entered-in-error"
    chart.report("CT abdomen", "2 cm perinephric abscess. Amended.", status="amended", issued="2026-11-03T15:00:00Z")
    chart.says("critical", "report", "abscess", item("perinephric abscess"))
    chart.never("critical", "report", "no abscess", item("no abscess"))
    chart.report("Urine culture", "Gram-negative rods, identification to follow", category="MB", status="preliminary")
    chart.says("critical", "pending", "culture is preliminary", item("urine culture", under=PENDING))
    chart.lab("Tacrolimus trough", exact("18.9"), "ng/mL", low=5, high=10, at="2026-11-06T07:00:00Z",
              issued="2026-11-07T09:00:00Z", flag="H")  # fmt: skip
    chart.says("critical", "laboratory", "late trough level is named", item("tacrolimus trough"), anywhere=True)
    data = b64encode(b"%PDF-1.4 not readable").decode()
    chart.report(
        "Echocardiography", None, category="CUS", presentedForm=[{"contentType": "application/pdf", "data": data}]
    )
    chart.says("high", "report", "echocardiography has a file", item("echocardiography", "file|attach"), anywhere=True)
    return chart.stay()


def bleeding() -> Stay:
    chart = Chart(
        "many-encounters",
        "review",
        "an emergency visit before, an earlier stay in the same week, a device and a wound, an insulin scale",
        start="2026-12-04T20:00:00Z",
        end="2026-12-09T14:00:00Z",
        disposition="snf",
    )
    chart.patient["birthDate"] = "1940-01-15"
    chart.diagnosis(chart.condition("Bleeding duodenal ulcer"), rank=1)
    before = chart.of_stay(
        "Encounter",
        status="finished",
        encounter=None,
        period={"start": "2026-11-29T08:00:00Z", "end": "2026-12-02T10:00:00Z"},
    )
    before["class"] = {"code": "IMP"}
    earlier = {"encounter": chart.ref(before)}
    chart.condition("Urinary tract infection", recordedDate="2026-11-29", **earlier)
    chart.lab("Haemoglobin", 13.1, "g/dL", (LOINC, "718-7"), low=12, at="2026-11-30T08:00:00Z", **earlier)
    chart.medicine("naproxen 500 mg tablet", dosage("twice daily"), at="2026-12-02T09:00:00Z", **earlier)
    chart.never("critical", "medicine status", "naproxen of the earlier stay to take", taken("naproxen"))
    chart.says("critical", "medicine status", "naproxen is not lost", "naproxen", anywhere=True)
    chart.lab("Haemoglobin", 6.2, "g/dL", (LOINC, "718-7"), low=12, flag="LL", at="2026-12-04T20:30:00Z")
    chart.says("critical", "laboratory", "haemoglobin 6.2", item("haemoglobin", number("6.2"), under=ABNORMAL))
    chart.never("critical", "laboratory", "haemoglobin of the earlier stay", item("haemoglobin", number("13.1")))
    chart.home_medicine("aspirin 81 mg", dosage("once daily"))
    chart.medicine(
        "aspirin 81 mg", dosage("once daily"), status="on-hold", note=[{"text": "restart 16 December if no bleeding"}]
    )
    chart.says("critical", "medicine status", "aspirin held, restart date", item("aspirin", "16 dec", under=NOT_TAKEN))
    chart.medicine(
        "insulin lispro 100 unit/mL",
        dosage("2 units if glucose 150-199; 4 units if 200-249; 6 units if 250 or more; before meals", route="SC"),
    )
    chart.says("critical", "dose", "the insulin scale is whole", taken("lispro", "150-199", "250 or more"))
    chart.medicine(
        "pantoprazole 40 mg EC tablet",
        dosage("40 mg twice daily for 8 weeks, then 40 mg once daily", dose=(40, "mg"), frequency=2, days=56),
    )
    chart.never("critical", "dose", "once daily for 56 days", item("pantoprazole", "once daily,? for 56 days"))
    chart.says(
        "critical", "dose", "pantoprazole, then once daily", taken("pantoprazole", "8 weeks", "then .*once daily")
    )
    chart.says("high", "disposition", "skilled nursing facility", item("skilled nursing", under=DISPOSITION))
    return chart.stay()
