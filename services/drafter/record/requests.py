"""Referrals, services and devices that were ordered for after the stay. Pure.

https://hl7.org/fhir/R4/servicerequest.html, https://hl7.org/fhir/R4/devicerequest.html
"""

from collections.abc import Iterator

from services.drafter.record.code_status import is_code_status
from services.drafter.record.dose_units import dose, dose_range, dose_ratio
from services.drafter.record.plans import CLOSED, NOT_ORDERS
from services.drafter.record.reports import is_diagnostic
from services.drafter.record.scope import Scope
from services.drafter.record.timing import timing
from shared.clinical import elements, references
from shared.clinical.elements import Resource
from shared.clinical.moments import Moment
from shared.contracts.context import Entry

_PRIORITIES = {"urgent": "urgent", "asap": "as soon as possible", "stat": "immediately (stat)"}


def services(
    resources: list[Resource], scope: Scope, known: dict[str, Resource], bases: frozenset[str]
) -> Iterator[Entry]:
    """Referrals, home care, nursing and therapies that were ordered for after the stay.

    `known` are the people, organizations, devices and conditions that they refer to.
    """
    for item in resources:
        time = scope.first(item, "authoredOn", "occurrenceDateTime", "occurrencePeriod")
        planned = scope.first(item, "occurrenceDateTime", "occurrencePeriod", "occurrenceTiming")
        name = (
            elements.concept_or_code(item.get("code") or item.get("codeCodeableConcept"))
            or _named(elements.child(item, "codeReference"), known, bases)
            or elements.listed(elements.concept(part) for part in elements.children(item, "orderDetail"))
            or None
        )
        later = planned is not None and planned.begins > scope.end_of_day
        forbidden = elements.flag(item, "doNotPerform")
        if is_code_status(item) or (is_diagnostic(item) and not later and not forbidden):
            continue
        reason = CLOSED.get(str(item.get("status"))) or NOT_ORDERS.get(str(item.get("intent")))
        if elements.words(item, "status") == "completed" and not later:
            continue  # done in the stay: what came of it stands with the procedures and reports
        if reason is not None:
            if scope.is_of_stay(item, time):
                scope.leave_out(item, name, reason)
        elif scope.usable(item, name, time) and name is not None:
            shown = f"Not to be done: {name}" if forbidden else name
            details = [*_details(item), *_when(item, planned, later, scope), *_who(item, known, bases)]
            reason = _reason(item, known, bases)
            more = [f"for {reason}" if reason else None, elements.words(item, "patientInstruction")]
            yield scope.entry(item, elements.listed([shown, *details, *more, *elements.notes(item)]))


def _details(item: Resource) -> list[str | None]:
    """How urgent, of what and on which side, how much, and what the order adds."""
    priority = elements.words(item, "priority") or ""
    sites = [elements.concept(part) for part in elements.children(item, "bodySite")]
    sides = [elements.concept(part) for part in elements.sides(item)]
    said = " ".join([site for site in sites if site]).lower()
    order = [elements.concept(part) for part in elements.children(item, "orderDetail")]
    parameters = [_parameter(part) for part in elements.children(item, "parameter")]
    needed = elements.listed(elements.concept(part) for part in elements.items(item.get("asNeededCodeableConcept")))
    return [
        _PRIORITIES.get(priority),
        *sites,
        *(side for side in sides if side and side.lower() not in said),
        _quantity(item, "quantity"),
        *order,
        *parameters,
        f"as needed for {needed}" if needed else "as needed" if elements.flag(item, "asNeededBoolean") else None,
    ]


def _quantity(item: Resource, name: str) -> str | None:
    """A value[x] that says how much: `2 L/min`."""
    return (
        dose(item.get(f"{name}Quantity"))
        or dose_ratio(item.get(f"{name}Ratio"))
        or dose_range(item.get(f"{name}Range"))
    )


def _parameter(part: Resource) -> str | None:
    """`Flow rate 2 L/min`: a setting of a device."""
    flag = {True: "yes", False: "no", None: None}[elements.flag(part, "valueBoolean")]
    value = _quantity(part, "value") or elements.concept(part.get("valueCodeableConcept")) or flag
    return elements.listed([elements.concept(part.get("code")), value], " ") or None


def _when(item: Resource, planned: Moment | None, later: bool, scope: Scope) -> list[str | None]:
    """How often; a day to come, or from when until when."""
    period = elements.child(item, "occurrencePeriod")
    end = scope.moment(period.get("end"))
    shown = planned is not None and (later or end is not None) and (not period or "start" in period)
    word = "from" if period or item.get("occurrenceTiming") else "on"
    days = [f"{word} {planned.text}" if planned and shown else None, f"until {end.text}" if end is not None else None]
    return [timing(elements.child(item, "occurrenceTiming")) or None, elements.listed(days, " ") or None]


def _who(item: Resource, known: dict[str, Resource], bases: frozenset[str]) -> list[str | None]:
    """Who does it, and where."""
    performers = [_named(part, known, bases) for part in elements.children(item, "performer")]
    where = [elements.concept(part) for part in elements.children(item, "locationCode")]
    where += [_named(part, known, bases) for part in elements.children(item, "locationReference")]
    at = elements.listed(where)
    return [elements.concept(item.get("performerType")), *performers, f"at {at}" if at else None]


def _reason(item: Resource, known: dict[str, Resource], bases: frozenset[str]) -> str:
    coded = [elements.concept(part) for part in elements.children(item, "reasonCode")]
    referred = [_named(part, known, bases) for part in elements.children(item, "reasonReference")]
    return elements.listed([*coded, *referred])


def _named(reference: Resource, known: dict[str, Resource], bases: frozenset[str]) -> str | None:
    """What a reference names: its display, else the name of what it refers to."""
    if display := elements.words(reference, "display"):
        return display
    found = known.get(references.relative(reference, bases) or "")
    if not found:
        return None
    if person := elements.child(found, "practitioner"):
        return _named(person, {name: item for name, item in known.items() if item is not found}, bases)
    names = [elements.words(part, "name") for part in elements.children(found, "deviceName")]
    coded = elements.concept(found.get("code")) or elements.concept(found.get("type"))
    called = elements.person_name(found, prefixes=True) or elements.words(found, "name")
    return called or elements.listed(names) or coded
