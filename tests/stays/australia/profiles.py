"""Elements of AU Core: national and hospital identifiers, contained Medications with AMT codes, brand names."""

from typing import Any

from tests.stays.build import Chart
from tests.stays.elements import SNOMED, Element, hl7, identifier
from tests.stays.model import Resource

BRAND = "http://hl7.org.au/fhir/StructureDefinition/medication-brand-name"
PBS = "http://pbs.gov.au/code/item"
AU_TYPES = "http://terminology.hl7.org.au/CodeSystem/v2-0203"


def separation(name: str, about: str, start: str, end: str, *, urn: str, doctor: str, place: str) -> Chart:
    """A chart of one admitted episode; IHI and Medicare number stand before the hospital's number (URN)."""
    chart = Chart(f"oz-{name}", "Australia", about, start=start, end=end, disposition=None)
    chart.patient["identifier"] = [
        identifier("8003608166895854", hl7("v2-0203", "NI"), "http://ns.electronichealth.net.au/id/hi/ihi/1.0"),
        identifier("69507231341", hl7("v2-0203", "MC"), "http://ns.electronichealth.net.au/id/medicare-number"),
        identifier(urn, hl7("v2-0203", "MR"), "https://boorlo.example/urn"),
    ]
    family = doctor.split()[-1]
    chart.attending["name"] = [{"use": "official", "text": doctor, "family": family, "given": [doctor.split()[1]]}]
    hospital = chart.add("Organization", name=place)
    chart.encounter["serviceProvider"] = chart.ref(hospital)
    chart.says("critical", "identity", "the hospital's number of the patient", f"MRN:? ?{urn}")
    chart.never("critical", "identity", "a national number as the hospital's", r"MRN:? ?(8003608166895854|69507231341)")
    chart.says("high", "identity", "the attending", family)
    chart.says("medium", "identity", "the hospital", place)
    return chart


def supply(
    chart: Chart, generic: str, *dosages: Element, brand: str | None = None, amt: str = "", **more: Any
) -> Resource:
    """An order with a contained Medication; its brand is in AU Base's extension, its name in AMT."""
    order = chart.medicine("", *dosages, **more)
    medication: Element = {"resourceType": "Medication", "id": "med"}
    medication["code"] = {"coding": [{"system": SNOMED, "code": amt or order["id"], "display": generic}]}
    if brand:
        medication["extension"] = [{"url": BRAND, "valueString": brand}]
    order |= {"contained": [medication], "medicationReference": {"reference": "#med"}}
    return order


def ended(chart: Chart, text: str, code: str | None = None) -> None:
    """How the episode ended: a mode of separation."""
    found: Element = {"text": text}
    if code:
        system = "https://healthterminologies.gov.au/fhir/CodeSystem/separation-mode"
        found["coding"] = [{"system": system, "code": code}]
    chart.encounter["hospitalization"] = {"dischargeDisposition": found}
