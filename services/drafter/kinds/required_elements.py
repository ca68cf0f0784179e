"""Required elements of a kind: what the record has, and an open point for each that is missing. Pure.

An element that only a note mentions is not taken over, as a sentence of a note may say that something was not done. It
is quoted to the physician, who decides. No text of the document states that an element is present or missing.
"""

import re
from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta

from services.drafter.kinds.declaration import LISTS, RequiredElement
from services.drafter.kinds.kind import KindDefinition
from shared.contracts.context import ContextEntry, Diagnosis, EncounterContext, Measurement, Medicine, ObservationSeries
from shared.contracts.draft import Fact, OpenPoint

MAX_QUOTE_CHARACTERS = 200  # characters of a note


def missing_element_points(kinds: Iterable[KindDefinition], context: EncounterContext) -> tuple[OpenPoint, ...]:
    """Return one point for each required element that the record lacks, of all kinds of the stay."""
    points = [
        point for kind in kinds for element in kind.declared.requires for point in _missing_point(element, context)
    ]
    return tuple({point.text: point for point in points}.values())


def element_facts(kind: KindDefinition, context: EncounterContext) -> list[Fact]:
    """Return the elements that the record has, in the order of the kind, in the record's words."""
    lines = [fact for element in kind.declared.requires for fact in facts_of_element(element, context)]
    return list({(fact.text, fact.source): fact for fact in lines}.values())


def _missing_point(element: RequiredElement, context: EncounterContext) -> Iterator[OpenPoint]:
    if next(facts_of_element(element, context), None) is not None:
        return
    note = _note_quote(element, context)
    if note is None:
        yield OpenPoint(text=f"{element.name}: not in the record: {element.ask}")
        return
    words = (
        note.text
        if len(note.text) <= MAX_QUOTE_CHARACTERS
        else f"{note.text[:MAX_QUOTE_CHARACTERS].rpartition(' ')[0]} …"
    )
    yield OpenPoint(text=f"{element.name}: only a note speaks of it (“{words}”): {element.ask}", source=note.source)


def _note_quote(element: RequiredElement, context: EncounterContext) -> ContextEntry | None:
    if element.words is None or element.within_hours is not None:
        return None
    return next((note for note in context.notes if re.search(element.words, note.text, re.IGNORECASE)), None)


def facts_of_element(element: RequiredElement, context: EncounterContext) -> Iterator[Fact]:
    """Yield each entry of the record that is such an element, in the record's words."""
    for name in element.lists or sorted(LISTS):
        value = getattr(context, name)
        for item in (value,) if isinstance(value, str) else value or ():
            text, source, codes, time = _entry_fields(item, context)
            if _matches_element(element, text, codes) and _is_recent(element, time, context):
                yield Fact(text=text, source=source)


def _entry_fields(
    item: ContextEntry | ObservationSeries | str, context: EncounterContext
) -> tuple[str, str, frozenset[str], datetime | None]:
    """Return text, source, LOINC codes and time of an entry of the record."""
    if isinstance(item, str):
        return item, context.encounter, frozenset(), None
    if isinstance(item, ObservationSeries):
        last: Measurement = item.last
        shown = f"{item.name} {last.value}" + (f" ({last.flag})" if last.flag else "")
        on = last.on or f"{last.time:%Y-%m-%d}"
        return f"{shown}, {on}", last.source, frozenset({item.code} if item.code else ()), last.time
    if isinstance(item, Medicine):
        shown = item.text if item.status == "active" else f"{item.text} ({item.status})"
        return shown, item.source, frozenset(), item.time
    # By its certainty, as a line of its own a suspected diagnosis would be read as one.
    certain = f" ({item.certainty})" if isinstance(item, Diagnosis) and item.certainty != "confirmed" else ""
    text = f"{item.text.rstrip('.')}{certain}, {item.on}" if item.on else f"{item.text}{certain}"
    return text, item.source, frozenset(), item.time


def _matches_element(element: RequiredElement, text: str, codes: frozenset[str]) -> bool:
    if codes & {*element.codes}:
        return True
    if element.words is not None:
        return re.search(element.words, text, re.IGNORECASE) is not None
    return not element.codes


def _is_recent(element: RequiredElement, time: datetime | None, context: EncounterContext) -> bool:
    if element.within_hours is None:
        return True
    return time is not None and context.end - time <= timedelta(hours=element.within_hours)
