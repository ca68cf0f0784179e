"""Medication reconciliation: which home medicines continue, change or end. Compares whole orders. Pure."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Literal

from shared.contracts.context import EncounterContext, Medicine
from shared.contracts.systems import SYSTEM_NAMES
from shared.grounding import products

Change = Literal["new", "changed", "continued", "stopped", "on hold", "do not give", "ended", "unclear"]
_STRENGTH = re.compile(
    r"(?<!\d)\d{1,9}(?:[.,]\d{1,9})? ?(?:mg|g|mcg|ug|µg|ml|l|iu|ie|units?|%|mmol|meq)\b", re.IGNORECASE
)
_WORDS = re.compile(r"[^\W\d_]{4,}")
_HOURS = re.compile(r"\b(?:8|12|24|72) ?(?:hr|hours?)\b")
_GENERIC = frozenset({"insulin", "human insulin", "insuline", "vitamin"})  # a class: the name must say which of it
_FORMS = frozenset(
    [
        "tablet",
        "tablets",
        "capsule",
        "capsules",
        "oral",
        "film",
        "coated",
        "extended",
        "release",
        "solution",
        "injection",
        "liquid",
        "cream",
        "inhaler",
        "patch",
        "acid",
        "tablette",
        "tabletten",
        "filmtabletten",
        "kapsel",
        "stuk",
        "solostar",
        "kwikpen",
        "flexpen",
        "flextouch",
        "penfill",
        "pen",
    ]
)


@dataclass(frozen=True, slots=True)
class ReconciliationRow:
    """One medicine: the current order, the previous ones, and the reason."""

    medicine: Medicine
    change: Change
    before: tuple[Medicine, ...] = ()
    why: str = ""  # what is to be confirmed, where that is more than to compare two orders


@dataclass(slots=True)
class _Group:
    """The orders of one medicine."""

    home: list[Medicine] = field(default_factory=list)
    discharge: list[Medicine] = field(default_factory=list)
    other: list[Medicine] = field(default_factory=list)


def reconcile(context: EncounterContext) -> tuple[ReconciliationRow, ...]:
    """Return a row for each discharge order, each previous medicine, and each held, stopped or avoided one."""
    groups: list[_Group] = []
    for medicine in context.discharge_medicines:
        _group_of(medicine, groups, counts=True).discharge.append(medicine)
    for medicine in context.home_medicines:
        _group_of(medicine, groups).home.append(medicine)
    for medicine in context.other_medicines:
        _group_of(medicine, groups).other.append(medicine)
    return tuple(row for group in groups for row in _group_rows(group))


def same_medicine(one: Medicine, other: Medicine) -> bool:
    """Compare by ingredients where both are known, else by a code, else by names without strength.

    An ingredient that is a class says too little: insulin aspart is not insulin glargine, vitamin D is not vitamin K. A
    cream is another medicine than a tablet of the same ingredient.
    """
    if products.have_different_sites(one, other):
        return False
    if is_class(one) or is_class(other):
        return _type_words(one.name) == _type_words(other.name)
    if one.ingredients and other.ingredients:
        return one.ingredients == other.ingredients
    # A hospital's own code may be a placeholder that many medicines share: its names must agree, too.
    if any(code.partition("|")[0] in SYSTEM_NAMES for code in set(one.codes) & set(other.codes)):
        return True
    return _name_words(one.name) == _name_words(other.name)


def _name_words(name: str) -> frozenset[str] | str:
    words = frozenset(_WORDS.findall(_STRENGTH.sub(" ", name).lower())) - _FORMS
    return words or name.lower()


def is_class(medicine: Medicine) -> bool:
    return bool(_GENERIC & {*medicine.ingredients, *products.TOKENS.findall(medicine.name.lower())})


def _type_words(name: str) -> frozenset[str]:
    """Return the words of a name, including short ones (`vitamin K`, `Humulin N`), without strength and form."""
    return frozenset(products.TOKENS.findall(_STRENGTH.sub(" ", name).lower())) - _FORMS


def _group_of(medicine: Medicine, groups: list[_Group], *, counts: bool = False) -> _Group:
    """Return the group of a medicine. `counts`: it is an order at discharge."""
    for group in groups:
        if any(same_medicine(medicine, item) for item in (*group.home, *group.discharge, *group.other)):
            return group
        # Two orders that both count from now on do not replace each other, whatever one of them names.
        if any(
            _are_linked(medicine, item) for item in (*group.home, *group.other, *([] if counts else group.discharge))
        ):
            return group
    groups.append(_Group())
    return groups[-1]


def _are_linked(one: Medicine, other: Medicine) -> bool:
    """Return whether one of two orders replaces the other, whatever their names."""
    return any(
        {before.source, *before.stands_for} & set(after.replaces) for before, after in ((one, other), (other, one))
    )


def _group_rows(group: _Group) -> Iterator[ReconciliationRow]:
    before = list(group.home)
    changed: list[Medicine] = []
    for order in group.discharge:
        row = _replacement_row(order, before) or _repeated_row(order, before)
        if row is None:
            changed.append(order)
        else:
            before = [item for item in before if item not in row.before]
            yield row
    compared: list[Medicine] = []
    for order in changed:
        row = _changed_row(order, before, group.home)
        compared += row.before
        yield row
    if group.discharge:
        yield from (_unmatched_row(item) for item in before if item not in compared)
    yield from _inactive_rows(group)
    if not group.discharge:
        yield from (
            _unmatched_row(item) for item in group.home if not any(_is_ended_by(other, item) for other in group.other)
        )


def _unmatched_row(item: Medicine) -> ReconciliationRow:
    """Return the row of a previous medicine without a discharge order: its course was over, or it is unclear."""
    return ReconciliationRow(item, "ended" if item.ended else "unclear")


def _replacement_row(order: Medicine, before: list[Medicine]) -> ReconciliationRow | None:
    replaced = tuple(item for item in before if _are_linked(item, order))
    return _renewal_row(order, replaced) if replaced else None


def _repeated_row(order: Medicine, before: list[Medicine]) -> ReconciliationRow | None:
    """Return the row of an order that equals a previous one; unclear where it may be another product."""
    if not order.dose:
        return None
    fitting = [item for item in before if not products.have_different_sites(item, order)]
    open = next((item for item in fitting if _may_continue(item, order)), None)
    same = next((item for item in fitting if _is_unchanged(item, order) and not _may_continue(item, order)), None)
    if same is not None:
        return ReconciliationRow(order, "continued", (same,))
    return ReconciliationRow(order, "unclear", (open,), _open_question(order, (open,))) if open is not None else None


def _open_question(order: Medicine, before: tuple[Medicine, ...]) -> str:
    if any(products.is_site_unknown(item, order) for item in before):
        return "one of them does not say where it acts, confirm form and route"
    return "one of them does not say salt or release form, confirm the product"


def _changed_row(order: Medicine, before: list[Medicine], home: list[Medicine]) -> ReconciliationRow:
    """Return the row of an order that differs from all previous ones, or from those that others continue."""
    fitting = tuple(item for item in before if not products.have_different_sites(item, order))
    compared = fitting or tuple(item for item in home if not products.have_different_sites(item, order))
    silent = (fitting and not order.dose) or any(not item.dose for item in fitting)
    if silent:
        return ReconciliationRow(order, "unclear", compared)
    if any(products.is_site_unknown(item, order) for item in fitting):
        return ReconciliationRow(order, "unclear", compared, _open_question(order, fitting))
    if not compared and order.maybe_before:
        return ReconciliationRow(order, "unclear", (), order.maybe_before)
    return ReconciliationRow(order, "changed" if compared else "new", compared)


def _inactive_rows(group: _Group) -> Iterator[ReconciliationRow]:
    changes: dict[str, Change] = {"on-hold": "on hold", "stopped": "stopped", "avoid": "do not give"}
    replaced = {reference for order in group.discharge for reference in order.replaces}
    for item in group.other:
        # The row of the order that replaces one of before says so.
        if not (item.status == "stopped" and item.source in replaced and group.home):
            yield ReconciliationRow(item, changes[item.status], tuple(group.home))


def _renewal_row(order: Medicine, before: tuple[Medicine, ...]) -> ReconciliationRow:
    """Return the row of an order that names those it replaces: a renewal repeats the same product."""
    if not order.dose or not all(item.dose for item in before):
        return ReconciliationRow(order, "unclear", before)
    same = all(item.name.lower() == order.name.lower() and _is_unchanged(item, order) for item in before)
    return ReconciliationRow(order, "continued" if same else "changed", before)


def _is_ended_by(other: Medicine, home: Medicine) -> bool:
    """Return whether a held, stopped or avoided order is about this one: it states no dose, or the same."""
    return not home.dose or not other.dose or _is_unchanged(other, home)


def _is_unchanged(before: Medicine, order: Medicine) -> bool:
    """Return whether an order repeats the previous one: product, strength and every part of the dosage."""
    return _comparable_order(before) == _comparable_order(order) and products.compare_products(before, order) == "same"


def _may_continue(before: Medicine, order: Medicine) -> bool:
    """Return whether an order may repeat the previous one: it leaves product or site open."""
    if _comparable_order(before) != _comparable_order(order):
        return False
    return products.compare_products(before, order) == "open" or products.is_site_unknown(before, order)


def _comparable_order(medicine: Medicine) -> tuple[frozenset[str], str]:
    """Return an order for comparison: the numbers in the name (without `24 HR` of a release), then the dosage."""
    name = re.sub(r"(?<=\d),(?=\d)", ".", _HOURS.sub(" ", medicine.name.lower()))
    numbers = frozenset(text for text in products.TOKENS.findall(name) if text[0].isdigit())
    return numbers, medicine.normal or medicine.dose.lower()
