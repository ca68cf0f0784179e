"""Merged patients, a subject that is named by number only, and references in every legal spelling."""

from tests.stays.awkward.chart import awkward
from tests.stays.elements import BASE, MRN, Element, identifier
from tests.stays.model import Serve, Stay
from tests.stays.words import (
    ABNORMAL,
    ALLERGIES,
    DIAGNOSES,
    HOME,
    PRINCIPAL,
    PROCEDURES,
    REPORTS,
    item,
    number,
    taken,
)


def merged_both_ways() -> Stay:
    chart = awkward(
        "merged",
        "the Encounter names a record that was merged away; that record names the surviving one, which names a third",
    )
    chart.says("critical", "identity", "the surviving record's name and number", r"patient:? merged tamm.*AW/merged")
    old = chart.add(
        "Patient",
        active=False,
        identifier=[identifier("AW/old", MRN)],
        name=[{"text": "Unknown 41"}],
        link=[{"other": chart.ref(chart.patient), "type": "replaced-by"}],
    )
    third = chart.add(
        "Patient",
        active=False,
        identifier=[identifier("AW/third", MRN)],
        name=[{"text": "Tamm, M."}],
        link=[{"other": chart.ref(chart.patient), "type": "replaced-by"}],
    )
    chart.patient["link"] = [
        {"other": chart.ref(old), "type": "replaces"},
        {"other": chart.ref(third), "type": "replaces"},
    ]
    chart.encounter["subject"] = chart.ref(old) | {"display": "Unknown 41"}
    chart.never("critical", "identity", "a record that was merged away", r"patient:.*unknown 41|MRN:? ?AW/(old|third)")
    chart.diagnosis(chart.condition("Tension pneumothorax", subject=chart.ref(old)), rank=1)
    chart.says("critical", "diagnosis", "pneumothorax", item("pneumothorax", under=PRINCIPAL))
    chart.lab("Lactate", 6.2, "mmol/L", high=2.0, flag="H", subject=chart.ref(old))
    chart.says("critical", "laboratory", "a result of the old record", item("lactate", number("6.2"), under=ABNORMAL))
    for record, allergen in ((old, "Suxamethonium"), (chart.patient, "Chlorhexidine"), (third, "Rocuronium")):
        chart.allergy(allergen, patient=chart.ref(record), reaction="Anaphylaxis")
        chart.says("critical", "allergy", f"{allergen} of one of three records", item(allergen, under=ALLERGIES))
    chart.condition("Haemophilia A", category="problem-list-item", encounter=None, subject=chart.ref(third))
    chart.says("high", "diagnosis", "a problem of the third record", item("haemophilia", under=DIAGNOSES))
    chart.procedure("Chest drain, left", subject=chart.ref(chart.patient))
    chart.says("high", "procedure", "chest drain", item("chest drain", under=PROCEDURES))
    return chart.stay(serve=Serve(page=4, mirror=True))


def logical_subject() -> Stay:
    chart = awkward(
        "logical", "the entries name the patient by number beside a reference, or the Encounter by number only"
    )
    number_of_patient = {"identifier": {"system": "urn:oid:1.2.3.4.5", "value": "AW/logical"}, "type": "Patient"}
    chart.encounter["identifier"] = [identifier("VISIT-77", system="urn:oid:1.2.3.4.6")]
    visit = {"identifier": {"system": "urn:oid:1.2.3.4.6", "value": "VISIT-77"}, "type": "Encounter"}
    chart.diagnosis(chart.condition("Perforated appendicitis"), rank=1)
    chart.says("critical", "diagnosis", "appendicitis", item("appendicitis", under=PRINCIPAL))
    chart.lab("White cells", 21.4, "10*9/L", low=4, high=11, flag="H", encounter=visit)
    chart.says("critical", "laboratory", "by the visit's number", item("white cells", number("21.4"), under=ABNORMAL))
    chart.procedure("Laparoscopic appendicectomy", subject=number_of_patient)
    chart.says(
        "critical",
        "procedure",
        "the patient by number, the stay by reference",
        item("appendicectomy", under=PROCEDURES),
    )
    other = {"identifier": {"system": "urn:oid:1.2.3.4.6", "value": "VISIT-78"}, "type": "Encounter"}
    chart.lab("Lipase", 1777, "U/L", high=60, flag="HH", encounter=other)
    chart.never("critical", "laboratory", "a result of another visit by number", number("1777"))
    elsewhere = {"identifier": {"system": "https://other-hospital.example/visits", "value": "VISIT-77"}}
    chart.lab("Amylase", 1666, "U/L", high=100, flag="HH", encounter=elsewhere)
    chart.never("critical", "laboratory", "the same number of another hospital", number("1666"))
    chart.medicine("cefalexin 500 mg capsule", {"text": "1 capsule four times a day for 5 days"})
    chart.says("critical", "dose", "cefalexin", taken("cefalexin 500", "four times a day for 5 days"))
    return chart.stay(serve=Serve(ids="typed"))


def spelled_references() -> Stay:
    chart = awkward(
        "spelled", "absolute, upper-case host, versioned and urn:uuid references; the same id on another server"
    )
    stay = chart.encounter["id"]
    loud = BASE.replace("ehr.test", "EHR.Test")

    def at(base: str, type: str, id: str, tail: str = "") -> Element:
        return {"reference": f"{base}/{type}/{id}{tail}"}

    main = chart.condition("Acute pancreatitis", encounter=at(loud, "Encounter", stay, "/_history/3"))
    chart.encounter["diagnosis"] = [{"condition": at(BASE, "Condition", main["id"], "/_history/2"), "rank": 1}]
    chart.says("critical", "diagnosis", "pancreatitis", item("pancreatitis", under=PRINCIPAL))
    chart.lab("Lipase", 2412, "U/L", high=60, flag="HH", encounter=at(BASE, "Encounter", stay))
    chart.says("critical", "laboratory", "lipase 2412", item("lipase", number("2412"), under=ABNORMAL))
    chart.report("CT abdomen", "Necrosis of the tail.", encounter={"reference": f"urn:uuid:{stay}"})
    chart.says("critical", "report", "CT", item("CT abdomen", "necrosis", under=REPORTS))
    for other in ("https://ehr.test.example/fhir", "http://ehr.test:8443/fhir", "http://ehr.test/other/fhir"):
        chart.lab(
            f"Calcium ({other[-12:]})", 1.11, "mmol/L", low=2.2, flag="LL", encounter=at(other, "Encounter", stay)
        )
    chart.never("critical", "laboratory", "results of other servers with this id", number("1.11"))
    substance = {"resourceType": "Substance", "id": "s", "code": {"text": "pancrelipase"}}
    medication = {
        "resourceType": "Medication",
        "id": "m",
        "ingredient": [
            {
                "itemReference": {"reference": "#s"},
                "strength": {
                    "numerator": {"value": 25000, "unit": "U"},
                    "denominator": {"value": 1, "unit": "capsule"},
                },
            }
        ],
    }
    order = chart.medicine("", {"text": "2 capsules with meals"})
    order |= {"contained": [medication, substance], "medicationReference": {"reference": "#m"}}
    chart.says(
        "critical", "medicine", "the contained ingredient's name", taken("pancrelipase", "2 capsules with meals")
    )
    chart.medicine(
        "", {"text": "1 tablet at night"}, medicationReference={"reference": "#gone", "display": "amitriptyline 10 mg"}
    )
    chart.says(
        "high", "medicine", "the display of a reference that leads nowhere", item("amitriptyline 10", under=HOME)
    )
    return chart.stay(serve=Serve(ids="typed", page=2))
