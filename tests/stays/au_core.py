"""Australian stays after AU Core and AU Base: contained medicines, national identifiers, time zones, home care."""

from typing import Any

from tests.stays.build import Chart
from tests.stays.elements import LOINC, SNOMED, Element, concept, dosage, hl7, identifier
from tests.stays.model import Resource, Stay
from tests.stays.words import (
    ABNORMAL,
    AFTERCARE,
    ALLERGIES,
    AS_NEEDED,
    HOME,
    IMMUNIZATIONS,
    MICRO,
    NOT_TAKEN,
    PENDING,
    PRINCIPAL,
    VITALS,
    day,
    item,
    number,
    taken,
)

_DOCTORS = {"pneumonia": "Nguyen", "fall": "Tarrant", "pyelo": "Ferrari"}


def _chart(name: str, about: str, start: str, end: str, family: str, given: str, born: str, gender: str) -> Chart:
    chart = Chart(f"au-{name}", "AU Core", about, start=start, end=end)
    chart.patient |= {"gender": gender, "birthDate": born}
    chart.patient["name"] = [{"use": "usual", "family": family, "given": [given]}]
    chart.patient["identifier"] = [
        identifier("8003608166690503", hl7("v2-0203", "NI"), "http://ns.electronichealth.net.au/id/hi/ihi/1.0"),
        identifier("32788511952", hl7("v2-0203", "MC"), "http://ns.electronichealth.net.au/id/medicare-number"),
        identifier("QX827261", {"text": "DVA Number"}, "http://ns.electronichealth.net.au/id/dva"),
        identifier(f"UR {name.upper()[:3]} 5521", hl7("v2-0203", "MR"), "https://hospital.example/urn"),
    ]
    chart.says("critical", "identity", "the hospital's number", f"MRN:? ?UR {name.upper()[:3]} 5521")
    chart.never("critical", "identity", "a national number as MRN", r"MRN:? ?(8003608|327885|QX8272)")
    doctor = _DOCTORS[name]
    chart.attending["name"] = [{"family": doctor, "given": ["Linh"], "prefix": ["Dr"]}]
    chart.says("high", "identity", "the attending", f"Linh {doctor}")
    return chart


def _contained(chart: Chart, medicine: str, *dosages: Element, **more: Any) -> Resource:
    """An order whose Medication is contained in it."""
    order = chart.medicine("", *dosages, **more)
    order["contained"] = [{"resourceType": "Medication", "id": "med", "code": concept(medicine)}]
    order["medicationReference"] = {"reference": "#med"}
    return order


def pneumonia() -> Stay:
    chart = _chart(
        "pneumonia",
        "Perth, UTC times of a record in another zone; a switch from IV to tablets; immunisation declined",
        "2026-07-04T17:30:00Z",
        "2026-07-09T02:15:00Z",
        "Okeke",
        "Chidi",
        "1972-08-19",
        "male",
    )
    chart.says("critical", "dates", "admitted on 5 July in Perth", f"{day('2026-07-05')}.*{day('2026-07-09')}")
    chart.diagnosis(chart.condition("Community-acquired pneumonia", (SNOMED, "385093006")), rank=1)
    chart.says("critical", "diagnosis", "pneumonia", item("pneumonia", under=PRINCIPAL))
    _contained(
        chart,
        "ceftriaxone 1 g injection",
        dosage("1 g IV daily"),
        category="inpatient",
        at=chart.start,
        status="completed",
    )
    chart.never("critical", "medicine", "ceftriaxone to take at home", taken("ceftriaxone"))
    _contained(chart, "amoxicillin 500 mg capsule", dosage(dose=(1, "g"), route="Oral", frequency=3, days=5))
    course = item("amoxicillin", r"\b1 ?g", "three times", "5 days", under=HOME)
    chart.says("critical", "dose", "amoxicillin 1 g three times daily for 5 days", course)
    chart.lab("Procalcitonin", 0.09, "ug/L", (LOINC, "75241-0"), high=0.05, comparator=None)
    chart.says("critical", "laboratory", "procalcitonin 0.09", item("procalcitonin", number("0.09"), under=ABNORMAL))
    chart.immunization("Influenza vaccine", "2026-07-08", status="not-done", statusReason={"text": "Patient declined"})
    chart.says(
        "high",
        "immunization",
        "the vaccine was declined",
        item("influenza", "not given", "declined", under=IMMUNIZATIONS),
    )
    chart.report("Legionella urinary antigen", None, category="MB", status="registered", at="2026-07-08T01:00:00Z")
    chart.says("critical", "pending", "Legionella antigen pending", item("legionella", under=PENDING))
    chart.appointment("GP review", "2026-07-16T01:00:00Z", with_="Dr Alice Turner")
    chart.says("critical", "follow-up", "GP on 16 July", item("GP review", day("2026-07-16")))
    return chart.stay(time_zone="Australia/Perth")


def fall() -> Stay:
    chart = _chart(
        "fall",
        "Brisbane; orders with a brand beside the generic; a range of doses; nursing at home; entered in error",
        "2026-11-01T06:10:00+10:00",
        "2026-11-04T16:45:00+10:00",
        "Papadopoulos",
        "Eleni",
        "1940-10-05",
        "female",
    )
    chart.diagnosis(chart.condition("Fracture of right pubic ramus"), rank=1)
    chart.says("critical", "diagnosis", "fracture on the right", item("right pubic ramus", under=PRINCIPAL))
    chart.home_medicine("Panadol Osteo 665 mg tablet", dosage("2 tablets three times daily"))
    _contained(chart, "paracetamol 665 mg modified release tablet", dosage("2 tablets three times daily"))
    chart.says("high", "medicine", "brand and generic are one", item("paracetamol 665", "continued"))
    opioid = dosage(dose=(2.5, 5, "mg"), frequency=1, period=6, unit="h", as_needed=True, days=3)
    _contained(chart, "oxycodone 5 mg tablet", opioid)
    few = item("oxycodone", r"2\.5 ?(-|to) ?5 ?mg", "every 6 hours", AS_NEEDED, "3 days", under=HOME)
    chart.says("critical", "dose", "oxycodone 2.5-5 mg as needed for 3 days", few)
    _contained(chart, "temazepam 10 mg tablet", dosage("1 tablet at night"), status="entered-in-error")
    chart.never("critical", "medicine status", "temazepam", taken("temazepam"))
    _contained(chart, "aspirin 100 mg tablet", dosage("1 tablet daily"), doNotPerform=True)
    chart.says("critical", "medicine status", "no aspirin", item("aspirin", under=NOT_TAKEN))
    chart.vital("Systolic blood pressure", 98, "mm[Hg]", (LOINC, "8480-6"))
    chart.vital("Diastolic blood pressure", 56, "mm[Hg]", (LOINC, "8462-4"))
    chart.says("high", "vital sign", "98 systolic", item("systolic", r"\b98\b", under=VITALS))
    chart.order("Community nursing: wound care twice a week", requester=chart.ref(chart.attending))
    chart.says("high", "follow-up", "nursing at home", item("community nursing", under=AFTERCARE))
    chart.allergy("Sulfur", type="intolerance", reaction="Nausea")
    chart.says("high", "allergy", "sulfur with nausea", item("sulfur", "nausea", under=ALLERGIES))
    return chart.stay(time_zone="Australia/Brisbane")


def pyelonephritis() -> Stay:
    chart = _chart(
        "pyelo",
        "Hobart; a culture with susceptibilities as components; a preliminary one; a contained allergy substance",
        "2026-10-03T23:20:00+10:00",
        "2026-10-06T09:30:00+11:00",
        "Walker",
        "Tess",
        "1998-04-22",
        "female",
    )
    chart.diagnosis(chart.condition("Acute pyelonephritis"), rank=1)
    chart.says("critical", "diagnosis", "pyelonephritis", item("pyelonephritis", under=PRINCIPAL))
    chart.observation(
        "Urine culture",
        (LOINC, "630-4"),
        category="laboratory",
        valueCodeableConcept={"text": "Klebsiella pneumoniae >10^8 CFU/L"},
        component=[
            {"code": {"text": "Ceftriaxone"}, "valueCodeableConcept": {"text": "Susceptible"}},
            {"code": {"text": "Trimethoprim"}, "interpretation": [hl7("v3-ObservationInterpretation", "R")]},
        ],
    )
    found = item("klebsiella", "ceftriaxone susceptible", "trimethoprim resistant", under=MICRO)
    chart.says("critical", "microbiology", "Klebsiella with its susceptibilities", found)
    chart.report("Blood culture", "No growth after 48 hours", category="MB", status="preliminary")
    chart.says("high", "pending", "blood culture not final", item("blood culture", "preliminary", under=PENDING))
    chart.lab("Beta hCG", "Negative", interpretation=[hl7("v3-ObservationInterpretation", "NEG")])
    chart.never("high", "laboratory", "a negative test as abnormal", item("hCG", under=ABNORMAL))
    _contained(chart, "cefalexin 500 mg capsule", dosage("1 capsule four times a day until 13 October 2026"))
    chart.says("critical", "dose", "cefalexin until 13 October", item("cefalexin", "13 October 2026", under=HOME))
    return chart.stay(time_zone="Australia/Hobart")


STAYS = (pneumonia, fall, pyelonephritis)
