"""Where a stay led to, by codes and words as records have them. Unclear is no answer, never a guess."""

from typing import Any

import pytest

from services.drafter.kinds.dispositions import StatedConcept, admission_places, discharge_places
from services.drafter.record.features import stated_concept

NUBC = "https://www.nubc.org/CodeSystem/PatDischargeStatus"
V2 = "http://terminology.hl7.org/CodeSystem/v2-0112"
HL7 = "http://terminology.hl7.org/CodeSystem/discharge-disposition"
GERMAN = "http://fhir.de/CodeSystem/dkgev/EntlassungsgrundErsteUndZweiteStelle"
LOCAL = "urn:oid:1.2.840.114350.1.13.9990.2.7.10.698084.18888"


def code(system: str, value: str, display: str = "", text: str = "") -> dict[str, Any]:
    found: dict[str, Any] = {"coding": [{"system": system, "code": value} | ({"display": display} if display else {})]}
    return found | ({"text": text} if text else {})


def german(value: str, display: str = "") -> dict[str, Any]:
    coding = {"system": GERMAN, "code": value} | ({"display": display} if display else {})
    inner = {"url": "ErsteUndZweiteStelle", "valueCoding": coding}
    return {"extension": [{"url": "http://fhir.de/StructureDefinition/Entlassungsgrund", "extension": [inner]}]}


ACUTE, ADVICE = "acute-hospital", "against-advice"
TABLE: list[tuple[dict[str, Any], str, set[str]]] = [
    # US: NUBC, HL7 v2, FHIR
    (code(NUBC, "02"), "", {ACUTE}),
    (code(NUBC, "05"), "", {ACUTE}),
    (code(NUBC, "66"), "", {ACUTE}),
    (code(NUBC, "82"), "", {ACUTE}),
    (code(NUBC, "07"), "", {ADVICE}),
    (code(NUBC, "01"), "", {"home"}),
    (code(NUBC, "62"), "", {"rehabilitation"}),
    (code(NUBC, "63"), "", {"long-term-care"}),
    (code(NUBC, "65"), "", {"psychiatric-hospital"}),
    (code(NUBC, "20"), "", set()),
    (code(V2, "02"), "", {ACUTE}),
    (code(V2, "2", "Transfer to short-term general hospital"), "", {ACUTE}),
    (code(V2, "05"), "", {"other-facility"}),
    (code(V2, "07", "Left against medical advice or discontinued care"), "", {ADVICE}),
    (code(V2, "09"), "", {"same-hospital"}),
    (code("", "02"), "", {ACUTE}),
    (code("", "05"), "", set()),
    (code("urn:oid:2.16.840.1.113883.12.112", "03"), "", {"nursing-facility"}),
    (code(HL7, "aadvice"), "", {ADVICE}),
    (code(HL7, "other-hcf"), "", {"other-facility"}),
    (code(HL7, "other-hcf"), "St. Mary's Hospital", {ACUTE}),
    (code(HL7, "other-hcf"), "Paediatric Cardiology, Adelaide", {"other-facility"}),
    (code(HL7, "other-hcf"), "Lakeside Rehabilitation Hospital", {"rehabilitation"}),
    (code(HL7, "other-hcf", text="Transferred to another acute care hospital"), "", {ACUTE}),
    (code("http://snomed.info/sct", "225928004"), "", {ADVICE}),
    # Words of local tables
    (code(LOCAL, "7", "Left Against Medical Advice"), "", {ADVICE}),
    (code(LOCAL, "7", "Home or Self Care"), "", {"home"}),
    (code(LOCAL, "2", "Another Acute Care Hospital"), "", {ACUTE}),
    (code(LOCAL, "02"), "", set()),
    (code("http://mimic.mit.edu/x", "AGAINST ADVICE"), "", {ADVICE}),
    (code("http://mimic.mit.edu/x", "LEFT AGAINST MEDICAL ADVI", "Left against medical advice"), "", {ADVICE}),
    (code("http://mimic.mit.edu/x", "CHRONIC/LONG TERM ACUTE CARE"), "", {"long-term-care"}),
    (code("http://mimic.mit.edu/x", "ACUTE HOSPITAL"), "", {ACUTE}),
    ({"text": "AMA"}, "", {ADVICE}),
    ({"text": "Eloped"}, "", {ADVICE}),
    ({"text": "Left hospital against medical advice, went home"}, "", {ADVICE, "home"}),
    ({"text": "Left against medical advice / discharge at own risk"}, "", {ADVICE}),
    ({"text": "Discharge/transfer to (an)other acute hospital"}, "", {ACUTE}),
    ({"text": "NHS other hospital provider - general ward"}, "", {ACUTE}),
    ({"text": "Discharged to hospital in the home"}, "", {"home"}),
    ({"text": "Home, discharged from hospital"}, "", {"home"}),
    ({"text": "Transitional aged care program, own home"}, "", set()),
    ({"text": "Skilled Nursing Facility"}, "", {"nursing-facility"}),
    ({"text": "Inpatient Rehab Facility"}, "", {"rehabilitation"}),
    ({"text": "Not transferred to another hospital, home"}, "", set()),
    (code(NUBC, "43"), "", {"other-facility"}),
    (code(NUBC, "02", "Discharged/transferred to a Short-Term General Hospital for Inpatient Care"), "", {ACUTE}),
    (code(NUBC, "05", "Designated Cancer Center or Children's Hospital"), "", {ACUTE}),
    (code(NUBC, "66", "Discharged/transferred to a Critical Access Hospital (CAH)"), "", {ACUTE}),
    (code(NUBC, "63", "Medicare certified long term care hospital (LTCH)"), "", {"long-term-care"}),
    (code(NUBC, "81", "Home with a Planned Acute Care Hospital Inpatient Readmission"), "", set()),
    (code(NUBC, "70", "Another type of health care institution not defined elsewhere"), "", {"other-facility"}),
    ({"text": "Discharge to Another Hospital"}, "", {ACUTE}),
    ({"text": "Short Term Hospital"}, "", {ACUTE}),
    ({"text": "Transfer to higher level of care"}, "", {ACUTE}),
    ({"text": "Transferred to outside hospital"}, "", {ACUTE}),
    ({"text": "Home, hospitalist follow-up"}, "", {"home"}),
    ({"text": "Hospital discharge, home"}, "", {"home"}),
    ({"text": "DAMA"}, "", {ADVICE}),
    ({"text": "Pt signed himself out"}, "", {ADVICE}),
    ({"text": "Discharged against advice"}, "", {ADVICE}),
    ({"text": "Left without being discharged"}, "", {ADVICE}),
    ({"text": "Mayo advice line, home"}, "", {"home"}),
    (code(HL7, "oth", "Other", "Left AMA"), "", {ADVICE}),
    # German
    (german("06"), "", {ACUTE}),
    (german("08", "Verlegung in ein anderes Krankenhaus im Rahmen einer Zusammenarbeit"), "", {ACUTE}),
    (german("04"), "", {ADVICE}),
    (german("15", "Behandlung aus sonstigen Gründen gegen ärztlichen Rat beendet"), "", {ADVICE}),
    (german("09"), "", {"rehabilitation"}),
    (german("12"), "", {"same-hospital"}),
    (german("01"), "", {"home"}),
    ({"text": "Entlassung gegen ärztlichen Rat"}, "", {ADVICE}),
    ({"text": "Verlegung Universitätsklinikum Musterstadt"}, "", {ACUTE}),
    ({"text": "Verlegung in die Rehaklinik Seeblick"}, "", {"rehabilitation"}),
    ({"text": "Tagesklinik"}, "", set()),
    ({"text": "interne Verlegung"}, "", {"same-hospital"}),
    (german("29"), "", {"other-facility"}),
    ({"text": "Behandlung gegen ärztl. Rat beendet"}, "", {ADVICE}),
    ({"text": "Entlassung auf eigene Verantwortung"}, "", {ADVICE}),
    ({"text": "Entlassung aus dem Krankenhaus nach Hause"}, "", {"home"}),
    ({"text": "Verlegt in die Charité – Universitätsmedizin Berlin"}, "", {ACUTE}),
    (code(HL7, "other-hcf"), "Inselspital Bern", {ACUTE}),
    (code(HL7, "other-hcf"), "Praxis Dr. Muster", {"other-facility"}),
    # Dutch
    ({"text": "Ander ziekenhuis"}, "", {ACUTE}),
    ({"text": "Overgeplaatst naar UMC Utrecht"}, "", {ACUTE}),
    ({"text": "Uit ziekenhuis naar huis"}, "", {"home"}),
    ({"text": "Ziekenhuisverplaatste zorg thuis"}, "", {"home"}),
    ({"text": "Tegen doktersadvies"}, "", {ADVICE}),
    ({"text": "Tegen advies van de arts"}, "", {ADVICE}),
    ({"text": "Overplaatsing naar ander ziekenhuis"}, "", {ACUTE}),
    ({"text": "Tegen medisch advies vertrokken"}, "", {ADVICE}),
    ({"text": "Ontslag tegen advies"}, "", {ADVICE}),
    ({"text": "Naar huis"}, "", {"home"}),
    ({"text": "Verpleeghuis De Linde"}, "", {"nursing-facility"}),
    ({"text": "Geriatrische revalidatie De Vlietstroom"}, "", {"rehabilitation"}),
    # Nothing, and what contradicts itself
    ({}, "", set()),
    (code(LOCAL, "99"), "", set()),
    (code(NUBC, "07", "Home or self care"), "", set()),
    (code(NUBC, "01"), "Northgate University Hospital", set()),
    (code(HL7, "home", text="Transferred to another hospital"), "", set()),
]


def _id(value: Any) -> str:
    return str(sorted(value) if isinstance(value, set) else value)[:70]  # a set says its words in any order


@pytest.mark.parametrize(("disposition", "destination", "wanted"), TABLE, ids=_id)
def test_where_a_stay_led_to(disposition: dict[str, Any], destination: str, wanted: set[str]) -> None:
    found = discharge_places(
        stated_concept(disposition, "Entlassungsgrund"), StatedConcept(texts=(destination,) if destination else ())
    )
    assert found.found == wanted, found.why


@pytest.mark.parametrize(
    ("disposition", "destination", "place"),
    [
        (code(NUBC, "07", "Home or self care"), "", ADVICE),
        (code(NUBC, "01"), "Northgate University Hospital", ACUTE),
        (code(HL7, "other-hcf"), "Paediatric Cardiology, Adelaide", ACUTE),
        ({"text": "Transitional aged care program, own home"}, "", "nursing-facility"),
    ],
)
def test_what_it_may_be_is_told(disposition: dict[str, Any], destination: str, place: str) -> None:
    found = discharge_places(stated_concept(disposition), StatedConcept(texts=(destination,) if destination else ()))
    assert place in found.unclear
    assert place not in found.found


def test_a_destination_that_is_the_own_hospital_is_no_transfer() -> None:
    assert discharge_places(StatedConcept(), StatedConcept(texts=("Northgate Hospital",)), own=True).found == {
        "same-hospital"
    }
    assert (
        discharge_places(stated_concept(code(NUBC, "02")), StatedConcept(texts=("Northgate Hospital",)), own=True).found
        == frozenset()
    )


@pytest.mark.parametrize(
    ("admission", "is_born"),
    [
        (code("http://terminology.hl7.org/CodeSystem/admit-source", "born"), True),
        (code("http://terminology.hl7.org/CodeSystem/v2-0007", "N"), True),
        (code("http://fhir.de/CodeSystem/dkgev/AufnahmegrundErsteUndZweiteStelle", "06"), True),
        (code("http://fhir.de/CodeSystem/dgkev/Aufnahmeanlass", "G"), True),
        ({"text": "Born inside this hospital"}, True),
        ({"text": "Newborn"}, True),
        (code("https://www.nubc.org/CodeSystem/PriorityTypeOfAdmitOrVisit", "4"), True),
        (code("https://www.nubc.org/CodeSystem/PriorityTypeOfAdmitOrVisit", "1"), False),
        ({"text": "Geboren: im Haus, Geburt"}, True),
        ({"text": "Emergency Room"}, False),
        (code("http://fhir.de/CodeSystem/dgkev/Aufnahmeanlass", "N", "Notfall"), False),
        ({}, False),
    ],
)
def test_how_a_stay_began(admission: dict[str, Any], is_born: bool) -> None:
    assert ("born" in admission_places(stated_concept(admission))) is is_born
