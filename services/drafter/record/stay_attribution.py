"""Attribute entries without an encounter to the stay by their request or specimen. Pure."""

from collections.abc import Iterable, Iterator, Mapping

from services.drafter.record.scope import StayScope, source
from shared.clinical import elements, references
from shared.clinical.elements import Resource


def entries_of_stay(
    entries: Mapping[str, list[Resource]], known: Mapping[str, Resource], scope: StayScope, bases: frozenset[str]
) -> frozenset[str]:
    """Return reports, results and procedures (`Type/id`) that the stay ordered or whose specimens it took.

    `known` are the Specimens that were read, by `Specimen/id`; contained ones are read from the entry.
    """
    requests = frozenset(_requests_of_stay(entries.get("ServiceRequest", []), scope))
    of_stay = set()
    for type in ("DiagnosticReport", "Observation", "Procedure"):
        for item in entries.get(type, []):
            based = {references.relative(part, bases) for part in elements.children(item, "basedOn")}
            if based & requests or any(_taken_in_stay(part, scope) for part in _specimens(item, known, bases)):
                of_stay.add(source(item))
    return frozenset(of_stay)


def _requests_of_stay(resources: Iterable[Resource], scope: StayScope) -> Iterator[str]:
    """Yield requests of the stay for its time: what is planned for later is not its result."""
    for item in resources:
        authored = scope.first_time(item, "authoredOn")
        planned = scope.first_time(item, "occurrenceDateTime", "occurrencePeriod", "occurrenceTiming")
        later = planned is not None and planned.begins > scope.end_of_day
        if scope.is_of_stay(item, authored) and not scope.is_after(item, authored) and not later:
            yield source(item)


def _specimens(item: Resource, known: Mapping[str, Resource], bases: frozenset[str]) -> Iterator[Resource]:
    contained = {f"#{part.get('id')}": part for part in elements.children(item, "contained")}
    for part in elements.children(item, "specimen"):
        named = references.relative(part, bases) or ""
        yield contained.get(elements.string(part, "reference") or "") or known.get(named, {})


def _taken_in_stay(specimen: Resource, scope: StayScope) -> bool:
    taken = scope.first_time(elements.child(specimen, "collection"), "collectedDateTime", "collectedPeriod")
    return taken is not None and scope.is_within_stay(taken) and taken.begins <= scope.end
