"""Lists of discharge or home medicines in the record: a List, or a section of a Composition.

https://hl7.org/fhir/R4/list.html, https://hl7.org/fhir/R4/composition.html
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from services.drafter.record import medicine_words
from services.drafter.record.clinical_notes import MAX_SECTION_DEPTH, OWN_SYSTEM
from services.drafter.record.reports import strip_markup
from services.drafter.record.scope import StayScope, source
from shared.clinical import elements, references
from shared.clinical.elements import Resource

ListKind = Literal["home", "discharge"]

# LOINC: hospital discharge medications, discharge medications, hospital discharge medications (narrative)
_DISCHARGE = frozenset({"10183-2", "75311-1", "8654-6"})
_ADMISSION = frozenset({"42346-7"})  # LOINC: medications on admission
_HISTORY = frozenset({"10160-0"})  # LOINC: history of medication use; at home where an admission note says it
_ADMISSION_NOTES = frozenset({"34117-2", "47039-3"})  # LOINC: (hospital admission) history and physical note
# https://hl7.org/fhir/R4/valueset-list-item-flag.html
_CEASED = frozenset({"ceased", "cancelled", "03", "05"})


@dataclass(frozen=True, slots=True)
class MedicineList:
    """One list: its references, those it calls ceased, and its text where it has no references."""

    kind: ListKind
    title: str
    holder: Resource
    items: tuple[Resource, ...] = ()
    ceased: tuple[Resource, ...] = ()
    text: str = ""


def read_medicine_lists(
    lists: list[Resource], compositions: list[Resource], scope: StayScope
) -> tuple[MedicineList, ...]:
    """Return the stay's lists of home and discharge medicines."""
    medicine_lists: list[MedicineList] = []
    for item in lists:
        if elements.string(item, "status") in ("current", None) and _is_of_stay(item, scope):
            medicine_lists += _read_list(item)
    for item in compositions:
        if (
            elements.string(item, "status") != "entered-in-error"
            and _is_of_stay(item, scope)
            and not _is_filed_by_countersign(item)
        ):
            for section in elements.children(item, "section"):
                medicine_lists += _read_sections(item, section)
    return tuple(medicine_lists)


def _is_of_stay(item: Resource, scope: StayScope) -> bool:
    """Return whether a list is the stay's; a document that names the stay may be written days later."""
    return scope.is_of_stay(item, scope.first_time(item, "date"))


def _is_filed_by_countersign(item: Resource) -> bool:
    return any(str(part.get("system", "")).startswith(OWN_SYSTEM) for part in elements.children(item, "identifier"))


def _read_list(item: Resource) -> Iterator[MedicineList]:
    title = elements.string(item, "title") or elements.concept(item.get("code")) or "list of medicines"
    texts = [title, *elements.displays(item.get("code"))]
    kind = _list_kind(
        elements.loinc_codes(item.get("code")), texts, is_medicines=_is_medicine_list(" ".join(texts), item)
    )
    if kind is None:
        return
    entries = [part for part in elements.children(item, "entry") if elements.boolean(part, "deleted") is not True]
    ceased = [part for part in entries if {code.lower() for code in elements.codes(part.get("flag"))} & _CEASED]
    named = [part for part in entries if part not in ceased]
    text = strip_markup(str(elements.child(item, "text").get("div") or "")) or ""
    yield MedicineList(kind, title, item, _item_references(named), _item_references(ceased), "" if entries else text)


def _item_references(entries: list[Resource]) -> tuple[Resource, ...]:
    return tuple(elements.child(entry, "item") for entry in entries)


def _is_medicine_list(words: str, item: Resource) -> bool:
    """Return whether a list is one of medicines: by its words, or by what it refers to."""
    named = [str(elements.child(part, "item").get("reference") or "") for part in elements.children(item, "entry")]
    return "medi" in words.lower() or any("Medication" in reference for reference in named)


def _read_sections(item: Resource, section: Resource, depth: int = 0) -> Iterator[MedicineList]:
    title = elements.string(section, "title") or elements.concept(section.get("code")) or ""
    texts = [title, *elements.displays(section.get("code"))]
    codes = elements.loinc_codes(section.get("code"))
    kind = _list_kind(codes, texts, is_medicines="medi" in " ".join(texts).lower())
    if kind is None and codes & _HISTORY and elements.codes(item.get("type")) & _ADMISSION_NOTES:
        kind = "home"
    if kind is not None:
        text = strip_markup(str(elements.child(section, "text").get("div") or "")) or ""
        entries = tuple(elements.children(section, "entry"))
        yield MedicineList(kind, title or "medicines", item, entries, (), "" if entries else text)
    for inner in elements.children(section, "section") if depth < MAX_SECTION_DEPTH else ():
        yield from _read_sections(item, inner, depth + 1)


def _list_kind(codes: frozenset[str], texts: list[str], *, is_medicines: bool) -> ListKind | None:
    if codes & _DISCHARGE:
        return "discharge"
    if codes & _ADMISSION:
        return "home"
    if not is_medicines:
        return None
    if any(medicine_words.DISCHARGE.search(text) for text in texts):
        return "discharge"
    return "home" if any(medicine_words.BEFORE_ADMISSION.search(text) for text in texts) else None


class ListMembership:
    """The lists that name each resource."""

    def __init__(self, lists: tuple[MedicineList, ...], bases: frozenset[str], scope: StayScope) -> None:
        self.lists = lists
        self.scope = scope
        self._bases = bases
        self._named: dict[str, list[tuple[references.Reference, str]]] = {}
        for one in lists:
            for kind, items in ((one.kind, one.items), ("ceased", one.ceased)):
                for item in items:
                    if (reference := references.parse(item, bases)) is not None:
                        self._named.setdefault(reference.id, []).append((reference, kind))

    def kinds(self, item: Resource) -> frozenset[str]:
        """Return `home`, `discharge`, `ceased`: the lists that name a resource."""
        return self.kinds_of_reference(source(item))

    def kinds_of_reference(self, reference: str) -> frozenset[str]:
        """Return the lists that name `Type/id`, as `kinds` does."""
        type, _, id = reference.partition("/")
        own = references.Reference(type, id)
        return frozenset(kind for named, kind in self._named.get(own.id, []) if named.matches(own))

    def has_discharge(self) -> bool:
        return any(one.kind == "discharge" and one.items for one in self.lists)

    def unresolved_entries(self, known: list[Resource]) -> Iterator[tuple[MedicineList, Resource]]:
        """Yield the entries that none of `known` is."""
        targets = references.reference_targets(known, self._bases)
        for one in self.lists:
            yield from ((one, item) for item in one.items if item not in targets)


def list_source(one: MedicineList) -> str:
    return source(one.holder)
