"""German stays after the profiles of ISiK and MII: department contacts, ICD-10-GM with certainty, German dosages."""

from typing import Any

from tests.stays.build import Chart
from tests.stays.elements import LOINC, Element, coded, dosage, hl7, identifier
from tests.stays.model import Resource, Stay
from tests.stays.words import (
    ABNORMAL,
    AFTERCARE,
    ALLERGIES,
    CODE_STATUS,
    DIAGNOSES,
    HOME,
    NO_RANGE,
    NORMAL,
    NOT_TAKEN,
    PRINCIPAL,
    PROCEDURES,
    RULED_OUT,
    SUSPECTED,
    day,
    item,
    number,
    taken,
)

ICD = "http://fhir.de/CodeSystem/bfarm/icd-10-gm"
OPS = "http://fhir.de/CodeSystem/bfarm/ops"
KDP = "http://fhir.de/CodeSystem/KontaktDiagnoseProzedur"
LEVEL = "http://fhir.de/CodeSystem/Kontaktebene"
_DOCTORS = {"huefte": "Brüggemann", "schlaganfall": "Möller", "tod": "Süß", "diabetes": "Weiß-Krug"}
NO_ALLERGY = ("http://snomed.info/sct", "716186003", "Keine bekannte Allergie")


def _chart(name: str, about: str, start: str, end: str, family: str, given: str, born: str, gender: str) -> Chart:
    chart = Chart(f"isik-{name}", "ISiK", about, start=start, end=end)
    chart.patient |= {"gender": gender, "birthDate": born}
    chart.patient["name"] = [{"use": "official", "family": family, "given": [given]}]
    insured: Element = coded("http://fhir.de/CodeSystem/identifier-type-de-basis", "KVZ10")
    chart.patient["identifier"] = [
        identifier("T023456785", insured, "http://fhir.de/sid/gkv/kvid-10"),
        identifier(f"PID-{name[:3].upper()}-88", hl7("v2-0203", "MR"), "https://klinikum.example/sid/pid"),
    ]
    chart.says("critical", "identity", "the hospital's own number", f"MRN:? ?PID-{name[:3].upper()}-88")
    chart.never("critical", "identity", "the insurance number as MRN", "MRN:? ?T023456785")
    chart.encounter["type"] = [coded(LEVEL, "einrichtungskontakt", "Einrichtungskontakt")]
    doctor = _DOCTORS[name]
    chart.attending["name"] = [{"family": doctor, "given": ["Anke"], "prefix": ["Dr. med."]}]
    chart.says("high", "identity", "the attending", f"Anke {doctor}")
    return chart


def _coded(chart: Chart, code: str, display: str, certainty: str = "G", **more: Any) -> Resource:
    """A Condition with the certainty of ICD-10-GM at its code."""
    known = {
        "url": "http://fhir.de/StructureDefinition/icd-10-gm-diagnosesicherheit",
        "valueCoding": {
            "system": "https://fhir.kbv.de/CodeSystem/KBV_CS_SFHIR_ICD_DIAGNOSESICHERHEIT",
            "code": certainty,
        },
    }
    found: Element = {"coding": [{"system": ICD, "code": code, "display": display, "extension": [known]}]}
    return chart.condition(found, verification=None, **more)


def _main(chart: Chart, condition: Resource) -> None:
    use: Element = {"coding": [{"system": KDP, "code": "hauptdiagnose"}]}
    chart.encounter.setdefault("diagnosis", []).append({"condition": chart.ref(condition), "use": use})


def _department(chart: Chart, start: str, end: str) -> Resource:
    """A department's contact: part of the stay."""
    return chart.add(
        "Encounter",
        status="finished",
        **{"class": chart.encounter["class"]},
        type=[coded(LEVEL, "abteilungskontakt", "Abteilungskontakt")],
        subject=chart.ref(chart.patient),
        period={"start": start, "end": end},
        partOf=chart.ref(chart.encounter),
    )


def _reason(code: str, display: str) -> Element:
    """The discharge reason, which German records keep in an extension."""
    inner = {
        "url": "ErsteUndZweiteStelle",
        "valueCoding": {
            "system": "http://fhir.de/CodeSystem/dkgev/EntlassungsgrundErsteUndZweiteStelle",
            "code": code,
            "display": display,
        },
    }
    outer = {"url": "http://fhir.de/StructureDefinition/Entlassungsgrund", "extension": [inner]}
    return {"dischargeDisposition": {"extension": [outer]}}


def hip() -> Stay:
    chart = _chart(
        "huefte",
        "a side at the OPS code; a dosage by times of day; a home medicine that is paused",
        "2026-02-10T08:30:00+01:00",
        "2026-02-19T11:00:00+01:00",
        "von Arnsberg",
        "Friedrich",
        "1944-06-02",
        "male",
    )
    chart.says("high", "identity", "the name with its particle", "Friedrich von Arnsberg")
    _main(chart, _coded(chart, "M16.1", "Sonstige primäre Koxarthrose"))
    chart.says("critical", "diagnosis", "coxarthrosis", item("Koxarthrose", under=PRINCIPAL))
    surgery = _department(chart, "2026-02-10T08:30:00+01:00", "2026-02-19T11:00:00+01:00")
    side = {
        "url": "http://fhir.de/StructureDefinition/seitenlokalisation",
        "valueCoding": {"system": "http://fhir.de/CodeSystem/bfarm/seitenlokalisation", "code": "L"},
    }
    operation: Element = {
        "coding": [
            {
                "system": OPS,
                "code": "5-820.01",
                "display": "Implantation einer Hüfttotalendoprothese, zementiert",
                "extension": [side],
            }
        ]
    }
    chart.procedure(operation, at="2026-02-11T09:00:00+01:00", encounter=chart.ref(surgery))
    where = item("Hüfttotalendoprothese", "left|links", day("2026-02-11"), under=PROCEDURES)
    chart.says("critical", "procedure", "the left hip", where)
    chart.lab("Hämoglobin", 8.9, "g/dL", (LOINC, "718-7"), low=13.5, high=17.5, encounter=chart.ref(surgery))
    chart.says("critical", "laboratory", "haemoglobin 8.9", item("Hämoglobin", number("8.9"), under=ABNORMAL))
    by_day = dosage(dose=(1, "Tablette"), repeat={"when": ["MORN", "EVE"]})
    chart.medicine("Ibuprofen 600 mg Filmtabletten", by_day | {"maxDosePerPeriod": _most(2400)})
    morning = item("Ibuprofen 600", "morning", "evening", "2400 ?mg", under=HOME)
    chart.says("critical", "dose", "ibuprofen in the morning and evening, at most 2400 mg a day", morning)
    chart.medicine("Rivaroxaban 10 mg", dosage("0-0-1-0 für 35 Tage", days=35))
    chart.says("critical", "dose", "rivaroxaban for 35 days", item("Rivaroxaban", "0-0-1-0", "35", under=HOME))
    chart.medicine("Metamizol 500 mg", dosage("1-1-1-1"), status="on-hold", note=[{"text": "Leukozyten 2,1/nl"}])
    chart.says("high", "medicine status", "metamizole is paused", item("Metamizol", under=NOT_TAKEN))
    chart.never("critical", "medicine status", "metamizole to take", taken("Metamizol"))
    chart.encounter["hospitalization"] = _reason("09", "Entlassung in eine Rehabilitationseinrichtung")
    chart.says("high", "disposition", "to rehabilitation", "Rehabilitationseinrichtung")
    chart.allergy("", NO_ALLERGY)
    chart.says("high", "allergy", "no known allergy", item("Keine bekannte Allergie", under=ALLERGIES))
    return chart.stay(time_zone="Europe/Berlin")


def _most(amount: int) -> Element:
    unit: Element = {"unit": "mg", "system": "http://unitsofmeasure.org", "code": "mg"}
    within: Element = {"value": 1, "unit": "d", "system": "http://unitsofmeasure.org", "code": "d"}
    return {"numerator": {"value": amount} | unit, "denominator": within}


def stroke() -> Stay:
    chart = _chart(
        "schlaganfall",
        "intensive care as a part of a part; excluded and suspected diagnoses; decimal commas in texts",
        "2026-03-28T22:40:00+01:00",
        "2026-04-03T10:15:00+02:00",
        "Şahin-Öztürk",
        "Gülay",
        "1958-12-24",
        "female",
    )
    chart.says("high", "dates", "28 March to 3 April", f"{day('2026-03-28')}.*{day('2026-04-03')}")
    _main(chart, _coded(chart, "I63.4", "Hirninfarkt durch Embolie zerebraler Arterien"))
    chart.says("critical", "diagnosis", "embolic infarct", item("Hirninfarkt", under=PRINCIPAL))
    _coded(chart, "I48.0", "Vorhofflimmern, paroxysmal", "V")
    chart.says("critical", "diagnosis", "atrial fibrillation only suspected", item("Vorhofflimmern", under=SUSPECTED))
    _coded(chart, "I61.0", "Intrazerebrale Blutung", "A")
    chart.says("high", "diagnosis", "bleeding ruled out", item("Intrazerebrale Blutung", under=RULED_OUT))
    ward = _department(chart, "2026-03-28T22:40:00+01:00", "2026-04-03T10:15:00+02:00")
    unit = chart.add(
        "Encounter",
        status="finished",
        **{"class": chart.encounter["class"]},
        type=[coded(LEVEL, "versorgungsstellenkontakt", "Versorgungsstellenkontakt")],
        subject=chart.ref(chart.patient),
        period={"start": "2026-03-28T22:40:00+01:00", "end": "2026-03-30T08:00:00+02:00"},
        partOf=chart.ref(ward),
    )
    at = "2026-03-29T01:30:00+01:00"
    chart.lab("Troponin T hs", 61.5, "ng/L", (LOINC, "67151-1"), high=14, at=at, encounter=chart.ref(unit))
    chart.says("critical", "laboratory", "troponin 61.5", item("Troponin", number("61.5"), under=ABNORMAL))
    chart.lab("Glukose", "7,8 mmol/l", referenceRange=[{"text": "3,9 - 5,6 mmol/l"}])
    chart.says("critical", "laboratory", "glucose 7,8 is high", item("Glukose", "7[.,]8", under=ABNORMAL))
    chart.lab("INR", 1.04, None, (LOINC, "6301-6"))
    chart.says("high", "laboratory", "INR without a range", item("INR", number("1.04"), under=NO_RANGE))
    chart.lab("Natrium", 139, "mmol/L", (LOINC, "2951-2"), low=136, high=145)
    chart.says("medium", "laboratory", "sodium within range", item("Natrium", "139", under=NORMAL))
    chart.statement("Ramipril 5 mg", dosage("1-0-0-0"), context=chart.ref(chart.encounter))
    chart.medicine("Ramipril 5 mg", dosage("1-0-1-0"))
    chart.says("critical", "medicine", "ramipril changed", item("Ramipril", "1-0-1-0.*chang.*1-0-0-0"))
    chart.medicine("Clopidogrel 75 mg", dosage("1-0-0-0 bis 18.04.2026"))
    chart.says("critical", "dose", "clopidogrel until 18 April", item("Clopidogrel", "18[.]04[.]2026", under=HOME))
    chart.order("Langzeit-EKG ambulant (72 h)", occurrenceDateTime="2026-04-20")
    chart.says("high", "follow-up", "a long-term ECG", item("Langzeit-EKG", under=AFTERCARE))
    return chart.stay(time_zone="Europe/Berlin")


def death() -> Stay:
    chart = _chart(
        "tod",
        "only the German discharge reason says that he died; an advance directive; prescriptions were written",
        "2026-05-02T14:00:00+02:00",
        "2026-05-06T04:20:00+02:00",
        "Kowalczyk",
        "Heinz",
        "1939-03-03",
        "male",
    )
    _main(chart, _coded(chart, "C34.1", "Bösartige Neubildung: Oberlappen (-Bronchus)"))
    chart.says("critical", "diagnosis", "lung cancer", item("Oberlappen", under=PRINCIPAL))
    chart.encounter["hospitalization"] = _reason("07", "Tod")
    chart.says("critical", "outcome", "a death summary", "death summary")
    chart.says("critical", "outcome", "died on 6 May", f"died.{{0,40}}{day('2026-05-06')}")
    chart.medicine("Morphin retard 30 mg", dosage("1-0-1-0"))
    chart.never("critical", "outcome", "morphine to take at home", item("Morphin", under=HOME))
    chart.add(
        "Consent",
        status="active",
        scope=coded("http://terminology.hl7.org/CodeSystem/consentscope", "adr"),
        category=[{"text": "Patientenverfügung"}],
        patient=chart.ref(chart.patient),
        dateTime="2025-11-11",
        provision={"type": "deny", "code": [{"text": "Kardiopulmonale Reanimation"}]},
    )
    refused = item("Reanimation", "not|deny|no\\b", under=CODE_STATUS)
    chart.says("critical", "code status", "no resuscitation", refused)
    return chart.stay(time_zone="Europe/Berlin")


def diabetes() -> Stay:
    chart = _chart(
        "diabetes",
        "a plan of medicines as statements; two insulins of one name; results by department; a date-only end",
        "2026-06-15T09:00:00+02:00",
        "2026-06-20",
        "Lindenberg",
        "Ute",
        "1970-01-09",
        "female",
    )
    _main(chart, _coded(chart, "E10.11", "Diabetes mellitus, Typ 1: Mit Ketoazidose"))
    chart.says("critical", "diagnosis", "ketoacidosis", item("Ketoazidose", under=PRINCIPAL))
    _coded(chart, "H36.0", "Retinopathia diabetica", category="problem-list-item", encounter=None)
    chart.says("high", "diagnosis", "retinopathy", item("Retinopathia", under=DIAGNOSES))
    chart.lab("Kalium", 2.88, "mmol/L", (LOINC, "2823-3"), low=3.5, high=5.1, flag="LL", at="2026-06-15T10:00:00+02:00")
    chart.lab("Kalium", 4.02, "mmol/L", (LOINC, "2823-3"), low=3.5, high=5.1, at="2026-06-20T06:30:00+02:00")
    course = item("Kalium", number("2.88"), number("4.02"), under=ABNORMAL)
    chart.says("critical", "laboratory", "potassium 2.88, then 4.02 on the day of the discharge", course)
    chart.lab("pH arteriell", 7.082, None, (LOINC, "2744-1"), low=7.35, high=7.45, at="2026-06-15T10:00:00+02:00")
    chart.says("critical", "laboratory", "pH 7.082", item("pH", number("7.082"), under=ABNORMAL))
    morning = {"text": "Vor dem Frühstück 14 IE", "sequence": 1}
    night = {"text": "zur Nacht 22 IE", "sequence": 2}
    chart.medicine("Insulin glargin 100 IE/ml", night, morning, at="2026-06-20T09:00:00+02:00")
    both = item("Insulin glargin", "Frühstück 14 IE.*Nacht 22 IE", under=HOME)
    chart.says("critical", "dose", "both doses of glargine in their order", both)
    chart.medicine("Insulin lispro 100 IE/ml", dosage("4-4-5-0 IE, Korrektur 1 IE je 2,2 mmol/l über 6,7"))
    chart.says("critical", "dose", "lispro with its correction", item("Insulin lispro", "4-4-5-0", "2,2", under=HOME))
    chart.allergy("Penicillin", recorded="2026-06-25", reaction="Urtikaria", criticality="high")
    chart.says("critical", "allergy", "penicillin, recorded later", item("Penicillin", under=ALLERGIES))
    return chart.stay(time_zone="Europe/Berlin")


STAYS = (hip, stroke, death, diabetes)
