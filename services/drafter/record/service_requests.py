"""Referrals, services and devices ordered for after the stay. Pure.

https://hl7.org/fhir/R4/servicerequest.html, https://hl7.org/fhir/R4/devicerequest.html
"""

from collections.abc import Iterator

from services.drafter.record.code_status import is_code_status
from services.drafter.record.dose_units import format_dose, format_dose_range, format_dose_ratio
from services.drafter.record.plans import CLOSED, NOT_ORDERS
from services.drafter.record.reports import is_diagnostic
from services.drafter.record.scope import StayScope
from services.drafter.record.timing import format_timing
from shared.clinical import elements, references
from shared.clinical.elements import Resource
from shared.clinical.fhir_datetime import FhirDateTime
from shared.contracts.context import ContextEntry

_PRIORITIES = {"urgent": "urgent", "asap": "as soon as possible", "stat": "immediately (stat)"}


def ordered_services(
    resources: list[Resource], scope: StayScope, known: dict[str, Resource], bases: frozenset[str]
) -> Iterator[ContextEntry]:
    """Yield referrals, home care, nursing and therapies ordered for after the stay.

    `known` are the referenced people, organizations, devices and conditions.
    """
    for item in resources:
        time = scope.first_time(item, "authoredOn", "occurrenceDateTime", "occurrencePeriod")
        planned = scope.first_time(item, "occurrenceDateTime", "occurrencePeriod", "occurrenceTiming")
        name = (
            elements.concept_or_code(item.get("code") or item.get("codeCodeableConcept"))
            or _reference_name(elements.child(item, "codeReference"), known, bases)
            or elements.join_distinct(elements.concept(part) for part in elements.children(item, "orderDetail"))
            or None
        )
        later = planned is not None and planned.begins > scope.end_of_day
        forbidden = elements.boolean(item, "doNotPerform")
        if is_code_status(item) or (is_diagnostic(item) and not later and not forbidden):
            continue
        reason = CLOSED.get(str(item.get("status"))) or NOT_ORDERS.get(str(item.get("intent")))
        if elements.string(item, "status") == "completed" and not later:
            continue  # done in the stay: what came of it stands with the procedures and reports
        if reason is not None:
            if scope.is_of_stay(item, time):
                scope.leave_out(item, name, reason)
        elif scope.usable(item, name, time) and name is not None:
            shown = f"Not to be done: {name}" if forbidden else name
            details = [
                *_request_details(item),
                *_format_schedule(item, planned, later, scope),
                *_performer_and_place(item, known, bases),
            ]
            reason = _reason_text(item, known, bases)
            more = [f"for {reason}" if reason else None, elements.string(item, "patientInstruction")]
            yield scope.entry(item, elements.join_distinct([shown, *details, *more, *elements.annotations(item)]))


def _request_details(item: Resource) -> list[str | None]:
    """Return priority, body site, quantity, and the order's notes."""
    priority = elements.string(item, "priority") or ""
    sites = [elements.concept(part) for part in elements.children(item, "bodySite")]
    sides = [elements.concept(part) for part in elements.lateralities(item)]
    named_sites = " ".join([site for site in sites if site]).lower()
    order = [elements.concept(part) for part in elements.children(item, "orderDetail")]
    parameters = [_format_parameter(part) for part in elements.children(item, "parameter")]
    needed = elements.join_distinct(
        elements.concept(part) for part in elements.items(item.get("asNeededCodeableConcept"))
    )
    return [
        _PRIORITIES.get(priority),
        *sites,
        *(side for side in sides if side and side.lower() not in named_sites),
        _format_quantity_of(item, "quantity"),
        *order,
        *parameters,
        f"as needed for {needed}" if needed else "as needed" if elements.boolean(item, "asNeededBoolean") else None,
    ]


def _format_quantity_of(item: Resource, name: str) -> str | None:
    """Return a value[x] that is a quantity: `2 L/min`."""
    return (
        format_dose(item.get(f"{name}Quantity"))
        or format_dose_ratio(item.get(f"{name}Ratio"))
        or format_dose_range(item.get(f"{name}Range"))
    )


def _format_parameter(part: Resource) -> str | None:
    """Return a device setting: `Flow rate 2 L/min`."""
    flag = {True: "yes", False: "no", None: None}[elements.boolean(part, "valueBoolean")]
    value = _format_quantity_of(part, "value") or elements.concept(part.get("valueCodeableConcept")) or flag
    return elements.join_distinct([elements.concept(part.get("code")), value], " ") or None


def _format_schedule(item: Resource, planned: FhirDateTime | None, later: bool, scope: StayScope) -> list[str | None]:
    """Return how often; a future day, or a period."""
    period = elements.child(item, "occurrencePeriod")
    end = scope.parse_time(period.get("end"))
    shown = planned is not None and (later or end is not None) and (not period or "start" in period)
    word = "from" if period or item.get("occurrenceTiming") else "on"
    days = [f"{word} {planned.text}" if planned and shown else None, f"until {end.text}" if end is not None else None]
    return [format_timing(elements.child(item, "occurrenceTiming")) or None, elements.join_distinct(days, " ") or None]


def _performer_and_place(item: Resource, known: dict[str, Resource], bases: frozenset[str]) -> list[str | None]:
    """Return who performs it, and where."""
    performers = [_reference_name(part, known, bases) for part in elements.children(item, "performer")]
    where = [elements.concept(part) for part in elements.children(item, "locationCode")]
    where += [_reference_name(part, known, bases) for part in elements.children(item, "locationReference")]
    at = elements.join_distinct(where)
    return [elements.concept(item.get("performerType")), *performers, f"at {at}" if at else None]


def _reason_text(item: Resource, known: dict[str, Resource], bases: frozenset[str]) -> str:
    coded = [elements.concept(part) for part in elements.children(item, "reasonCode")]
    referred = [_reference_name(part, known, bases) for part in elements.children(item, "reasonReference")]
    return elements.join_distinct([*coded, *referred])


def _reference_name(reference: Resource, known: dict[str, Resource], bases: frozenset[str]) -> str | None:
    """Return the name of a reference: its display, else that of the referenced resource."""
    if display := elements.string(reference, "display"):
        return display
    referenced = known.get(references.relative(reference, bases) or "")
    if not referenced:
        return None
    if person := elements.child(referenced, "practitioner"):
        return _reference_name(person, {name: item for name, item in known.items() if item is not referenced}, bases)
    names = [elements.string(part, "name") for part in elements.children(referenced, "deviceName")]
    coded = elements.concept(referenced.get("code")) or elements.concept(referenced.get("type"))
    called = elements.person_name(referenced, prefixes=True) or elements.string(referenced, "name")
    return called or elements.join_distinct(names) or coded
