"""Index of one stay's record for the sentence check: built once, queried for each sentence."""

from collections import defaultdict
from collections.abc import Iterable
from datetime import date
from functools import cached_property
from typing import Literal

from shared.contracts.context import EncounterContext
from shared.contracts.draft import Evidence, is_note
from shared.grounding import analytes, synonyms
from shared.grounding.entity_finder import EntityFinder
from shared.grounding.indexed_entries import INDEXED_PARTS, MEDICINE_PARTS, IndexedEntry, index_entries
from shared.grounding.measurement_series import MeasurementSeries, id_of, read_series
from shared.grounding.orders import GroundedOrder, read_orders, recorded_name
from shared.grounding.shorthand import expand_shorthand
from shared.grounding.vocabulary import normalized_name

_AMBIGUOUS_FIRST_WORDS = frozenset(
    "vitamin sodium potassium calcium magnesium sliding oxygen human insulin normal water".split()  # noqa: SIM905
)
_MAX_NAME_WORDS = 8  # words of a diagnosis that is looked for in full

# Parts that hold sentences of people: one in the same words is supported, however little it says.
PROSE_PARTS = frozenset({"notes", "reports", "care_plans", "diet", "goals", "services", "directives"})


class EvidenceIndex:
    """The typed record of a stay with indexes by name and word. It is immutable."""

    def __init__(self, context: EncounterContext) -> None:
        self.context = context
        self.finder = EntityFinder(
            _own_tests(context), _own_drugs(context), _own_illnesses(context), _measured_only_tests(context)
        )
        self.lines: tuple[IndexedEntry, ...] = tuple(index_entries(context, self.finder))
        self.orders: tuple[GroundedOrder, ...] = tuple(read_orders(context))
        self.courses: dict[str, list[MeasurementSeries]] = read_series(context)
        self.by_stem: dict[str, list[IndexedEntry]] = defaultdict(list)
        for line in self.lines:
            for key in line.stems:
                self.by_stem[key].append(line)
        self.by_drug: dict[str, list[GroundedOrder]] = defaultdict(list)
        for order in self.orders:
            for key in order.keys:
                self.by_drug[key].append(order)
        self.by_text = {
            normalized_name(expand_shorthand(line.text)): line for line in self.lines if line.part in PROSE_PARTS
        }
        self.by_source = {line.source: line.text for line in reversed(self.lines)}
        self.notes = {note.source: note.citation for note in context.clinical_notes}
        self.start = context.start.date() if context.start else None
        self.end = context.end.date()
        self.days = frozenset(line.on for line in self.lines if line.on)

    def entries_of(self, *parts: str) -> list[IndexedEntry]:
        """Return the entries of some lists of the context."""
        return [line for line in self.lines if line.part in parts]

    def entries_with(self, stems: Iterable[str]) -> list[IndexedEntry]:
        """Return the entries that have all of these stems."""
        wanted = list(stems)
        if not wanted:
            return []
        rarest = min((self.by_stem.get(key, []) for key in wanted), key=len)
        return [line for line in rarest if all(key in line.stems for key in wanted)]

    def orders_of_class(self, name: str) -> list[GroundedOrder]:
        """Return the orders of a class of medicines, such as antibiotics."""
        wanted = synonyms.class_members(name)
        return [order for order in self.orders if order.keys & wanted]

    def evidence(self, source: str, text: str = "") -> Evidence:
        """Return the evidence that a person is shown."""
        text = text or self.by_source.get(source, source)
        kind: Literal["record", "note"] = "note" if is_note(source) else "record"
        return Evidence(source=source, text=text, kind=kind, said_by=self.notes.get(source, ""))

    @cached_property
    def without_notes(self) -> "EvidenceIndex":
        """Return the same stay without entries from notes and documents; itself where it has none."""
        found = without_notes(self.context)
        return self if found is self.context else EvidenceIndex(found)

    @property
    def stay_dates(self) -> tuple[date | None, date]:
        return self.start, self.end


def without_notes(context: EncounterContext) -> EncounterContext:
    """Return the stay without entries from notes and documents; the same object where it has none."""
    lists = {name: getattr(context, name) for name in (*INDEXED_PARTS, *MEDICINE_PARTS)}
    kept = {name: tuple(item for item in items if not is_note(item.source)) for name, items in lists.items()}
    if not context.clinical_notes and kept == lists:
        return context
    return context.model_copy(update={**kept, "clinical_notes": ()})


def _own_tests(context: EncounterContext) -> dict[str, str]:
    """Return the record's own names of its tests, in full and without brackets."""
    found = {}
    for series in (*context.labs, *context.vitals):
        id = id_of(series)
        for name in (series.name, analytes.core_name(series.name), series.name.partition(" (")[0]):
            if len(name) > 2:
                found[normalized_name(name)] = id
    return found


def _own_drugs(context: EncounterContext) -> dict[str, str]:
    """Return names of this record's medicines that no vocabulary has: in full, and by a distinctive first word."""
    lists = (context.home_medicines, context.hospital_medicines, context.given_medicines, context.discharge_medicines)
    medicines = [item for items in (*lists, context.other_medicines) for item in items]
    found = {}
    for item in medicines:
        name = recorded_name(item)
        found[name] = name
        first = name.split()[0]
        if len(first) > 4 and first not in _AMBIGUOUS_FIRST_WORDS and first not in analytes.analyte_names():
            found.setdefault(first, name)
    return found


def _own_illnesses(context: EncounterContext) -> dict[str, str]:
    """Return the record's own names of its diagnoses, without brackets."""
    found = {}
    for item in context.diagnoses:
        name = normalized_name(item.text.partition(" (")[0])
        if len(name) > 4 and len(name.split()) <= _MAX_NAME_WORDS:
            found[name] = name
    return found


def _measured_only_tests(context: EncounterContext) -> frozenset[str]:
    """Return names of tests in the record that none of its orders has."""
    ids = {id_of(series) for series in (*context.labs, *context.vitals)}
    known = {name for name, id in analytes.analyte_names().items() if id in ids} | set(_own_tests(context))
    lists = (context.home_medicines, context.hospital_medicines, context.given_medicines, context.discharge_medicines)
    ordered = " ".join(
        f"{item.name} {' '.join(item.ingredients)}" for items in (*lists, context.other_medicines) for item in items
    )
    return frozenset(name for name in known if name not in ordered.lower())
