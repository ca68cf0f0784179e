"""One stay's record as the check reads it: built once, asked for each sentence."""

from collections import defaultdict
from collections.abc import Iterable
from datetime import date
from functools import cached_property
from typing import Literal

from shared.contracts.context import EncounterContext
from shared.contracts.draft import Evidence, is_note
from shared.grounding import analytes, names
from shared.grounding.courses import Course, courses, id_of
from shared.grounding.finders import Finder
from shared.grounding.lines import MEDICINES, PARTS, Line, lines
from shared.grounding.orders import Order, orders, own_name
from shared.grounding.shorthand import written_out
from shared.grounding.vocabulary import joined

_TOO_COMMON = frozenset("vitamin sodium potassium calcium magnesium sliding oxygen human insulin normal water".split())  # noqa: SIM905
_LONGEST = 8  # words of a diagnosis that is looked for in full

# Parts that hold sentences of people: one in the same words is supported, however little it says.
WORDED = frozenset({"notes", "reports", "care_plans", "diet", "goals", "services", "directives"})


class Record:
    """The typed record of a stay with indexes by name and word. Never changed after it was built."""

    def __init__(self, context: EncounterContext) -> None:
        self.context = context
        self.finder = Finder(_own_tests(context), _own_drugs(context), _own_illnesses(context), _measured(context))
        self.lines: tuple[Line, ...] = tuple(lines(context, self.finder))
        self.orders: tuple[Order, ...] = tuple(orders(context))
        self.courses: dict[str, list[Course]] = courses(context)
        self.by_stem: dict[str, list[Line]] = defaultdict(list)
        for line in self.lines:
            for key in line.stems:
                self.by_stem[key].append(line)
        self.by_drug: dict[str, list[Order]] = defaultdict(list)
        for order in self.orders:
            for key in order.keys:
                self.by_drug[key].append(order)
        self.by_text = {joined(written_out(line.text)): line for line in self.lines if line.part in WORDED}
        self.by_source = {line.source: line.text for line in reversed(self.lines)}
        self.notes = {note.source: note.cited for note in context.clinical_notes}
        self.start = context.start.date() if context.start else None
        self.end = context.end.date()
        self.days = frozenset(line.on for line in self.lines if line.on)

    def parts(self, *parts: str) -> list[Line]:
        """The lines of some lists of the context."""
        return [line for line in self.lines if line.part in parts]

    def lines_with(self, stems: Iterable[str]) -> list[Line]:
        """The lines that have all of these stems."""
        wanted = list(stems)
        if not wanted:
            return []
        rarest = min((self.by_stem.get(key, []) for key in wanted), key=len)
        return [line for line in rarest if all(key in line.stems for key in wanted)]

    def of_class(self, name: str) -> list[Order]:
        """Orders of a class of medicines, such as antibiotics."""
        wanted = names.members(name)
        return [order for order in self.orders if order.keys & wanted]

    def evidence(self, source: str, text: str = "") -> Evidence:
        """What a person may look at."""
        text = text or self.by_source.get(source, source)
        kind: Literal["record", "note"] = "note" if is_note(source) else "record"
        return Evidence(source=source, text=text, kind=kind, said_by=self.notes.get(source, ""))

    @cached_property
    def structured(self) -> "Record":
        """The same stay without what only notes and other documents say; the record itself where nothing is."""
        found = structured(self.context)
        return self if found is self.context else Record(found)

    @property
    def stay(self) -> tuple[date | None, date]:
        return self.start, self.end


def structured(context: EncounterContext) -> EncounterContext:
    """The stay without what only notes and other documents say; the same where nothing is."""
    lists = {name: getattr(context, name) for name in (*PARTS, *MEDICINES)}
    kept = {name: tuple(item for item in items if not is_note(item.source)) for name, items in lists.items()}
    if not context.clinical_notes and kept == lists:
        return context
    return context.model_copy(update={**kept, "clinical_notes": ()})


def _own_tests(context: EncounterContext) -> dict[str, str]:
    """The record's own names of its tests, in full and without what stands in brackets."""
    found = {}
    for series in (*context.labs, *context.vitals):
        id = id_of(series)
        for name in (series.name, analytes.core(series.name), series.name.partition(" (")[0]):
            if len(name) > 2:
                found[joined(name)] = id
    return found


def _own_drugs(context: EncounterContext) -> dict[str, str]:
    """The names of this record's medicines that no vocabulary knows: in full, and by a first word that says enough."""
    lists = (context.home_medicines, context.hospital_medicines, context.given_medicines, context.discharge_medicines)
    medicines = [item for items in (*lists, context.other_medicines) for item in items]
    found = {}
    for item in medicines:
        name = own_name(item)
        found[name] = name
        first = name.split()[0]
        if len(first) > 4 and first not in _TOO_COMMON and first not in analytes.names():
            found.setdefault(first, name)
    return found


def _own_illnesses(context: EncounterContext) -> dict[str, str]:
    """The record's own names of its diagnoses, without what stands in brackets."""
    found = {}
    for item in context.diagnoses:
        name = joined(item.text.partition(" (")[0])
        if len(name) > 4 and len(name.split()) <= _LONGEST:
            found[name] = name
    return found


def _measured(context: EncounterContext) -> frozenset[str]:
    """Names of tests that the record has, which no order of it has."""
    ids = {id_of(series) for series in (*context.labs, *context.vitals)}
    known = {name for name, id in analytes.names().items() if id in ids} | set(_own_tests(context))
    lists = (context.home_medicines, context.hospital_medicines, context.given_medicines, context.discharge_medicines)
    ordered = " ".join(
        f"{item.name} {' '.join(item.ingredients)}" for items in (*lists, context.other_medicines) for item in items
    )
    return frozenset(name for name in known if name not in ordered.lower())
