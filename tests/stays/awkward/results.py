"""Results: every kind of value, codes that nobody displays, reports that were corrected, dates of every precision."""

from tests.stays.awkward.chart import awkward
from tests.stays.elements import HL7, ICD10CM, LOINC, SNOMED, coded, concept, exact, hl7, quantity
from tests.stays.model import Stay
from tests.stays.words import (
    ABNORMAL,
    ALLERGIES,
    DIAGNOSES,
    LABS,
    NO_RANGE,
    NORMAL,
    PENDING,
    PRINCIPAL,
    PROCEDURES,
    REPORTS,
    VITALS,
    day,
    item,
    number,
    taken,
)

ABSENT = "http://hl7.org/fhir/StructureDefinition/data-absent-reason"


def values() -> Stay:
    chart = awkward("values", "text with numbers, ratios, ranges, whole numbers, booleans, components, absent values")
    chart.says("critical", "identity", "the patient's number", r"MRN:? ?AW/values")
    chart.diagnosis(chart.condition("Leptospirosis"), rank=1)
    chart.says("critical", "diagnosis", "leptospirosis", item("leptospirosis", under=PRINCIPAL))
    chart.lab("Troponin T", "<0.01", flag="N")
    chart.says("high", "laboratory", "troponin < 0.01", item("troponin", r"< ?0\.01"))
    chart.lab("D-dimer", "GREATER THAN 10000", "ng/mL", flag="HH")
    chart.says(
        "critical", "laboratory", "D-dimer above 10000", item("d-dimer", "(greater than|>) ?10,?000", under=ABNORMAL)
    )
    chart.lab("Leptospira antibody", "1:640", flag="POS")
    chart.says("critical", "laboratory", "titre 1:640", item("leptospira", "1:640", under=ABNORMAL))
    chart.lab("ANA", None, valueRatio={"numerator": quantity(1), "denominator": quantity(160)})
    chart.says("high", "laboratory", "ANA 1:160, not judged", item("ANA", "1 ?[:/] ?160", under=NO_RANGE))
    chart.lab(
        "Urine leucocytes", None, valueRange={"low": quantity(20, "/[HPF]"), "high": quantity(50, "/[HPF]")}, flag="A"
    )
    chart.says("high", "laboratory", "a range as value", item("leucocytes", r"20 ?(-|–|to) ?50", under=ABNORMAL))
    chart.observation("Glasgow coma scale", category="survey", valueInteger=0)
    chart.lab("Bands", None, valueQuantity={"value": 0, "unit": "%"}, low=0, high=5)
    chart.says("high", "laboratory", "a zero is a value", item("bands", number("0"), under=NORMAL))
    chart.lab("Pregnancy test", None, valueBoolean=True)
    chart.never("critical", "laboratory", "a boolean as within range", item("pregnancy", under=NORMAL))
    chart.lab(
        "Sodium",
        118,
        "mmol/L",
        low=135,
        high=145,
        interpretation=[hl7("v3-ObservationInterpretation", "D"), hl7("v3-ObservationInterpretation", "LL")],
    )
    chart.says(
        "critical",
        "laboratory",
        "sodium 118 by its second interpretation",
        item("sodium", number("118"), "low", under=ABNORMAL),
    )
    chart.lab(
        "Blood gas",
        component=[
            {
                "code": {"text": "pH"},
                "valueQuantity": quantity(exact("7.10"), "[pH]"),
                "interpretation": [hl7("v3-ObservationInterpretation", "LL")],
            },
            {"code": {"text": "pO2"}, "dataAbsentReason": coded(f"{HL7}data-absent-reason", "error")},
        ],
    )
    chart.says("critical", "laboratory", "pH 7.10 of a component", item("pH", r"7\.10?\b", under=ABNORMAL))
    chart.lab(
        "Ammonia", dataAbsentReason=coded(f"{HL7}data-absent-reason", "unsatisfactory"), note=[{"text": "not on ice"}]
    )
    chart.never("critical", "laboratory", "ammonia within range", item("ammonia", under=NORMAL))
    chart.lab("Vitamin B12", _valueString={"extension": [{"url": ABSENT, "valueCode": "masked"}]})
    chart.never("high", "laboratory", "a word for an absent value as result", item(r"vitamin b12.*(none|null|\{)"))
    chart.lab("CK", 1250.0, "U/L", high=200, flag="N")
    chart.never("critical", "laboratory", "a value above its range as within", item("CK", number("1250"), under=NORMAL))
    chart.patient["_birthDate"] = {"extension": [{"url": ABSENT, "valueCode": "asked-declined"}]}
    chart.patient.pop("birthDate")
    chart.never("high", "identity", "a date of birth that was declined", r"born (none|19|20)|asked-declined")
    return chart.stay()


def codes_only() -> Stay:
    chart = awkward("codes", "codes without a display, displays in the second coding, empty texts and codings")
    hidden = {
        "coding": [
            {"system": ICD10CM, "code": "K85.10", "display": "(display unavailable)"},
            {"system": SNOMED, "code": "95563007", "display": "Gallstone pancreatitis"},
        ],
        "text": "",
    }
    chart.diagnosis(chart.condition(hidden), rank=1)
    chart.says(
        "critical", "diagnosis", "the display of the second coding", item("gallstone pancreatitis", under=PRINCIPAL)
    )
    chart.never("high", "diagnosis", "a placeholder", "display unavailable")
    chart.condition({"coding": [{"system": ICD10CM, "code": "N17.9"}]})
    chart.says("high", "diagnosis", "a code is better than nothing", item(r"N17\.9"), anywhere=True)
    chart.condition({"coding": [{}], "text": "   "})
    chart.condition({"text": "Alcohol dependence", "coding": [{"code": ""}]})
    chart.says("high", "diagnosis", "text beside an empty coding", item("alcohol dependence", under=DIAGNOSES))
    chart.allergy(
        {"coding": [{"system": SNOMED, "code": "91936005"}, {"system": "urn:local", "display": "Penicillins"}]},
        reaction="Rash",
    )
    chart.says("critical", "allergy", "the display of the second coding", item("penicillins", under=ALLERGIES))
    chart.allergy({"coding": [{"system": SNOMED, "code": "294505008"}]}, criticality="high")
    chart.says("critical", "allergy", "a code alone", item("294505008", under=ALLERGIES))
    chart.lab({"coding": [{"system": LOINC, "code": "3040-3"}]}, 3100, "U/L", high=60, flag="HH")
    chart.says(
        "critical", "laboratory", "a test with a code only", item(r"3040-3|lipase", number("3100"), under=ABNORMAL)
    )
    chart.report({"coding": []}, "Dilated common bile duct with a stone.", at="2026-03-17T09:00:00Z")
    chart.says("critical", "report", "a report without a name", item("common bile duct"), anywhere=True)
    chart.procedure(
        {"coding": [{"system": "urn:local", "code": "X1", "display": ""}, {"display": "ERCP with stone extraction"}]}
    )
    chart.says("critical", "procedure", "ERCP", item("ERCP", under=PROCEDURES))
    chart.medicine(
        {
            "coding": [
                {"system": "urn:rx", "code": "1"},
                {"system": "urn:rx2", "code": "2", "display": "ursodeoxycholic acid 250 mg"},
            ]
        },
        {"text": "1 twice a day"},
    )
    chart.says("critical", "dose", "ursodeoxycholic acid", taken("ursodeoxycholic acid 250", "1 twice a day"))
    chart.encounter["hospitalization"] = {"dischargeDisposition": {"coding": [{"code": "zz9"}]}}
    chart.never("high", "disposition", "a guess at an unknown code", item("^home", under=("discharged to",)))
    return chart.stay()


def corrected() -> Stay:
    chart = awkward("corrected", "corrected and appended reports, erroneous twins, preliminary and late results")
    chart.diagnosis(chart.condition("Fall from a ladder"), rank=1)
    chart.says("critical", "diagnosis", "the fall", item("ladder", under=PRINCIPAL))
    chart.report("CT head", "No haemorrhage.", at="2026-03-16T11:00:00Z", issued="2026-03-16T11:30:00Z")
    chart.report("CT head", "Small subdural haematoma, left.", at="2026-03-16T11:00:00Z", issued="2026-03-16T15:00:00Z")
    chart.says("critical", "report", "both readings of one study", item("subdural haematoma, left"))
    chart.says("high", "report", "that they differ", item("CT head", under=("contradict|differ|conflict",)))
    chart.report("X-ray wrist", "Fracture of the right radius.", status="entered-in-error", at="2026-03-16T12:00:00Z")
    chart.report("X-ray wrist", "Fracture of the left radius.", status="corrected", at="2026-03-16T12:00:00Z")
    chart.says("critical", "report", "the corrected side", item("x-ray wrist", "left radius", under=REPORTS))
    chart.never("critical", "report", "the erroneous side", "right radius")
    chart.report(
        "Ultrasound abdomen",
        "Free fluid. Addendum: no free fluid on repeat.",
        status="appended",
        at="2026-03-17T08:00:00Z",
    )
    chart.says("high", "report", "an addendum", item("addendum: no free fluid", under=REPORTS))
    chart.lab(
        "Potassium", 2.9, "mmol/L", low=3.5, high=5.1, flag="L", status="entered-in-error", at="2026-03-18T06:00:00Z"
    )
    chart.lab("Potassium", 4.4, "mmol/L", low=3.5, high=5.1, status="corrected", at="2026-03-18T06:00:00Z")
    chart.never("critical", "laboratory", "the erroneous value", item("potassium", number("2.9")))
    chart.says("critical", "laboratory", "the corrected value", item("potassium", number("4.4"), under=LABS))
    chart.lab("Vitamin D", 31, "nmol/L", status="preliminary", at="2026-03-22T06:00:00Z")
    chart.says("high", "pending", "a preliminary value is not final", item("vitamin d", under=PENDING))
    chart.lab("HIV antibody", status="registered", at="2026-03-22T06:00:00Z")
    chart.says("critical", "pending", "a test without a result", item("hiv", under=PENDING))
    chart.report("Bone biopsy", None, category="PAT", status="partial", at="2026-03-20T06:00:00Z")
    chart.says("critical", "pending", "a partial report", item("bone biopsy", under=PENDING))
    chart.report("MRI knee", "Torn meniscus.", status="cancelled", at="2026-03-19T06:00:00Z")
    chart.never("critical", "report", "a cancelled study", "torn meniscus")
    chart.order(
        "Methylmalonic acid",
        category=[concept("Laboratory procedure", (SNOMED, "108252007"))],
        at="2026-03-23T09:00:00Z",
    )
    chart.says("high", "pending", "an order without a result", item("methylmalonic", under=(*PENDING, "referral")))
    return chart.stay()


def odd_dates() -> Stay:
    chart = awkward(
        "dates",
        "St. John's is -02:30 in summer; years and months; instants and timings; an end that is only a day",
        start="2026-06-29T23:50:00-02:30",
        end="2026-07-06",
    )
    chart.says("critical", "dates", "local days", item(day("2026-06-29"), day("2026-07-06")))
    chart.diagnosis(chart.condition("Ruptured aortic aneurysm", onsetDateTime="2026-06"), rank=1)
    chart.says("critical", "diagnosis", "aneurysm", item("aneurysm", under=PRINCIPAL))
    chart.condition("Coronary bypass in the past", onsetDateTime="1998", category="problem-list-item", encounter=None)
    chart.never("high", "dates", "a day that nobody recorded", "1998-01-01|june 1\\b|2026-06-01")
    chart.lab(
        "Haemoglobin",
        58,
        "g/L",
        low=130,
        high=170,
        flag="LL",
        effectiveDateTime=None,
        effectiveInstant="2026-06-30T02:40:00Z",
    )
    chart.says(
        "critical",
        "laboratory",
        "haemoglobin 58 on the 30th, local",
        item("haemoglobin", number("58"), day("2026-06-30")),
    )
    chart.lab(
        "Creatinine",
        402,
        "umol/L",
        high=110,
        flag="HH",
        effectiveDateTime=None,
        effectiveTiming={"event": ["2026-07-01T10:00:00Z"]},
    )
    chart.says("critical", "laboratory", "creatinine of a timing", item("creatinine", number("402"), under=ABNORMAL))
    chart.lab("INR", 3.3, high=1.2, flag="H", effectiveDateTime=None, issued="2026-07-02T08:00:00Z")
    chart.says(
        "critical", "laboratory", "a result with the time of its issue only", item("INR", number("3.3"), under=ABNORMAL)
    )
    chart.procedure("Endovascular aneurysm repair", performedDateTime="2026-06-30T01:30:00Z")
    chart.says(
        "critical",
        "procedure",
        "repair on the 29th, local",
        item("aneurysm repair", day("2026-06-29"), under=PROCEDURES),
    )
    chart.procedure("Hernia repair as a child", performedDateTime=None, performedString="about 1980", encounter=None)
    chart.vital("Heart rate", 77, "/min", (LOINC, "8867-4"), at="2026-07-06T20:00:00Z")
    chart.says(
        "high", "vital sign", "in the last hours of the last day", item("heart rate", number("77"), under=VITALS)
    )
    chart.medicine("bisoprolol 2.5 mg", {"text": "1 daily"}, at="2026-07-06T15:00:00-02:30")
    chart.says("critical", "dose", "an order of the last day", taken("bisoprolol", "1 daily"))
    return chart.stay(time_zone="America/St_Johns")
