"""Elements of the German profiles: contacts, ICD-10-GM with certainty, OPS with side, Entlassungsgrund."""

from typing import Any

from tests.stays.build import Chart
from tests.stays.elements import LOINC, Element, coded, hl7, identifier
from tests.stays.model import Resource

ICD = "http://fhir.de/CodeSystem/bfarm/icd-10-gm"
OPS = "http://fhir.de/CodeSystem/bfarm/ops"
ATC = "http://fhir.de/CodeSystem/bfarm/atc"
PZN = "http://fhir.de/CodeSystem/ifa/pzn"
CERTAINTY = "http://fhir.de/StructureDefinition/icd-10-gm-diagnosesicherheit"
SIDE = "http://fhir.de/StructureDefinition/seitenlokalisation"
SIDES = "https://fhir.kbv.de/CodeSystem/KBV_CS_SFHIR_ICD_SEITENLOKALISATION"
REASON = "http://fhir.de/StructureDefinition/Entlassungsgrund"
DE_BASIS = "http://fhir.de/CodeSystem/identifier-type-de-basis"


def ward(name: str, about: str, start: str, end: str, *, pid: str, doctor: str, department: str) -> Chart:
    """A chart of one Einrichtungskontakt; the patient's name and numbers are the caller's."""
    chart = Chart(f"de-{name}", "Germany", about, start=start, end=end, disposition=None)
    chart.patient["identifier"] = [
        identifier(pid, hl7("v2-0203", "MR"), "https://krankenhaus-ostwig.example/sid/patienten")
    ]
    chart.encounter["identifier"] = [
        identifier(f"F-{pid[-4:]}", hl7("v2-0203", "VN"), "https://krankenhaus-ostwig.example/sid/faelle")
    ]
    chart.encounter["type"] = [
        coded("http://fhir.de/CodeSystem/Kontaktebene", "einrichtungskontakt", "Einrichtungskontakt"),
        coded("http://fhir.de/CodeSystem/kontaktart-de", "normalstationaer", "Normalstationär"),
    ]
    chart.encounter["serviceType"] = coded(
        "http://fhir.de/CodeSystem/dkgev/Fachabteilungsschluessel", "0000", department
    )
    chart.attending["name"] = [
        {"use": "official", "text": f"Dr. med. {doctor}", "family": doctor.split()[-1], "given": [doctor.split()[0]]}
    ]
    chart.says("critical", "identity", "the hospital's number of the patient", f"MRN:? ?{pid}")
    chart.says("high", "identity", "the attending", doctor)
    return chart


def insured(chart: Chart, number: str, private: bool = False) -> None:
    """A number of the statutory or private insurance before the hospital's own."""
    kind = coded(DE_BASIS, "PKV" if private else "KVZ10")
    system = "https://versicherung.example/sid/vnr" if private else "http://fhir.de/sid/gkv/kvid-10"
    chart.patient["identifier"].insert(0, identifier(number, kind, system))
    chart.never("critical", "identity", "the insurance number as the hospital's", f"MRN:? ?{number}")


def contact(chart: Chart, level: str, start: str, end: str, parent: Resource | None = None) -> Resource:
    """An Abteilungskontakt or Versorgungsstellenkontakt below the stay or below another contact."""
    part = chart.add(
        "Encounter",
        status="finished",
        type=[coded("http://fhir.de/CodeSystem/Kontaktebene", level)],
        subject=chart.ref(chart.patient),
        period={"start": start, "end": end},
        partOf=chart.ref(parent or chart.encounter),
    )
    part["class"] = hl7("v3-ActCode", "IMP")["coding"][0]
    return part


def icd(code: str, display: str, certainty: str = "G", side: str | None = None, mark: str | None = None) -> Element:
    """A code of ICD-10-GM with certainty (G sure, V suspected, Z state after, A excluded), side and † or *."""
    more: list[Element] = [
        {
            "url": CERTAINTY,
            "valueCoding": {
                "system": "https://fhir.kbv.de/CodeSystem/KBV_CS_SFHIR_ICD_DIAGNOSESICHERHEIT",
                "code": certainty,
            },
        }
    ]
    if side:
        more.append({"url": SIDE, "valueCoding": {"system": SIDES, "code": side}})
    if mark:
        url = "http://fhir.de/StructureDefinition/icd-10-gm-mehrfachcodierungs-kennzeichen"
        more.append(
            {"url": url, "valueCoding": {"system": "http://fhir.de/CodeSystem/icd-10-gm-mehrfach", "code": mark}}
        )
    return {"coding": [{"system": ICD, "version": "2026", "code": code, "display": display, "extension": more}]}


def diagnosis(chart: Chart, code: Element, use: str | None = None, **more: Any) -> Resource:
    """A Condition without a verification status, and its use in the stay: hauptdiagnose, entlassdiagnose …"""
    found = chart.condition(code, **({"verification": None} | more))
    if use:
        chart.encounter.setdefault("diagnosis", []).append(
            {
                "condition": chart.ref(found),
                "use": {"coding": [{"system": "http://fhir.de/CodeSystem/KontaktDiagnoseProzedur", "code": use}]},
            }
        )
    return found


def ops(code: str, display: str, side: str | None = None) -> Element:
    """A code of OPS, with its side in an extension."""
    coding: Element = {"system": OPS, "version": "2026", "code": code, "display": display}
    if side:
        coding["extension"] = [{"url": SIDE, "valueCoding": {"system": SIDES, "code": side}}]
    return {"coding": [coding]}


def discharged(chart: Chart, first: str, display: str, third: str = "9") -> None:
    """The Entlassungsgrund of § 301: two digits for what became of the patient, the third for fitness to work."""
    inner = [
        {
            "url": "ErsteUndZweiteStelle",
            "valueCoding": {
                "system": "http://fhir.de/CodeSystem/dkgev/EntlassungsgrundErsteUndZweiteStelle",
                "code": first,
                "display": display,
            },
        },
        {
            "url": "DritteStelle",
            "valueCoding": {"system": "http://fhir.de/CodeSystem/dkgev/EntlassungsgrundDritteStelle", "code": third},
        },
    ]
    chart.encounter["hospitalization"] = {"dischargeDisposition": {"extension": [{"url": REASON, "extension": inner}]}}


def loinc(code: str, display: str) -> Element:
    """A test with its German LOINC name only."""
    return {"coding": [{"system": LOINC, "code": code, "display": display}]}


def drug(atc: str, group: str, pzn: str, product: str) -> Element:
    """A medicine as German systems code it: the ATC group first, the product under its PZN."""
    return {
        "coding": [{"system": ATC, "code": atc, "display": group}, {"system": PZN, "code": pzn, "display": product}]
    }
