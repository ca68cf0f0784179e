"""Medication reconciliation: what of the medicines at home goes on, changes or ends. It compares whole orders. Pure."""

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
class Row:
    """One medicine: the order that counts from now on, what it was before, and why."""

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


def reconcile(context: EncounterContext) -> tuple[Row, ...]:
    """A row for each order at discharge, each medicine of before, and each that is held, stopped or to be avoided."""
    groups: list[_Group] = []
    for medicine in context.discharge_medicines:
        _group_of(medicine, groups, counts=True).discharge.append(medicine)
    for medicine in context.home_medicines:
        _group_of(medicine, groups).home.append(medicine)
    for medicine in context.other_medicines:
        _group_of(medicine, groups).other.append(medicine)
    return tuple(row for group in groups for row in _rows(group))


def same_medicine(one: Medicine, other: Medicine) -> bool:
    """By ingredients where both are known, else by a code, else by the words of their names without strength.

    An ingredient that is a class says too little: insulin aspart is not insulin glargine, vitamin D is not vitamin K.
    A cream is another medicine than a tablet of the same ingredient.
    """
    if products.are_apart(one, other):
        return False
    if is_class(one) or is_class(other):
        return _types(one.name) == _types(other.name)
    if one.ingredients and other.ingredients:
        return one.ingredients == other.ingredients
    # A hospital's own code may be a placeholder that many medicines share: its names must agree, too.
    if any(code.partition("|")[0] in SYSTEM_NAMES for code in set(one.codes) & set(other.codes)):
        return True
    return _words(one.name) == _words(other.name)


def _words(name: str) -> frozenset[str] | str:
    words = frozenset(_WORDS.findall(_STRENGTH.sub(" ", name).lower())) - _FORMS
    return words or name.lower()


def is_class(medicine: Medicine) -> bool:
    return bool(_GENERIC & {*medicine.ingredients, *products.TOKENS.findall(medicine.name.lower())})


def _types(name: str) -> frozenset[str]:
    """The words of a name, short ones too (`vitamin K`, `Humulin N`), without strength and form."""
    return frozenset(products.TOKENS.findall(_STRENGTH.sub(" ", name).lower())) - _FORMS


def _group_of(medicine: Medicine, groups: list[_Group], *, counts: bool = False) -> _Group:
    """The group that a medicine is of. `counts`: it is an order at discharge."""
    for group in groups:
        if any(same_medicine(medicine, item) for item in (*group.home, *group.discharge, *group.other)):
            return group
        # Two orders that both count from now on do not replace each other, whatever one of them names.
        if any(_linked(medicine, item) for item in (*group.home, *group.other, *([] if counts else group.discharge))):
            return group
    groups.append(_Group())
    return groups[-1]


def _linked(one: Medicine, other: Medicine) -> bool:
    """Whether one of two orders replaces the other, whatever they are called."""
    return any(
        {before.source, *before.stands_for} & set(after.replaces) for before, after in ((one, other), (other, one))
    )


def _rows(group: _Group) -> Iterator[Row]:
    before = list(group.home)
    changed: list[Medicine] = []
    for order in group.discharge:
        row = _of_replaced(order, before) or _of_same(order, before)
        if row is None:
            changed.append(order)
        else:
            before = [item for item in before if item not in row.before]
            yield row
    compared: list[Medicine] = []
    for order in changed:
        row = _changed(order, before, group.home)
        compared += row.before
        yield row
    if group.discharge:
        yield from (_alone(item) for item in before if item not in compared)
    yield from _not_taken(group)
    if not group.discharge:
        yield from (_alone(item) for item in group.home if not any(_ends(other, item) for other in group.other))


def _alone(item: Medicine) -> Row:
    """A medicine of before without an order at the discharge: its course was over, or nothing says what of it."""
    return Row(item, "ended" if item.ended else "unclear")


def _of_replaced(order: Medicine, before: list[Medicine]) -> Row | None:
    replaced = tuple(item for item in before if _linked(item, order))
    return _replacement(order, replaced) if replaced else None


def _of_same(order: Medicine, before: list[Medicine]) -> Row | None:
    """The row of an order that says what one of before said; not clear where it may be another product."""
    if not order.dose:
        return None
    fitting = [item for item in before if not products.are_apart(item, order)]
    open = next((item for item in fitting if _may_continue(item, order)), None)
    same = next((item for item in fitting if _continues(item, order) and not _may_continue(item, order)), None)
    if same is not None:
        return Row(order, "continued", (same,))
    return Row(order, "unclear", (open,), _what_is_open(order, (open,))) if open is not None else None


def _what_is_open(order: Medicine, before: tuple[Medicine, ...]) -> str:
    if any(products.is_place_open(item, order) for item in before):
        return "one of them does not say where it acts, confirm form and route"
    return "one of them does not say salt or release form, confirm the product"


def _changed(order: Medicine, before: list[Medicine], home: list[Medicine]) -> Row:
    """The row of an order that says something else than all of before, or than those that others go on with."""
    fitting = tuple(item for item in before if not products.are_apart(item, order))
    compared = fitting or tuple(item for item in home if not products.are_apart(item, order))
    silent = (fitting and not order.dose) or any(not item.dose for item in fitting)
    if silent:
        return Row(order, "unclear", compared)
    if any(products.is_place_open(item, order) for item in fitting):
        return Row(order, "unclear", compared, _what_is_open(order, fitting))
    if not compared and order.maybe_before:
        return Row(order, "unclear", (), order.maybe_before)
    return Row(order, "changed" if compared else "new", compared)


def _not_taken(group: _Group) -> Iterator[Row]:
    changes: dict[str, Change] = {"on-hold": "on hold", "stopped": "stopped", "avoid": "do not give"}
    replaced = {reference for order in group.discharge for reference in order.replaces}
    for item in group.other:
        # The row of the order that replaces one of before says so.
        if not (item.status == "stopped" and item.source in replaced and group.home):
            yield Row(item, changes[item.status], tuple(group.home))


def _replacement(order: Medicine, before: tuple[Medicine, ...]) -> Row:
    """An order that names the ones it replaces: a renewal says the same of the same product."""
    if not order.dose or not all(item.dose for item in before):
        return Row(order, "unclear", before)
    same = all(item.name.lower() == order.name.lower() and _continues(item, order) for item in before)
    return Row(order, "continued" if same else "changed", before)


def _ends(other: Medicine, home: Medicine) -> bool:
    """Whether a held, stopped or forbidden order speaks of this one: it says no dose, or the same."""
    return not home.dose or not other.dose or _continues(other, home)


def _continues(before: Medicine, order: Medicine) -> bool:
    """Whether an order says what the one before said: product, strength and every part of the dosage."""
    return _order(before) == _order(order) and products.product(before, order) == "same"


def _may_continue(before: Medicine, order: Medicine) -> bool:
    """Whether an order says what the one before said, but leaves open whether it is of the same product or place."""
    if _order(before) != _order(order):
        return False
    return products.product(before, order) == "open" or products.is_place_open(before, order)


def _order(medicine: Medicine) -> tuple[frozenset[str], str]:
    """An order for comparison: the numbers in the name (without `24 HR` of a release), then the dosage."""
    name = re.sub(r"(?<=\d),(?=\d)", ".", _HOURS.sub(" ", medicine.name.lower()))
    numbers = frozenset(text for text in products.TOKENS.findall(name) if text[0].isdigit())
    return numbers, medicine.normal or medicine.dose.lower()
