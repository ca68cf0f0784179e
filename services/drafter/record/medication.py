"""Read all medicines of a record by list, and what its own lists leave open."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from services.drafter.record import home_medicines_in_notes
from services.drafter.record.medication_sorter import MedicationSorter
from services.drafter.record.medicine_entries import MedicineReader
from services.drafter.record.medicine_lists import ListMembership, MedicineList, list_source, read_medicine_lists
from services.drafter.record.note_excerpts import NoteExcerpt
from services.drafter.record.order_links import (
    SortedMedicines,
    ask_where_missing,
    merge_fulfilled_orders,
    name_replacements,
    read_links,
)
from services.drafter.record.order_sorting import ListName
from services.drafter.record.scope import StayScope
from services.drafter.record.supplies import SupplyReader
from shared.clinical import elements, references
from shared.clinical.elements import Resource
from shared.contracts.context import ContextEntry, Medicine

_TYPES = ("MedicationRequest", "MedicationStatement", "MedicationDispense", "MedicationAdministration")
NOT_ON_DISCHARGE_LIST = "no list of discharge medicines of the record names it"
ON_LIST_ONLY = "only a list of the record names it, without directions"


@dataclass(frozen=True, slots=True)
class MedicationLists:
    """The medicines of each list, and open questions about the lists."""

    lists: dict[ListName, tuple[Medicine, ...]]
    questions: tuple[ContextEntry, ...]
    evidence: tuple[ContextEntry, ...]  # lists that are only words: the narrative is compared with them

    def with_note_evidence(self, passages: list[NoteExcerpt], before: tuple[ContextEntry, ...]) -> "MedicationLists":
        """Return the lists compared with notes on home medicines; `before` are lists without entries."""
        sections = home_medicines_in_notes.home_medicine_sections(passages, before)
        at_home = (*self.lists["home"], *self.lists["other"])
        lists = self.lists | {
            "discharge": home_medicines_in_notes.mark_note_medicines(self.lists["discharge"], at_home, sections)
        }
        return MedicationLists(
            lists, (*self.questions, *home_medicines_in_notes.home_medicine_questions(at_home, sections)), self.evidence
        )


def read_medication(
    of: Callable[[str], list[Resource]],
    medications: dict[str, Resource],
    passages: list[NoteExcerpt],
    bases: frozenset[str],
    scope: StayScope,
) -> MedicationLists:
    """Read and sort the medicines, and compare them with the record's lists.

    `of` returns a type's resources, `medications` are Medications by reference.
    """
    lists = ListMembership(read_medicine_lists(of("List"), of("Composition"), scope), bases, scope)
    entries = MedicineReader(medications, of("Condition"), bases, scope)
    orders, given = of("MedicationRequest"), of("MedicationAdministration")
    linked = read_links(orders, bases, scope)
    reader = MedicationSorter(entries, lists, linked, bases, scope)
    ordered: SortedMedicines = list(reader.orders(orders, given))
    medicines = [*ordered, *reader.statements(of("MedicationStatement")), *reader.administrations(given)]
    ward = frozenset(item.source for kind, item in ordered if kind == "hospital")
    home = frozenset(item.source for kind, item in ordered if kind != "hospital")
    known: dict[str, Medicine | None] = {f"MedicationRequest/{item.get('id', '')}": None for item in orders}
    known |= {item.source: item for _, item in ordered}
    supplies = SupplyReader(known, ward - home, entries, lists, bases, scope)
    medicines += [("discharge", item) for item in supplies.for_home(of("MedicationDispense"))]
    medicines = ask_where_missing(merge_fulfilled_orders(_ask_where_not_listed(medicines, lists)), linked)
    medicines = name_replacements(medicines)
    questions = _UnresolvedListEntries(lists, medications, bases)
    medicines += questions.medicines([item for type in _TYPES for item in of(type)], medicines)
    kinds: tuple[ListName, ...] = ("home", "hospital", "given", "discharge", "other")
    sorted_by = {kind: _orders_once([item for listed, item in medicines if listed == kind]) for kind in kinds}
    worded = [(one.kind, ContextEntry(text=one.text, source=list_source(one))) for one in lists.lists if one.text]
    sorted_lists = MedicationLists(sorted_by, tuple(questions.open_questions()), tuple(entry for _, entry in worded))
    return sorted_lists.with_note_evidence(passages, tuple(entry for kind, entry in worded if kind == "home"))


def _orders_once(medicines: list[Medicine]) -> tuple[Medicine, ...]:
    """Return orders that differ in anything, in order: two orders of one medicine stay two."""
    orders: dict[tuple[str, str, str, str], Medicine] = {}
    for item in medicines:
        orders.setdefault((item.name.lower(), item.dose, item.status, item.reason), item)
    return tuple(orders.values())


def _ask_where_not_listed(medicines: SortedMedicines, lists: ListMembership) -> SortedMedicines:
    """Ask about discharge medicines that the record's discharge list lacks."""
    if not lists.has_discharge():
        return medicines
    return [
        (kind, item.model_copy(update={"question": NOT_ON_DISCHARGE_LIST}))
        if kind == "discharge" and not item.question and "discharge" not in lists.kinds_of_reference(item.source)
        else (kind, item)
        for kind, item in medicines
    ]


class _UnresolvedListEntries:
    """Entries of the record's lists that are no order, statement or supply that could be read."""

    def __init__(self, lists: ListMembership, medications: dict[str, Resource], bases: frozenset[str]) -> None:
        self._lists, self._medications, self._bases = lists, medications, bases
        self._unnamed: list[MedicineList] = []

    def medicines(self, known: list[Resource], known_medicines: SortedMedicines) -> SortedMedicines:
        """Return the named ones, where their list has no entry of that name yet."""
        have = {(kind, item.name.lower()) for kind, item in known_medicines}
        new: SortedMedicines = []
        for one, element in self._lists.unresolved_entries(known):
            item, name = self._resolve_entry(one, element)
            if name is None:
                self._unnamed.append(one)
            elif (one.kind, name.lower()) not in have:
                new.append((one.kind, self._to_medicine(one, item, name)))
        return new

    def _resolve_entry(self, one: MedicineList, element: Resource) -> tuple[Resource, str | None]:
        """Return a contained resource or Medication that an entry names, and its name."""
        display = elements.string(element, "display")
        reference = elements.string(element, "reference") or ""
        inner = next(
            (part for part in elements.children(one.holder, "contained") if reference == f"#{part.get('id')}"), None
        )
        medication = self._medications.get(references.relative(element, self._bases) or "")
        if inner is not None and inner.get("resourceType") == "Medication":
            medication, inner = inner, None
        if medication is not None:
            return {}, elements.concept_or_code(medication.get("code")) or display
        if inner is None:
            return {}, display
        return inner, elements.concept_or_code(inner.get("medicationCodeableConcept")) or display

    def _to_medicine(self, one: MedicineList, item: Resource, name: str) -> Medicine:
        medicine = MedicineReader({}, [], self._bases, self._lists.scope).medicine(item, name, None)
        update = {"source": list_source(one), "question": "" if medicine.dose else ON_LIST_ONLY}
        return medicine.model_copy(update=update)

    def open_questions(self) -> Iterator[ContextEntry]:
        """Yield what a person has to compare: entries without a name, and lists that are only text."""
        for one in self._unnamed:
            yield ContextEntry(
                text=f"{one.title}: the record's list names an entry that could not be read: compare with the chart",
                source=list_source(one),
            )
        for one in self._lists.lists:
            if one.kind == "discharge" and one.text:
                text = (
                    f"{one.title}: a list of discharge medicines in words only, compare with those to take: {one.text}"
                )
                yield ContextEntry(text=text, source=list_source(one))
            elif one.kind == "discharge" and not one.items and not one.ceased:
                text = f"{one.title}: the record's list of discharge medicines is empty: confirm that there are none"
                yield ContextEntry(text=text, source=list_source(one))
