"""What holds of the drafted facts for any FHIR record, clean or dirty: see each test's name.

A line that names a test or a medicine may hold only the numbers of the resources that name it, and those of the stay.
"""

import re
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import pytest
from hypothesis import HealthCheck, assume, given, settings

from services.drafter.facts import header, render
from services.drafter.record import build_context
from services.drafter.source_record import SourceRecord
from shared.contracts.errors import PermanentError
from tests.support.fhir_strategies import MEDICINES, PATIENT, TESTS, Drawn, records
from tests.support.numbers import Sources, leaves, plain, shown

pytestmark = pytest.mark.slow

HOME, WITHIN = "medications to take at home", "within range"
NOT_TAKEN = {
    "MedicationRequest": ("stopped", "cancelled", "on-hold", "entered-in-error", "draft"),
    "MedicationStatement": ("stopped", "on-hold", "not-taken", "entered-in-error"),
}
# Counts, ages and lengths follow from the record by rules of their own.
DERIVED = [
    re.compile(r"\b[0-9]+ (?:more|others?|values?|results?|times|doses|orders|reports|administrations)\b"),
    re.compile(r"\b[0-9]+[ -](?:years?|months?|weeks?|days?|hours?|nights?)\b"),
]

Property = Callable[[Drawn], None]


class Line(NamedTuple):
    part: str
    group: str
    text: str


def each_record(check: Property) -> Property:
    """Runs `check` on many drawn records."""
    slow = [HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much]
    return settings(max_examples=60, deadline=None, suppress_health_check=slow)(given(drawn=records())(check))


def lines(drawn: Drawn) -> list[Line]:
    """Every line of the document; an empty list if the record says that there is no stay to draft."""
    try:
        context = build_context(SourceRecord(drawn.encounter, drawn.patient, drawn.people, drawn.entries))
    except PermanentError:
        return []
    top = [Line("", "", fact.text) for fact in header(context)]
    groups = ((part, group) for part in render(context) for group in part.groups)
    return top + [Line(part.title, group.title, fact.text) for part, group in groups for fact in group.facts]


def resources(drawn: Drawn, *types: str) -> Iterator[dict[str, Any]]:
    for type, found in drawn.entries.items():
        if not types or type in types:
            yield from found


def spoken(drawn: Drawn) -> str:
    return "\n".join(f"{line.part} / {line.group}: {line.text}" for line in lines(drawn))


def names_in(element: Any, pool: tuple[str, ...]) -> set[str]:
    held = {plain(text) for text in leaves(element)}
    return {name for name in pool if plain(name) in held}


def code_of(value: Any) -> str | None:
    """The code of a CodeableConcept of one coding; None if it has another shape."""
    try:
        (coding,) = value["coding"]
        return coding["code"] if isinstance(coding["code"], str) else None
    except (TypeError, KeyError, ValueError):
        return None


@each_record
def test_an_ended_stay_is_always_drafted_and_nothing_else_than_permanent_errors_is_raised(drawn: Drawn) -> None:
    if drawn.is_stay:
        assert render(build_context(SourceRecord(drawn.encounter, drawn.patient, drawn.people, drawn.entries)))
    else:
        lines(drawn)  # only a PermanentError is caught there


# Many facts in one line: some of them without a name.
TOGETHER = ("Other observations (last values)", "Laboratory results within range (last values)")


@each_record
def test_every_printed_number_stands_in_the_resources_that_the_line_names(drawn: Drawn) -> None:
    pool = MEDICINES + TESTS
    named = [(names_in(found, pool), found) for found in resources(drawn)]
    stay = [drawn.encounter, drawn.patient]
    for line in lines(drawn):
        named_here = {name for name in pool if plain(name) in plain(line.text)}
        meant = [found for names, found in named if names & named_here]
        if not meant or line.group in TOGETHER:
            meant = [found for _, found in named]
        text = line.text
        for rule in DERIVED:
            text = rule.sub(" ", text)
        strangers = Sources(*stay, *meant).strangers(text)
        assert not strangers, f"{strangers} of {line} is not in {shown([*stay, *meant])}"


@each_record
def test_every_active_allergy_that_is_not_refuted_is_named(drawn: Drawn) -> None:
    document = plain(spoken(drawn))
    assume(document)
    for allergy in resources(drawn, "AllergyIntolerance"):
        active = code_of(allergy.get("clinicalStatus")) in ("active", None)
        refuted = code_of(allergy.get("verificationStatus")) in ("refuted", "entered-in-error")
        text = allergy.get("code", {}).get("text") if isinstance(allergy.get("code"), dict) else None
        is_patients = allergy.get("patient") == {"reference": PATIENT}
        if active and not refuted and is_patients and isinstance(text, str) and text.strip().isprintable():
            assert plain(text) in document, f"{shown(allergy)} is not in\n{document}"


@each_record
def test_a_medicine_that_is_not_to_be_taken_never_stands_among_those_to_take(drawn: Drawn) -> None:
    taken = [plain(line.text) for line in lines(drawn) if plain(line.group).startswith(HOME)]
    for order in resources(drawn, "MedicationRequest", "MedicationStatement"):
        barred = order.get("status") in NOT_TAKEN[order["resourceType"]]
        barred = barred or order.get("intent") in ("proposal", "plan", "option") or order.get("doNotPerform") is True
        if barred:
            for name in names_in(order, MEDICINES):
                assert not [text for text in taken if plain(name) in text], f"{shown(order)} in {taken}"


@each_record
def test_a_result_without_range_and_interpretation_is_never_called_within_range(drawn: Drawn) -> None:
    within = [plain(line.text) for line in lines(drawn) if WITHIN in plain(line.group)]
    for result in resources(drawn, "Observation"):
        if not {"referenceRange", "interpretation"} & set(keys(result)):
            for name in names_in(result, TESTS):
                assert not [text for text in within if plain(name) in text], f"{shown(result)} in {within}"


def keys(node: Any) -> Iterator[str]:
    """Every key of an element at any depth."""
    if isinstance(node, dict):
        yield from node
    for inner in node.values() if isinstance(node, dict) else node if isinstance(node, list) else ():
        yield from keys(inner)
