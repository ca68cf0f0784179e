"""Legal but nasty stays: references in every spelling, merged patients, odd values, parts, deaths in other words."""

from typing import Any

from tests.stays.build import Chart
from tests.stays.elements import BASE, ICD10CM, LOINC, MRN, Element, coded, dosage, hl7, identifier
from tests.stays.model import Resource, Serve, Stay
from tests.stays.words import (
    ABNORMAL,
    ALLERGIES,
    DIAGNOSES,
    HOME,
    NO_RANGE,
    NORMAL,
    PENDING,
    PRINCIPAL,
    PROCEDURES,
    REPORTS,
    day,
    item,
    number,
)


def _chart(name: str, about: str, start: str = "2026-04-06T09:00:00Z", end: str = "2026-04-10T15:00:00Z") -> Chart:
    chart = Chart(f"nasty-{name}", "nasty", about, start=start, end=end)
    chart.patient |= {"gender": "female", "birthDate": "1961-07-01"}
    chart.patient["name"] = [{"family": "Quist", "given": ["Alma"]}]
    chart.patient["identifier"] = [identifier(f"N-{name}", MRN)]
    chart.says("critical", "identity", "the record number", rf"MRN:? ?N-{name}\b")
    return chart


def references() -> Stay:
    chart = _chart("references", "absolute with another spelling of the base, versioned, urn:uuid; another server's id")
    host, path = BASE.removeprefix("http://").split("/", 1)
    loud = f"HTTP://{host.upper()}:80/{path}/"
    encounter = chart.encounter["id"]
    first = chart.condition("Diverticulitis", encounter={"reference": f"{loud}Encounter/{encounter}/_history/7"})
    chart.encounter["diagnosis"] = [{"condition": {"reference": f"{loud}Condition/{first['id']}"}, "rank": 1}]
    chart.says(
        "critical", "diagnosis", "diverticulitis by an absolute reference", item("diverticulitis", under=PRINCIPAL)
    )
    chart.lab("CRP", 148, "mg/L", (LOINC, "1988-5"), high=5, encounter={"reference": f"urn:uuid:{encounter}"})
    chart.says("critical", "laboratory", "CRP 148", item("CRP", number("148"), under=ABNORMAL))
    elsewhere = {"reference": f"https://other-hospital.example/fhir/Encounter/{encounter}"}
    chart.lab("Troponin", 999, "ng/L", high=14, encounter=elsewhere)
    chart.never("critical", "laboratory", "a result of another hospital's encounter", "999")
    chart.procedure("Sigmoidoscopy", encounter={"reference": encounter, "type": "Encounter"})
    chart.says("high", "procedure", "sigmoidoscopy: the type stands apart", item("sigmoidoscopy", under=PROCEDURES))
    chart.encounter["identifier"] = [{"system": "urn:visits", "value": "V-1"}]
    chart.report(
        "CT abdomen", "Perforation with abscess.", encounter={"identifier": {"system": "urn:visits", "value": "V-1"}}
    )
    chart.says("critical", "report", "CT by the visit's number", item("CT abdomen", "perforation", under=REPORTS))
    return chart.stay(serve=Serve(ids="typed", page=3))


def merged() -> Stay:
    chart = _chart("merged", "a record that was merged into this one holds an allergy and a result")
    old = chart.add(
        "Patient", active=False, name=[{"text": "Unknown Female 3"}], identifier=[identifier("TEMP-3", MRN)]
    )
    old["link"] = [{"other": chart.ref(chart.patient), "type": "replaced-by"}]
    chart.patient["link"] = [{"other": chart.ref(old), "type": "replaces"}]
    chart.encounter["subject"] = chart.ref(old)
    chart.says("critical", "identity", "the surviving record", "Alma Quist.*MRN:? ?N-merged")
    chart.never("critical", "identity", "the temporary name", "patient:? unknown|TEMP-3")
    chart.allergy("Vancomycin", patient=chart.ref(old), reaction="Flushing")
    chart.says("critical", "allergy", "vancomycin of the old record", item("vancomycin", under=ALLERGIES))
    chart.lab("Lactate", 6.8, "mmol/L", high=2, subject=chart.ref(old))
    chart.says("critical", "laboratory", "lactate of the old record", item("lactate", number("6.8"), under=ABNORMAL))
    other = chart.add("Patient", name=[{"text": "Somebody Else"}])
    chart.allergy("Cobalt", patient=chart.ref(other))
    chart.never("critical", "allergy", "somebody else's allergy", "cobalt")
    return chart.stay()


def values() -> Stay:
    chart = _chart("values", "every type of value; text numbers; absent data; several interpretations; placeholders")
    placeholder: Element = {"coding": [{"system": ICD10CM, "code": "N17.9", "display": "(display unavailable)"}]}
    chart.diagnosis(chart.condition(placeholder), "DD", 1)
    chart.says("critical", "diagnosis", "the code in place of a placeholder", item("N17[.]9", under=PRINCIPAL))
    chart.never("critical", "diagnosis", "a placeholder", "display unavailable")
    chart.lab("D-dimer", "GREATER THAN 10000", low=0, high=500)
    chart.says("critical", "laboratory", "D-dimer above 10000", item("D-dimer", "10,?000", under=ABNORMAL))
    chart.lab("Antistreptolysin titre", valueRatio={"numerator": {"value": 1}, "denominator": {"value": 640}})
    chart.says("high", "laboratory", "a titre of 1:640", item("titre", "1:640"))
    chart.lab("Platelets", "35,000", low=150, high=400)
    chart.never("critical", "laboratory", "35,000 platelets as within range", item("platelets", under=NORMAL))
    chart.lab("Sputum AFB", valueBoolean=False)
    chart.never("high", "laboratory", "a boolean as abnormal", item("AFB", under=ABNORMAL))
    chart.lab("Base excess", -11.4, "mmol/L", low=-2, high=3)
    chart.says("critical", "laboratory", "base excess -11.4", item("base excess", r"-11\.4", under=ABNORMAL))
    chart.lab("Ammonia", dataAbsentReason=hl7("data-absent-reason", "error"), note=[{"text": "Specimen clotted"}])
    chart.never("critical", "laboratory", "ammonia within range", item("ammonia", under=NORMAL))
    flags = [hl7("v3-ObservationInterpretation", "N"), hl7("v3-ObservationInterpretation", "HH")]
    chart.lab("Bilirubin", 311, "umol/L", interpretation=flags)
    chart.says("critical", "laboratory", "bilirubin 311", item("bilirubin", number("311"), under=ABNORMAL))
    parts = [
        {"code": {"text": name}, "valueQuantity": {"value": value}}
        for name, value in (("Kappa", 88.2), ("Lambda", 3.1))
    ]
    chart.lab("Free light chains", component=parts)
    both = (item("kappa", number("88.2"), under=NO_RANGE), item("lambda", number("3.1"), under=NO_RANGE))
    chart.says("critical", "laboratory", "kappa", both[0])
    chart.says("critical", "laboratory", "lambda", both[1])
    chart.lab("Glucose [Mass/volume] in Urine", 1000, "mg/dL", (LOINC, "5792-7"))
    chart.lab("Glucose [Mass/volume] in Blood", 88, "mg/dL", (LOINC, "2339-0"))
    chart.says("critical", "laboratory", "the glucose of the urine is called so", item("glucose", "urine", "1,?000"))
    chart.never("critical", "laboratory", "one glucose of both", r"glucose[^;]*(1,?000.*\b88\b|\b88\b.*1,?000)")
    return chart.stay()


def contradictions() -> Stay:
    chart = _chart("contradictions", "two reports of one study; a corrected one and its erroneous twin; a late one")
    chart.diagnosis(chart.condition("Headache"), rank=1)
    chart.report("CT head", "No haemorrhage.", at="2026-04-06T10:00:00Z")
    chart.report("CT head", "Small subdural haemorrhage on the left.", at="2026-04-06T18:00:00Z")
    told = item("CT head", "no haemorrhage", "subdural", under=("contradict",))
    chart.says("critical", "report", "the two reports are pointed out", told)
    chart.report("MRI spine", "Normal.", status="entered-in-error")
    chart.never("critical", "report", "the erroneous report", "MRI spine")
    chart.report("EEG", "Diffuse slowing.", status="corrected")
    chart.says("high", "report", "that the EEG was corrected", item("EEG", "slowing", "corrected", under=REPORTS))
    chart.report("CSF culture", "Listeria", category="MB", at="2026-04-07T08:00:00Z", issued="2026-04-14T08:00:00Z")
    chart.says("critical", "pending", "the culture was pending", item("CSF culture", under=PENDING))
    chart.never("critical", "pending", "what came after the discharge", "listeria")
    return chart.stay()


def precision() -> Stay:
    chart = _chart("precision", "years, months and days without a time; a birth of a year", end="2026-04-10")
    chart.patient["birthDate"] = "1961"
    chart.says("high", "identity", "born in 1961, no day", r"born 1961\b(?!-)")
    chart.diagnosis(chart.condition("Cholangitis", onsetDateTime="2026-04"), rank=1)
    chart.says("critical", "diagnosis", "cholangitis", item("cholangitis", under=PRINCIPAL))
    chart.condition("Gout", category="problem-list-item", encounter=None, onsetDateTime="2009")
    chart.says("high", "diagnosis", "gout", item("gout", under=DIAGNOSES))
    chart.procedure("ERCP with sphincterotomy", at="2026-04-07")
    chart.says("critical", "procedure", "ERCP on 7 April", item("ERCP", day("2026-04-07"), under=PROCEDURES))
    chart.medicine("ursodiol 300 mg capsule", dosage("300 mg twice daily"), at="2026-04-10T08:00:00Z")
    chart.says("critical", "dose", "ursodiol, ordered on the last day", item("ursodiol", "twice daily", under=HOME))
    chart.lab("ALT", 402, "U/L", high=40, at="2026-04-10")
    chart.says("critical", "laboratory", "ALT of the last day", item("ALT", number("402"), under=ABNORMAL))
    chart.never("high", "dates", "a day that the record does not have", "1961-01-01|2009-01-01|2026-04-01")
    return chart.stay()


def parts() -> Stay:
    chart = _chart("parts", "intensive care as a part; another hospital's stay inside this one; a later visit")
    chart.encounter["serviceProvider"] = {"reference": "Organization/here"}
    chart.add("Organization", id="here", name="Here General")
    chart.diagnosis(chart.condition("Septic shock"), rank=1)
    unit = _part(chart, "2026-04-06T09:00:00Z", "2026-04-08T09:00:00Z")
    chart.lab("Procalcitonin", 41.3, "ug/L", high=0.5, encounter=chart.ref(unit))
    chart.says(
        "critical", "laboratory", "a result of intensive care", item("procalcitonin", number("41.3"), under=ABNORMAL)
    )
    away = _part(chart, "2026-04-08T09:00:00Z", "2026-04-09T09:00:00Z")
    away |= {"serviceProvider": {"reference": "Organization/there"}}
    away |= {"hospitalization": {"dischargeDisposition": {"text": "Back to Here General"}}}
    chart.procedure("Coronary angiography elsewhere", encounter=chart.ref(away))
    chart.never(
        "high", "procedure", "another hospital's procedure as this stay's", item("angiography", under=PROCEDURES)
    )
    later = chart.add(
        "Encounter",
        status="finished",
        **{"class": {"code": "AMB"}},
        subject=chart.ref(chart.patient),
        period={"start": "2026-04-10T18:00:00Z", "end": "2026-04-10T18:30:00Z"},
    )
    chart.lab("Sodium", 119, "mmol/L", low=135, high=145, at="2026-04-10T18:10:00Z", encounter=chart.ref(later))
    chart.never("critical", "laboratory", "a result of the visit that evening", number("119"))
    return chart.stay()


def _part(chart: Chart, start: str, end: str) -> Resource:
    return chart.add(
        "Encounter",
        status="finished",
        **{"class": {"code": "IMP"}},
        subject=chart.ref(chart.patient),
        period={"start": start, "end": end},
        partOf=chart.ref(chart.encounter),
    )


def _died(name: str, about: str, disposition: Element | None = None, **patient: Any) -> Stay:
    chart = _chart(name, about)
    chart.patient |= patient
    if disposition is not None:
        chart.encounter["hospitalization"] = {"dischargeDisposition": disposition}
    chart.diagnosis(chart.condition("Cardiogenic shock"), rank=1)
    chart.medicine("furosemide 40 mg tablet", dosage("40 mg daily"))
    chart.says("critical", "outcome", "a death summary", "death summary")
    chart.never("critical", "outcome", "furosemide to take at home", item("furosemide", under=HOME))
    return chart.stay()


def died_in_spanish() -> Stay:
    return _died("fallecido", "the disposition in local words", {"text": "Fallecido"})


def died_by_code() -> Stay:
    return _died("nubc", "NUBC 41", coded("https://www.nubc.org/CodeSystem/PatDischargeStatus", "41"))


def died_by_flag() -> Stay:
    return _died("flag", "only deceasedBoolean", {"text": "Unknown"}, deceasedBoolean=True)


def died_by_date() -> Stay:
    return _died("date", "deceasedDateTime of the day of the discharge", None, deceasedDateTime="2026-04-10")


def lives() -> Stay:
    chart = _chart("lives", "a code of another table, and words that only sound like death")
    local = {"coding": [{"system": "urn:local:dispositions", "code": "20", "display": "Home"}], "text": "Home"}
    chart.encounter["hospitalization"] = {"dischargeDisposition": local}
    chart.patient["deceasedBoolean"] = False
    chart.diagnosis(chart.condition("Heat stroke"), rank=1)
    chart.says("critical", "diagnosis", "heat stroke", item("heat stroke", under=PRINCIPAL))
    chart.never("critical", "outcome", "a death", "death summary|died")
    return chart.stay()


# A stay that ended in death stands beside one that did not: no sheet may pass on its neighbour's document.
STAYS = (
    references,
    died_in_spanish,
    merged,
    died_by_code,
    values,
    died_by_flag,
    contradictions,
    died_by_date,
    precision,
    parts,
    lives,
)
