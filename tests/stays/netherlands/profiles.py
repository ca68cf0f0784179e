"""Elements of nl-core: medication building blocks of zib2020, Dutch identifiers, directives as Consent."""

from typing import Any

from tests.stays.build import Chart
from tests.stays.elements import SNOMED, Element, coded, hl7, identifier
from tests.stays.model import Resource

ZIB = "http://nictiz.nl/fhir/StructureDefinition/"
PRK = "urn:oid:2.16.840.1.113883.2.4.4.10"
G_UNITS = "urn:oid:2.16.840.1.113883.2.4.4.1.900.2"
AGREEMENT = [coded(SNOMED, "33633005", "voorschrijven van geneesmiddel")]
USE = coded(SNOMED, "422979000", "bevinding betreffende gedrag van medicatiegebruik")
ADMINISTRATION_AGREEMENT = coded(SNOMED, "422037009", "toediening van medicatie (regime/therapie)")


def admission(name: str, about: str, start: str, end: str, *, number: str, attending: str) -> Chart:
    """A chart of an admission; the attending is reached by a PractitionerRole, the BSN stands before the number."""
    chart = Chart(f"nl-{name}", "Netherlands", about, start=start, end=end, disposition=None)
    chart.patient["identifier"] = [
        identifier("999900791", system="http://fhir.nl/fhir/NamingSystem/bsn"),
        identifier(number, hl7("v2-0203", "MR"), "https://zhvliet.example/patientnummer"),
    ]
    given, _, family = attending.partition(" ")
    chart.attending["name"] = [{"use": "official", "text": attending, "family": family, "given": [given]}]
    role = chart.add("PractitionerRole", practitioner=chart.ref(chart.attending), specialty=[{"text": "Specialist"}])
    chart.encounter["participant"] = [
        {"type": [hl7("v3-ParticipationType", "ATND")], "individual": chart.ref(role) | {"display": attending}}
    ]
    chart.says("critical", "identity", "the hospital's number of the patient", f"MRN:? ?{number}")
    chart.never("critical", "identity", "the BSN as the hospital's number", r"MRN:? ?999900791")
    chart.says("high", "identity", "the attending, by her role", attending)
    return chart


def agreement(chart: Chart, medicine: str, *dosages: Element, **more: Any) -> Resource:
    """A MedicationAgreement that refers to a Medication with a code of the G-Standaard."""
    product = chart.add("Medication", code={"coding": [{"system": PRK, "code": "1", "display": medicine}]})
    start = more.get("at", chart.end)
    period = {"url": f"{ZIB}ext-TimeInterval.Period", "valuePeriod": more.pop("use", {"start": start})}
    own: Element = {"extension": [period], "category": AGREEMENT}
    return chart.medicine(product, *dosages, **(own | more))


def stop(display: str, code: str) -> list[Element]:
    """The stop type, a modifier in zib2020: 410546004 for good, 385655000 for a time."""
    return [{"url": f"{ZIB}ext-StopType", "valueCodeableConcept": coded(SNOMED, code, display)}]


def given(text: str, value: float | None = None, times: int | None = None, unit: str = "stuk", **more: Any) -> Element:
    """An InstructionsForUse: the text as pharmacies write it, and the same as elements."""
    found: Element = {"text": text}
    if times:
        found["timing"] = {"repeat": {"frequency": times, "period": 1, "periodUnit": "d"}}
    if value is not None:
        dose: Element = {"value": value, "unit": unit, "system": G_UNITS, "code": "245"}
        found["doseAndRate"] = [{"doseQuantity": dose}]
    return found | more


def directive(chart: Chart, treatment: str, code: str, kind: str, date: str, **more: Any) -> Resource:
    """A TreatmentDirective2: what is permitted or denied."""
    own: Element = {
        "status": "active",
        "scope": coded("http://terminology.hl7.org/CodeSystem/consentscope", "treatment"),
        "category": [coded(SNOMED, "129125009", "verrichting met expliciete context")],
        "patient": chart.ref(chart.patient),
        "dateTime": date,
        "provision": {"type": kind, "code": [coded(SNOMED, code, treatment)]},
    }
    return chart.add("Consent", **(own | more))
