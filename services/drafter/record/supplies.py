"""Supplies for home: MedicationDispenses, without those that the ward used.

https://hl7.org/fhir/R4/medicationdispense.html
"""

from collections.abc import Iterator

from services.drafter.record.medicine_entries import MedicineReader
from services.drafter.record.medicine_lists import ListMembership
from services.drafter.record.medicine_words import categories
from services.drafter.record.order_sorting import DISCHARGE_PERIOD
from services.drafter.record.scope import StayScope
from shared.clinical import elements, references
from shared.clinical.elements import Resource
from shared.clinical.fhir_datetime import FhirDateTime
from shared.contracts.context import Medicine

_HANDED_OVER = ("completed", "in-progress", "preparation")
_FOR_THE_WARD = frozenset({"UD", "UDE", "FS", "DF"})  # v3-ActCode: unit dose, floor stock, daily fill
_OWN_DIRECTIONS = "supplied for the time after the discharge without directions"


class SupplyReader:
    """Read supplies. `orders` are those of the record by reference, `ward` references of inpatient ones."""

    def __init__(
        self,
        orders: dict[str, Medicine | None],
        ward: frozenset[str],
        entries: MedicineReader,
        lists: ListMembership,
        bases: frozenset[str],
        scope: StayScope,
    ) -> None:
        self._orders, self._ward = orders, ward
        self._entries, self._lists, self._bases, self._scope = entries, lists, bases, scope

    def for_home(self, resources: list[Resource]) -> Iterator[Medicine]:
        """Yield supplies for home without a home order behind them."""
        for item in resources:
            time = self._scope.first_time(item, "whenHandedOver", "whenPrepared")
            name = self._entries.name(item)
            if elements.string(item, "status") not in _HANDED_OVER:
                continue
            if "discharge" in self._lists.kinds(item):
                yield self._entries.medicine(item, name, time)
                continue
            behind = self._orders_behind(item)
            if not self._is_of_discharge(item, time) or self._is_listed(item, behind):
                continue
            if behind & self._ward and not self._is_for_home(item):
                self._ask_question(item, name)
                continue
            yield self._read_supply(item, name, time, sorted(behind & self._ward))

    def _orders_behind(self, item: Resource) -> set[str]:
        named = (references.relative(part, self._bases) for part in elements.children(item, "authorizingPrescription"))
        return {reference for reference in named if reference is not None}

    def _is_listed(self, item: Resource, behind: set[str]) -> bool:
        """Return whether the home order of a supply is listed; an excluded order hides no supply."""
        if not self._scope.belongs(item):
            return bool(behind & self._orders.keys() - self._ward)
        return any(self._orders.get(reference) is not None for reference in behind - self._ward)

    def _is_of_discharge(self, item: Resource, time: FhirDateTime | None) -> bool:
        """Return whether a supply is of the stay's last day, or for its discharge, and not ward stock."""
        scope, category_codes = self._scope, _category_and_type(item)
        if time is None or scope.belongs(item) is False or time.begins > scope.end_of_day:
            return False
        if "inpatient" in category_codes or elements.codes(item.get("type")) & _FOR_THE_WARD:
            return False
        return scope.end - time.ends <= DISCHARGE_PERIOD or (
            "discharge" in category_codes and scope.is_of_stay(item, time)
        )

    def _is_for_home(self, item: Resource) -> bool:
        return bool(_category_and_type(item)) or bool(elements.child(item, "daysSupply"))

    def _ask_question(self, item: Resource, name: str | None) -> None:
        if item.get("whenHandedOver"):
            reason = "handed over at the discharge for an order of the ward, the record does not say whether for home"
            self._scope.leave_out(item, name, reason, important=True)

    def _read_supply(self, item: Resource, name: str | None, time: FhirDateTime | None, behind: list[str]) -> Medicine:
        """Return a supply; without own directions, the inpatient ones are shown beside it as they may differ."""
        supply = self._entries.medicine(item, name, time)
        if elements.children(item, "dosageInstruction"):
            return supply
        ward = [order.dose for reference in behind if (order := self._orders.get(reference)) and order.dose]
        question = f"{_OWN_DIRECTIONS} (on the ward: {'; '.join(ward)})" if ward else ""
        return supply.model_copy(update={"question": question})


def _category_and_type(item: Resource) -> frozenset[str]:
    """Return category and type: a MedicationDispense has one of each."""
    return categories({"category": [*elements.children(item, "category"), *elements.children(item, "type")]})
