"""How two large American EHRs write the same things: identifiers, classes, ids, categories in words."""

from tests.stays.build import Chart
from tests.stays.elements import Element, coded, identifier

EPIC = "urn:oid:1.2.840.114350.1.13.9990"
ORACLE = "https://fhir.oracle.example/ec2458f2/codeSet"


def epic(chart: Chart, mrn: str, *, ssn: str = "xxx-xx-6019") -> None:
    """MRN by the text of its type, behind the SSN and another number; class and type in local codes."""
    chart.patient["identifier"] = [
        identifier(ssn, system="http://hl7.org/fhir/sid/us-ssn", use="usual"),
        identifier(f"E{mrn}0", {"text": "EPI"}, f"{EPIC}.5.737384.0", use="usual"),
        identifier(mrn, {"text": "MRN"}, f"{EPIC}.5.737384.14", use="usual"),
    ]
    chart.encounter["class"] = {"system": f"{EPIC}.10.698084.13260", "code": "4", "display": "Hospital Encounter"}
    chart.encounter["type"] = [
        coded(f"{EPIC}.10.698084.30", "3", "Hospital Encounter"),
        coded(f"{EPIC}.10.698084.18875", "104", "Inpatient") | {"text": "Inpatient"},
    ]


def oracle(chart: Chart, mrn: str, *, licence: str = "TN-4410-7783") -> None:
    """MRN by the HL7 type, behind a driver's licence; class IMP; the type in words."""
    licensed: Element = {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/v2-0203", "code": "DL"}]}
    number: Element = {
        "coding": [
            {"system": f"{ORACLE}/4", "code": "10", "userSelected": True},
            {
                "system": "http://terminology.hl7.org/CodeSystem/v2-0203",
                "code": "MR",
                "display": "Medical record number",
            },
        ],
        "text": "MRN",
    }
    chart.patient["identifier"] = [
        identifier(licence, licensed | {"text": "Driver's licence"}, "urn:oid:2.16.840.1.113883.4.3.47"),
        identifier(mrn, number, "urn:oid:2.16.840.1.113883.6.1000", use="usual"),
    ]
    chart.encounter["type"] = [
        {"coding": [{"system": f"{ORACLE}/71", "code": "309308", "userSelected": True}], "text": "Inpatient"}
    ]


def named(chart: Chart, family: str, *given: str, born: str, gender: str, before: str | None = None) -> None:
    """The patient's name, and with `before` an older one that stands first."""
    chart.patient |= {"gender": gender, "birthDate": born}
    chart.patient["name"] = [{"use": "official", "family": family, "given": list(given)}]
    if before:
        old = {"use": "maiden" if gender == "female" else "old", "family": before, "given": list(given)}
        chart.patient["name"].insert(0, old)


def signed(chart: Chart, given: str, family: str) -> None:
    """The attending physician."""
    chart.attending["name"] = [{"text": f"{given} {family}, MD", "family": family, "given": [given], "suffix": ["MD"]}]


def local(text: str) -> list[Element]:
    """A category in words only."""
    return [{"text": text}]


def panel_part(text: str, value: float, unit: str) -> Element:
    """A component of an Observation."""
    quantity = {"value": value, "unit": unit, "system": "http://unitsofmeasure.org", "code": unit}
    return {"code": {"text": text}, "valueQuantity": quantity}
