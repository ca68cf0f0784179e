"""Read one order, statement, administration or supply as a medicine: name, directions, reason, status."""

from typing import Any

from services.drafter.record.dosage import read_dosage, supply_duration
from services.drafter.record.medicine_names import MedicineNames, ingredients, product_codes
from services.drafter.record.order_sorting import is_avoided
from services.drafter.record.scope import StayScope, source
from shared.clinical import elements, references
from shared.clinical.elements import Resource
from shared.clinical.fhir_datetime import FhirDateTime
from shared.contracts.context import Medicine, OrderStatus


class MedicineReader:
    """Read the medicines of one record. `medications` are Medication resources by reference."""

    def __init__(
        self, medications: dict[str, Resource], conditions: list[Resource], bases: frozenset[str], scope: StayScope
    ) -> None:
        self._names = MedicineNames(medications, bases)
        self._conditions = {source(item): item for item in conditions}
        self._bases = bases
        self._scope = scope

    def name(self, item: Resource) -> str | None:
        return self._names.name(item)

    def medicine(self, item: Resource, name: str | None, time: FhirDateTime | None, **more: Any) -> Medicine:
        dosage = read_dosage(item)
        named = name or "Medicine not named in the record"
        supply = supply_duration(item)
        directions = elements.join_distinct(
            [
                dosage.directions,
                f"supply for {supply}" if supply and supply not in dosage.directions else None,
                *self._conditions_of(item),
            ]
        )
        concept = self._names.medication_of(item)
        substances = self._names.substances(item, concept)
        return Medicine(
            **self._scope.entry(item, f"{named}, {directions}" if directions else named, time).model_dump(),
            name=named,
            dose=directions,
            amount=dosage.amount,
            route=dosage.route,
            frequency=dosage.frequency,
            reason=self._reason(item),
            note="; ".join(elements.annotations(item)),
            status=status_of(item),
            ingredients=ingredients(named, substances),
            substances=tuple(dict.fromkeys((*substances, *elements.displays(concept.get("code"))))),
            codes=tuple(sorted(f"{system}|{code}" for system, code in elements.coding_pairs(concept.get("code")))),
            products=product_codes(concept.get("code"), named),
            normal=dosage.normal,
            doubt=dosage.doubt,
            lacks=dosage.lacks,
            by_body=dosage.by_body,
            steps=dosage.steps,
            ambiguous=dosage.ambiguous,
            **more,
        )

    def _reason(self, item: Resource) -> str:
        """Return the reason for holding or stopping an order, else its indication."""
        coded = [elements.concept(part) for part in elements.children(item, "reasonCode")]
        referred = []
        for part in elements.children(item, "reasonReference"):
            condition = self._conditions.get(references.relative(part, self._bases) or "")
            referred.append(elements.concept((condition or {}).get("code")) or elements.string(part, "display"))
        return elements.join_distinct([self.status_reason(item), *(coded or referred)], "; ")

    def _conditions_of(self, item: Resource) -> list[str]:
        """Return remarks on an order: no substitution, an unclear status, why it was stopped on the ward."""
        allowed = elements.boolean(elements.child(item, "substitution"), "allowedBoolean")
        remarks = {"unknown": "status of the order unknown"}
        if "inpatient" in elements.codes(item.get("category")):
            why = self.status_reason(item)
            remarks |= {
                status: f"{words}: {why}" if why else words
                for status, words in (("stopped", "stopped in the stay"), ("on-hold", "on hold"))
            }
        return ["no substitution" if allowed is False else "", remarks.get(str(item.get("status")), "")]

    def status_reason(self, item: Resource) -> str | None:
        """Return the status reason: one concept of an order, several of a statement."""
        return (
            elements.join_distinct(elements.concept(part) for part in elements.children(item, "statusReason")) or None
        )


def _is_avoided(item: Resource) -> bool:
    return elements.boolean(item, "doNotPerform") is True


def is_stop_agreement(item: Resource) -> bool:
    """Return whether an order is a Dutch agreement to stop, which has a stop type."""
    return any(True for _ in elements.extensions(item, "StopType"))


def status_of(item: Resource) -> OrderStatus:
    if is_avoided(item):
        return "avoid"
    status = item.get("status")
    if status == "stopped" or is_stop_agreement(item):
        return "stopped"
    return "on-hold" if status == "on-hold" else "active"
