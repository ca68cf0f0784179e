"""Links between orders: which one replaces another (`priorPrescription`) or fulfils it (`basedOn`)."""

from dataclasses import dataclass

from services.drafter.record.order_sorting import ListName
from services.drafter.record.scope import StayScope, source
from shared.clinical import elements, references
from shared.clinical.elements import Resource
from shared.contracts.context import Medicine

SortedMedicines = list[tuple[ListName, Medicine]]

MAX_CHAIN_LENGTH = 20  # orders that replace each other
_NOT_ORDERS = ("entered-in-error", "draft", "cancelled")
_CARRIES_OUT = ("filler-order", "instance-order")


@dataclass(frozen=True, slots=True)
class OrderLinks:
    """Links of a record's orders.

    `prior` is the order that each one replaces; `replaced` are those that an order of the stay replaces. `stated` is
    the name of the replaced order, empty where it is only referenced.
    """

    prior: dict[str, str]
    stated: dict[str, str]
    replaced: frozenset[str]
    bases: frozenset[str]

    def replaced_orders(self, item: Resource) -> tuple[str, ...]:
        """Return what an order replaces, transitively."""
        replaced: list[str] = []
        last = self.prior.get(source(item))
        while last is not None and last not in replaced and len(replaced) < MAX_CHAIN_LENGTH:
            replaced.append(last)
            last = self.prior.get(last)
        return tuple(replaced)

    def stands_for(self, item: Resource) -> tuple[str, ...]:
        """Return the orders that an order only fulfils, or that a statement is about."""
        is_statement = item.get("resourceType") == "MedicationStatement"
        if not is_statement and elements.string(item, "intent") not in _CARRIES_OUT:
            return ()
        named = [part for name in ("basedOn", "derivedFrom") for part in elements.children(item, name)]
        orders = (_order_reference(part, self.bases) for part in named)
        return tuple(reference for reference in orders if reference is not None)


def read_links(orders: list[Resource], bases: frozenset[str], scope: StayScope) -> OrderLinks:
    """Return the links of a record's orders; an entry that never was an order replaces nothing."""
    prior: dict[str, str] = {}
    stated: dict[str, str] = {}
    replaced: set[str] = set()
    for item in orders:
        element = elements.child(item, "priorPrescription")
        reference = _order_reference(element, bases)
        if element:
            stated[source(item)] = elements.string(element, "display") or ""
        if reference is None or elements.string(item, "status") in _NOT_ORDERS:
            continue
        prior[source(item)] = reference
        if scope.is_of_stay(item, scope.first_time(item, "authoredOn")):
            replaced.add(reference)
    return OrderLinks(prior, stated, frozenset(replaced), bases)


def _order_reference(element: Resource, bases: frozenset[str]) -> str | None:
    reference = references.parse(element, bases)
    return f"MedicationRequest/{reference.id}" if reference and reference.type in ("", "MedicationRequest") else None


def merge_fulfilled_orders(medicines: SortedMedicines) -> SortedMedicines:
    """Merge an order and its fulfilment into the fuller of the two, in the order's place.

    A statement is merged with its order only where both are in the same list.
    """
    place = {item.source: index for index, (_, item) in reversed(list(enumerate(medicines)))}
    kept: list[tuple[ListName, Medicine] | None] = list(medicines)
    for index, (kind, item) in enumerate(medicines):
        for parent in item.stands_for:
            at = place.get(parent, index)
            whole = kept[at]
            if at == index or whole is None or whole[1].status != item.status:
                continue
            if item.source.startswith("MedicationStatement/") and whole[0] != kind:
                continue
            kept[at] = (whole[0], _more_complete_order(whole[1], item))
            kept[index] = None
            place[item.source] = at
            break
    return [one for one in kept if one is not None]


def _more_complete_order(order: Medicine, other: Medicine) -> Medicine:
    """Return the one with the more complete dosage; with the other's name and directions where they differ."""
    chosen, rest = (other, order) if _statement_of(other) > _statement_of(order) else (order, other)
    update: dict[str, object] = {
        "replaces": tuple(dict.fromkeys((*order.replaces, *other.replaces))),
        "stands_for": tuple(dict.fromkeys((*chosen.stands_for, rest.source))),
    }
    if rest.name.lower() != chosen.name.lower():
        update["note"] = elements.join_distinct([chosen.note, f"also recorded as {rest.name}"], "; ")
    if rest.dose and chosen.dose and (rest.normal or rest.dose) != (chosen.normal or chosen.dose):
        update["question"] = f"the order and the one based on it say different things ({chosen.dose} / {rest.dose})"
    return chosen.model_copy(update=update)


def _statement_of(item: Medicine) -> tuple[int, int]:
    return sum(1 for part in (item.amount, item.frequency, item.route) if part), int(bool(item.dose))


def ask_where_missing(medicines: SortedMedicines, links: OrderLinks) -> SortedMedicines:
    """Ask about discharge orders that replace one in no list: they may be no new medicine."""
    listed = {reference for _, item in medicines for reference in (item.source, *item.stands_for)}

    def with_question(item: Medicine) -> Medicine:
        if item.source not in links.stated or listed & set(item.replaces):
            return item
        name = links.stated[item.source] or "another order"
        return item.model_copy(update={"maybe_before": f"it replaces {name}, which no list of the record has, compare"})

    return [(kind, with_question(item) if kind == "discharge" else item) for kind, item in medicines]


def name_replacements(medicines: SortedMedicines) -> SortedMedicines:
    """Name the replacing order of each medicine that was stopped for it."""
    by = {reference: item.name for kind, item in medicines if kind == "discharge" for reference in item.replaces}
    return [
        (
            kind,
            item.model_copy(
                update={"note": elements.join_distinct([item.note, f"replaced by {by[item.source]}"], "; ")}
            ),
        )
        if kind == "other" and item.source in by
        else (kind, item)
        for kind, item in medicines
    ]
