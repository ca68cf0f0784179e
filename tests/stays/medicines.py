"""Entries of a record about medicines. See `build.py`."""

from typing import Any

from tests.stays.elements import Concept, Element, concept, hl7
from tests.stays.entries import Record
from tests.stays.model import Resource


class Medicines(Record):
    """Orders, statements, administrations and dispenses."""

    def medicine(
        self,
        medicine: Concept | Resource,
        *dosages: Element,
        category: str | None = "discharge",
        status: str = "active",
        intent: str = "order",
        at: str | None = None,
        **more: Any,
    ) -> Resource:
        """A MedicationRequest, at the discharge if not said else; `medicine` is a text, concept or Medication."""
        is_resource = isinstance(medicine, dict) and medicine.get("resourceType") == "Medication"
        elements: Element = {"status": status, "intent": intent, "authoredOn": at or self.end}
        if is_resource:
            assert isinstance(medicine, dict)
            elements["medicationReference"] = self.ref(medicine)
        elif medicine:
            elements["medicationCodeableConcept"] = concept(medicine)
        if category:
            elements["category"] = [hl7("medicationrequest-category", category)]
        if dosages:
            elements["dosageInstruction"] = list(dosages)
        return self.of_stay("MedicationRequest", **(elements | more))

    def home_medicine(
        self, medicine: Concept | Resource, *dosages: Element, at: str = "2025-06-01", **more: Any
    ) -> Resource:
        """What the patient took before: an order of category community, outside the stay."""
        return self.medicine(medicine, *dosages, at=at, **({"category": "community", "encounter": None} | more))

    def statement(self, medicine: Concept, *dosages: Element, status: str = "active", **more: Any) -> Resource:
        """A MedicationStatement; its Encounter is `context`, which is not set by itself."""
        own: Element = {
            "status": status,
            "medicationCodeableConcept": concept(medicine),
            "effectiveDateTime": self.start,
        }
        own |= {"dosage": list(dosages)} if dosages else {}
        return self.add("MedicationStatement", subject=self.ref(self.patient), **(own | more))

    def administration(
        self,
        medicine: Concept,
        dose: Element | None = None,
        *,
        at: str | None = None,
        status: str = "completed",
        **more: Any,
    ) -> Resource:
        """A MedicationAdministration in the stay."""
        own: Element = {
            "status": status,
            "medicationCodeableConcept": concept(medicine),
            "effectiveDateTime": at or self.start,
        }
        own |= {"subject": self.ref(self.patient), "context": self.ref(self.encounter), "dosage": dose}
        return self.add("MedicationAdministration", **(own | more))

    def dispense(
        self, medicine: Concept, *dosages: Element, at: str | None = None, status: str = "completed", **more: Any
    ) -> Resource:
        """A MedicationDispense, handed over at the discharge if nothing else is said."""
        own: Element = {
            "status": status,
            "medicationCodeableConcept": concept(medicine),
            "whenHandedOver": at or self.end,
        }
        own |= {"dosageInstruction": list(dosages)} if dosages else {}
        return self.add(
            "MedicationDispense", subject=self.ref(self.patient), context=self.ref(self.encounter), **(own | more)
        )
