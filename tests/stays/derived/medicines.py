"""Facts about medicines: amount, route, how often, how long; what went home, what was given, what nobody stopped."""

import re
from collections import defaultdict
from collections.abc import Iterator

from tests.stays.derived.reading import Record, codes, literal, moment, must, names, never
from tests.stays.model import Fact, Resource
from tests.stays.words import (
    AS_NEEDED,
    DAILY,
    FOUR_TIMES,
    GIVEN,
    HOME,
    PROCEDURES,
    RECONCILIATION,
    THREE_TIMES,
    TWICE,
    WEEKLY,
    item,
    number,
    taken,
)

OFTEN = {
    (1, 1, "d"): DAILY,
    (2, 1, "d"): TWICE,
    (3, 1, "d"): THREE_TIMES,
    (4, 1, "d"): FOUR_TIMES,
    (1, 1, "wk"): WEEKLY,
}
ROUTES = {
    "26643006": r"(\boral|by mouth|\bp\.?o\b)",
    "447694001": r"(inhal|respiratory|\binh\b)",
    "34206005": r"(subcutan|\bs\.?c\b)",
    "47625008": r"(intraven|\bi\.?v\b)",
}
COURSE = 14  # days: what is supplied for longer is a refill, not a course
MISSPELT = re.compile(r"^\w+(_\w+)*: ")  # the generator's own labels: "bronchodilator: Salbutamol"


def medicines(record: Record) -> Iterator[Fact]:
    """Every fact about medicines."""
    orders = [r for r in record.of_stay("MedicationRequest") if moment(r["authoredOn"]) <= record.end and _name(r)]
    home = [r for r in orders if "discharge" in codes(r.get("category"))]
    if not record.died:
        for order in home:
            yield from _to_take(order)
    yield from _before(record, orders, home)
    yield from _in_hospital(orders, home)


def _to_take(order: Resource) -> Iterator[Fact]:
    name = _name(order)
    dosage: Resource = next(iter(order.get("dosageInstruction", ())), {})
    amount = _amount(dosage)
    yield must("critical", "dose", f"{name} {amount} to take at home", taken(name, _digits(amount)))
    repeat = (dosage.get("timing") or {}).get("repeat", {})
    often = OFTEN.get((repeat.get("frequency", 0), repeat.get("period", 0), repeat.get("periodUnit", "")))
    if dosage.get("asNeededBoolean"):
        often = AS_NEEDED
    if often:
        yield must("critical", "dose", f"how often {name} is taken", taken(name, _digits(amount), often))
    route = next((ROUTES[code] for code in codes(dosage.get("route")) if code in ROUTES), None)
    if route:
        yield must("high", "dose", f"by which route {name} is taken", taken(name, _digits(amount), route))
    days = ((order.get("dispenseRequest") or {}).get("expectedSupplyDuration") or {}).get("value")
    if days and days <= COURSE:
        yield must("critical", "dose", f"{name} for {days} days", taken(name, rf"\b{days:g} ?(d\b|days?)"))


def _before(record: Record, orders: list[Resource], home: list[Resource]) -> Iterator[Fact]:
    """What was taken before and has no order for home: it is named, and nobody says that it was stopped."""
    ordered = {_name(order).lower() for order in home}
    for order in orders:
        name = _name(order)
        if "community" in codes(order.get("category")) and name.lower() not in ordered:
            yield must("high", "medicine", f"{name}, taken before", literal(name))
            if not record.died and order["status"] == "active":
                stopped = item(rf"^{literal(name)}.*[—–-] ?(stopped|discontinued|continued)", under=RECONCILIATION)
                yield never("critical", "medicine status", f"{name} as stopped or continued: no order says so", stopped)


def _in_hospital(orders: list[Resource], home: list[Resource]) -> Iterator[Fact]:
    amounts: dict[str, set[str]] = defaultdict(set)
    for order in orders:
        if "inpatient" in codes(order.get("category")):
            amounts[_name(order)] |= {_amount(dosage) for dosage in order.get("dosageInstruction", ())}
    ordered = {_name(order).lower() for order in home}
    for name, doses in amounts.items():
        where = (*GIVEN, *RECONCILIATION, *PROCEDURES)
        for dose in sorted(doses):
            yield must(
                "high", "medicine", f"{name} {dose} in hospital", item(literal(name), _digits(dose), under=where)
            )
        if name.lower() not in ordered:
            at_home = item(rf"^{literal(name)}\b", under=HOME)
            yield never("critical", "medicine status", f"{name}, only ordered in hospital, to take at home", at_home)


def _name(order: Resource) -> str:
    found = next(iter(names(order.get("medicationCodeableConcept"))), "")
    return MISSPELT.sub("", found)


def _amount(dosage: Resource) -> str:
    """The amount as the prescriber wrote it, else as the element has it."""
    written = re.match(r"[\d.,/]+ ?\w*", dosage.get("text", ""))
    if written:
        return written[0]
    quantity = next((one["doseQuantity"] for one in dosage.get("doseAndRate", ()) if "doseQuantity" in one), None)
    return f"{quantity['value']:g} {quantity.get('unit', '')}" if quantity else ""


def _digits(amount: str) -> str:
    """The figures of an amount, each one for itself."""
    return ".*".join(number(figure) for figure in re.findall(r"\d+(?:\.\d+)?", amount.replace(",", "")))
