"""Index the entries of a record: what each of them names, affirms and denies."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime

from shared.contracts.context import ContextEntry, Diagnosis, EncounterContext, Medicine
from shared.grounding.assertion import AssertionProperty, assertion_properties
from shared.grounding.entity_finder import EntityFinder, NamedEntities
from shared.grounding.quantities import Quantity, find_dates, find_quantities
from shared.grounding.vocabulary import normalized_name
from shared.grounding.words import find_words, is_neutral, stem

INDEXED_PARTS = (
    "reasons",
    "diagnoses",
    "family_history",
    "procedures",
    "devices",
    "immunizations",
    "allergies",
    "microbiology",
    "reports",
    "contradictions",
    "pending",
    "function",
    "observed",
    "directives",
    "care_plans",
    "diet",
    "goals",
    "team",
    "services",
    "follow_up",
    "outcome",
    "notes",
)
RESULTS = "results"  # the series: their values are compared by `values`, never by their words
MEDICINE_PARTS = ("home_medicines", "hospital_medicines", "given_medicines", "discharge_medicines", "other_medicines")


# What the place of an entry in the record says of it.
_IMPLIED = {
    "pending": tuple(stem(word) for word in ("pending", "awaited", "outstanding", "finalized")),
    "microbiology": tuple(stem(word) for word in ("isolated", "culture", "positive")),
    "team": (stem("attending"),),
    "devices": tuple(stem(word) for word in ("inserted", "device")),
    "directives": (stem("code"), stem("directive")),
}


_CERTAINTY: dict[str, frozenset[AssertionProperty]] = {
    "ruled-out": frozenset({"denied"}),
    "suspected": frozenset({"uncertain"}),
}


@dataclass(frozen=True, slots=True)
class IndexedEntry:
    """One entry of the record. `stems` maps its words to the assertion properties that its cues give them."""

    part: str
    text: str
    source: str
    on: date | None
    stems: dict[str, frozenset[AssertionProperty]]
    named: NamedEntities
    quantities: tuple[Quantity, ...]
    days: tuple[date, ...]  # that its words name: "resolved 2026-04-30"
    plain: str  # its words in lower case with a space before and behind each
    certainty: str = "confirmed"

    def has_stem(self, stem_of: str) -> bool:
        return stem_of in self.stems


def index_entries(context: EncounterContext, finder: EntityFinder) -> Iterator[IndexedEntry]:
    """Index every entry; medicines with their reasons."""
    for part in INDEXED_PARTS:
        for entry in getattr(context, part):
            yield _index_entry(part, entry, entry.text, finder)
    yield from _of_notes(context, finder)
    for series in (*context.labs, *context.vitals):
        values = ", then ".join(
            f"{item.value} ({item.flag})" if item.flag else item.value for item in (series.first, series.last)
        )
        entry = ContextEntry(text=f"{series.name} {values}", source=series.last.source)
        yield _index_entry(RESULTS, entry, entry.text, finder)
    for part in MEDICINE_PARTS:
        for medicine in getattr(context, part):
            yield _index_entry(part, medicine, _medicine_text(medicine), finder)
    for text in (context.service, context.organization_name, context.disposition):
        if text:
            yield _index_entry("stay", ContextEntry(text=text, source=context.encounter), text, finder)
    if context.attending_name:
        source = context.attending or context.encounter
        yield _index_entry(
            "team", ContextEntry(text=context.attending_name, source=source), context.attending_name, finder
        )


def _of_notes(context: EncounterContext, finder: EntityFinder) -> Iterator[IndexedEntry]:
    for note in context.clinical_notes:
        for sentence in note.sentences:
            entry = ContextEntry(text=sentence.with_heading, source=note.source, time=note.time, on=note.on)
            yield _index_entry("notes", entry, entry.text, finder)


def _medicine_text(item: Medicine) -> str:
    return "; ".join(part for part in (item.text, item.reason, item.note) if part)


def _index_entry(part: str, entry: ContextEntry, text: str, finder: EntityFinder) -> IndexedEntry:
    certainty = entry.certainty if isinstance(entry, Diagnosis) else "confirmed"
    named_days, rest = find_dates(text)
    stems: dict[str, frozenset[AssertionProperty]] = {}
    for word, start, end in named_words(text):
        properties = assertion_properties(text, (start, end)) | _CERTAINTY.get(certainty, frozenset())
        key = stem(word)
        stems[key] = stems[key] & properties if key in stems else properties
    for key in _IMPLIED.get(part, ()):
        stems.setdefault(key, frozenset())
    return IndexedEntry(
        part=part,
        text=text,
        source=entry.source,
        on=_printed_day(entry.time, entry.on),
        stems=stems,
        named=finder.find(text),
        quantities=tuple(find_quantities(rest)),
        days=tuple(day for item in named_days if (day := item.day_of_calendar) is not None),
        plain=f" {normalized_name(text)} ",
        certainty=certainty,
    )


def named_words(text: str) -> list[tuple[str, int, int]]:
    """Return words with their places.

    A heading (`Smoking: non-smoker`) is left out where its word comes again.
    """
    found = find_words(text)
    counts = Counter(stem(word) for word, _, _ in found)
    return [item for item in found if counts[stem(item[0])] == 1 or text[item[2] : item[2] + 1] != ":"]


def _printed_day(time: datetime | None, on: str | None) -> date | None:
    """Return the day as the record prints it; None where it has only a month or a year."""
    try:
        return date.fromisoformat(on[:10]) if on else time.date() if time else None
    except ValueError:
        return None


def content_words(text: str) -> list[tuple[str, int, int]]:
    """Return the stems, with places, of the words of `text` that state something about a patient."""
    return [
        (stem(word), start, end)
        for word, start, end in find_words(text)
        if not is_neutral(word) and not word[0].isdigit()
    ]
