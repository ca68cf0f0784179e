"""Entries of a record: the stay itself and what is found, done and ordered in it. See `build.py`."""

from typing import Any

from tests.stays.elements import Concept, Digits, Element, concept, hl7, limits, quantity
from tests.stays.model import Resource

DISPOSITIONS = {
    "home": "Home",
    "hosp": "Hospice",
    "exp": "Expired",
    "aadvice": "Left against advice",
    "other-hcf": "Other healthcare facility",
    "snf": "Skilled nursing facility",
    "rehab": "Rehabilitation",
    "psy": "Psychiatric hospital",
    "long": "Long-term care",
}


class Record:
    """Entries of one stay. `patient`, `encounter` and `attending` are resources that may be changed freely."""

    def __init__(self, name: str, source: str, about: str, *, start: str, end: str, disposition: str | None = "home"):
        self.name, self.source, self.about = name, source, about
        self.start, self.end = start, end
        self.resources: list[Resource] = []
        self._count = 0
        self.patient = self.add(
            "Patient", name=[{"use": "official", "family": "Example", "given": ["Robin"]}], gender="female"
        )
        self.attending = self.add("Practitioner", name=[{"family": "Okafor", "given": ["Adaeze"], "prefix": ["Dr."]}])
        self.encounter = self.add(
            "Encounter",
            status="finished",
            subject=self.ref(self.patient),
            period={"start": start, "end": end},
            participant=[{"type": [hl7("v3-ParticipationType", "ATND")], "individual": self.ref(self.attending)}],
        )
        self.encounter["class"] = {"system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": "IMP"}
        if disposition is not None:
            coding = hl7("discharge-disposition", disposition)["coding"][0] | {"display": DISPOSITIONS[disposition]}
            self.encounter["hospitalization"] = {"dischargeDisposition": {"coding": [coding]}}

    def add(self, type: str, /, **elements: Any) -> Resource:
        """A resource with exactly these elements, and an id."""
        self._count += 1
        resource: Resource = {"resourceType": type, "id": f"{self.name}-{self._count:03d}"}
        resource |= {name: value for name, value in elements.items() if value is not None}
        self.resources.append(resource)
        return resource

    def of_stay(self, type: str, /, **elements: Any) -> Resource:
        """A resource of the patient and the stay."""
        own = {"subject": self.ref(self.patient), "encounter": self.ref(self.encounter)}
        return self.add(type, **(own | elements))

    @staticmethod
    def ref(resource: Resource) -> Element:
        """A relative reference."""
        return {"reference": f"{resource['resourceType']}/{resource['id']}"}

    def condition(
        self,
        text: Concept,
        *codings: tuple[str, ...],
        clinical: str | None = "active",
        verification: str | None = "confirmed",
        category: str | None = "encounter-diagnosis",
        **more: Any,
    ) -> Resource:
        """A Condition of the stay; `encounter=None` makes it one of the problem list only."""
        elements: Element = {"code": concept(text, *codings)}
        if clinical:
            elements["clinicalStatus"] = hl7("condition-clinical", clinical)
        if verification:
            elements["verificationStatus"] = hl7("condition-ver-status", verification)
        if category:
            elements["category"] = [hl7("condition-category", category)]
        return self.of_stay("Condition", **(elements | more))

    def diagnosis(self, condition: Resource, use: str | None = "DD", rank: int | None = None) -> Resource:
        """Names a Condition as a diagnosis of the Encounter."""
        entry: Element = {"condition": self.ref(condition)}
        entry |= {"use": hl7("diagnosis-role", use)} if use else {}
        entry |= {"rank": rank} if rank else {}
        self.encounter.setdefault("diagnosis", []).append(entry)
        return condition

    def observation(
        self, text: Concept, *codings: tuple[str, ...], category: str | None, at: str | None = None, **more: Any
    ) -> Resource:
        """An Observation; its value comes by name: `valueQuantity=`, `valueString=`, `component=` …"""
        elements: Element = {"status": "final", "code": concept(text, *codings), "effectiveDateTime": at or self.start}
        if category:
            elements["category"] = [hl7("observation-category", category)]
        return self.of_stay("Observation", **(elements | more))

    def lab(
        self,
        text: Concept,
        value: float | str | None = None,
        unit: str | None = None,
        *codings: tuple[str, ...],
        low: float | None = None,
        high: float | None = None,
        flag: str | None = None,
        comparator: str | None = None,
        at: str | None = None,
        **more: Any,
    ) -> Resource:
        """A laboratory result; a value that is a string becomes `valueString`, `flag` an HL7 interpretation."""
        elements: Element = {}
        if isinstance(value, str) and not isinstance(value, Digits):
            elements["valueString"] = value
        elif value is not None:
            elements["valueQuantity"] = quantity(value, unit, comparator)
        if low is not None or high is not None:
            elements["referenceRange"] = [limits(low, high, unit)]
        if flag:
            elements["interpretation"] = [hl7("v3-ObservationInterpretation", flag)]
        return self.observation(text, *codings, category="laboratory", at=at, **(elements | more))

    def vital(
        self, text: Concept, value: float, unit: str, *codings: tuple[str, ...], at: str | None = None, **more: Any
    ) -> Resource:
        """A vital sign; without a time at the discharge."""
        own = {"valueQuantity": quantity(value, unit)}
        return self.observation(text, *codings, category="vital-signs", at=at or self.end, **(own | more))

    def report(
        self,
        text: Concept,
        conclusion: str | None = None,
        *codings: tuple[str, ...],
        category: str | None = "RAD",
        status: str = "final",
        at: str | None = None,
        **more: Any,
    ) -> Resource:
        """A DiagnosticReport; `category` of HL7 table 0074: RAD, LAB, MB, CUS …"""
        elements: Element = {"status": status, "code": concept(text, *codings), "effectiveDateTime": at or self.start}
        elements |= {"category": [hl7("v2-0074", category)]} if category else {}
        return self.of_stay("DiagnosticReport", **(elements | {"conclusion": conclusion} | more))

    def allergy(
        self,
        text: Concept,
        *codings: tuple[str, ...],
        clinical: str | None = "active",
        verification: str | None = "confirmed",
        recorded: str | None = "2024-02-01",
        reaction: str | None = None,
        **more: Any,
    ) -> Resource:
        """An AllergyIntolerance with one manifestation."""
        elements: Element = {
            "code": concept(text, *codings),
            "recordedDate": recorded,
            "patient": self.ref(self.patient),
        }
        if clinical:
            elements["clinicalStatus"] = hl7("allergyintolerance-clinical", clinical)
        if verification:
            elements["verificationStatus"] = hl7("allergyintolerance-verification", verification)
        if reaction:
            elements["reaction"] = [{"manifestation": [{"text": reaction}]}]
        return self.add("AllergyIntolerance", **(elements | more))

    def procedure(
        self, text: Concept, *codings: tuple[str, ...], at: str | None = None, status: str = "completed", **more: Any
    ) -> Resource:
        """A Procedure of the stay."""
        own: Element = {"status": status, "code": concept(text, *codings), "performedDateTime": at or self.start}
        return self.of_stay("Procedure", **(own | more))

    def immunization(self, text: Concept, at: str, status: str = "completed", **more: Any) -> Resource:
        """An Immunization in the stay."""
        own: Element = {"status": status, "vaccineCode": concept(text), "occurrenceDateTime": at}
        own |= {"patient": self.ref(self.patient), "encounter": self.ref(self.encounter)}
        return self.add("Immunization", **(own | more))

    def appointment(
        self, text: str, start: str, status: str = "booked", *, with_: str | None = None, **more: Any
    ) -> Resource:
        """An Appointment of the patient with a person or place named in words."""
        people = [{"actor": self.ref(self.patient), "status": "accepted"}]
        people += [{"actor": {"display": with_}, "status": "accepted"}] if with_ else []
        return self.add(
            "Appointment", **({"status": status, "description": text, "start": start, "participant": people} | more)
        )

    def order(
        self,
        text: Concept,
        *codings: tuple[str, ...],
        status: str = "active",
        intent: str = "order",
        at: str | None = None,
        **more: Any,
    ) -> Resource:
        """A ServiceRequest: a referral, a test that is asked for, a code status …"""
        own: Element = {
            "status": status,
            "intent": intent,
            "code": concept(text, *codings),
            "authoredOn": at or self.end,
        }
        return self.of_stay("ServiceRequest", **(own | more))

    def care_plan(self, *activities: str, status: str = "active", **more: Any) -> Resource:
        """A CarePlan whose activities are told in their details."""
        details = [{"detail": {"status": "scheduled", "description": text}} for text in activities]
        return self.of_stay("CarePlan", **({"status": status, "intent": "plan", "activity": details or None} | more))

    def family(self, relationship: str, condition: str, **more: Any) -> Resource:
        """A FamilyMemberHistory with one condition."""
        own: Element = {
            "status": "completed",
            "relationship": concept(relationship),
            "condition": [{"code": {"text": condition}}],
        }
        return self.add("FamilyMemberHistory", patient=self.ref(self.patient), **(own | more))
