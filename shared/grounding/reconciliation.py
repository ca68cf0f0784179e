"""Medication reconciliation: what of the medicines at home goes on, changes or ends. It compares whole orders. Pure."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Literal

from shared.contracts.context import EncounterContext, Medicine
from shared.contracts.systems import SYSTEM_NAMES

Change = Literal["new", "changed", "continued", "stopped", "on hold", "do not give", "unclear"]
_STRENGTH = re.compile(
    r"(?<!\d)\d{1,9}(?:[.,]\d{1,9})? ?(?:mg|g|mcg|ug|µg|ml|l|iu|ie|units?|%|mmol|meq)\b", re.IGNORECASE
)
_WORDS = re.compile(r"[^\W\d_]{4,}")
_TOKENS = re.compile(r"\d+(?:[.,]\d+)?|[^\W\d_]+")
_GENERIC = frozenset({"insulin", "human insulin", "insuline", "vitamin"})  # a class: the name must say which of it
# What makes two products of one ingredient different ones, beside their numbers.
_RELEASE = frozenset(
    [
        "er",
        "xr",
        "xl",
        "sr",
        "cr",
        "la",
        "mr",
        "ec",
        "dr",
        "ir",
        "retard",
        "depot",
        "mix",
        "extended",
        "delayed",
        "prolonged",
        "modified",
        "sustained",
        "controlled",
    ]
)
_SALTS = frozenset(
    [
        "tartrate",
        "succinate",
        "maleate",
        "besylate",
        "fumarate",
        "mesylate",
        "sulfate",
        "sulphate",
        "phosphate",
        "acetate",
        "citrate",
        "gluconate",
        "carbonate",
        "chloride",
        "hydrochloride",
        "sodium",
        "potassium",
        "calcium",
        "magnesium",
    ]
)
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
    ]
)


@dataclass(frozen=True, slots=True)
class Row:
    """One medicine: the order that counts from now on, what it was before, and why."""

    medicine: Medicine
    change: Change
    before: tuple[Medicine, ...] = ()


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
        _group_of(medicine, groups).discharge.append(medicine)
    for medicine in context.home_medicines:
        _group_of(medicine, groups).home.append(medicine)
    for medicine in context.other_medicines:
        _group_of(medicine, groups).other.append(medicine)
    return tuple(row for group in groups for row in _rows(group))


def same_medicine(one: Medicine, other: Medicine) -> bool:
    """By ingredients where both are known, else by a code, else by the words of their names without strength.

    An ingredient that is a class says too little: insulin aspart is not insulin glargine, vitamin D is not vitamin K.
    """
    if _is_class(one) or _is_class(other):
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


def _is_class(medicine: Medicine) -> bool:
    return bool(_GENERIC & {*medicine.ingredients, *_TOKENS.findall(medicine.name.lower())})


def _types(name: str) -> frozenset[str]:
    """The words of a name, short ones too (`vitamin K`, `Humulin N`), without strength and form."""
    return frozenset(_TOKENS.findall(_STRENGTH.sub(" ", name).lower())) - _FORMS


def _group_of(medicine: Medicine, groups: list[_Group]) -> _Group:
    for group in groups:
        if any(same_medicine(medicine, item) for item in (*group.home, *group.discharge, *group.other)):
            return group
    groups.append(_Group())
    return groups[-1]


def _rows(group: _Group) -> Iterator[Row]:
    before = list(group.home)
    changed: list[Medicine] = []
    for order in group.discharge:
        same = next((item for item in before if _continues(item, order)), None)
        if same is not None and order.dose:
            before.remove(same)
            yield Row(order, "continued", (same,))
        else:
            changed.append(order)
    for order in changed:
        silent = (before and not order.dose) or any(not item.dose for item in before)
        yield Row(
            order,
            "unclear" if silent else "changed" if before else "new" if not group.home else "changed",
            tuple(before or group.home),
        )
    if group.discharge and not changed:
        yield from (Row(item, "unclear") for item in before)
    changes: dict[str, Change] = {"on-hold": "on hold", "stopped": "stopped", "avoid": "do not give"}
    for item in group.other:
        yield Row(item, changes[item.status], tuple(group.home))
    if not group.discharge:
        yield from (Row(item, "unclear") for item in group.home if not any(_ends(other, item) for other in group.other))


def _ends(other: Medicine, home: Medicine) -> bool:
    """Whether a held, stopped or forbidden order speaks of this one: it says no dose, or the same."""
    return not home.dose or not other.dose or _continues(other, home)


def _continues(before: Medicine, order: Medicine) -> bool:
    """Whether an order says what the one before said: product, strength and every part of the dosage."""
    if _order(before) != _order(order):
        return False
    salts = [_SALTS & _product(item) for item in (before, order)]
    forms = [_RELEASE & _product(item) for item in (before, order)]
    if all(salts) and not salts[0] & salts[1]:
        return False
    # A brand name does not say its release form: `Panadol Osteo` is a modified release tablet.
    return forms[0] == forms[1] or (not all(forms) and any(_is_brand(item) for item in (before, order)))


def _is_brand(medicine: Medicine) -> bool:
    return bool(medicine.ingredients) and not any(name in medicine.name.lower() for name in medicine.ingredients)


def _product(medicine: Medicine) -> frozenset[str]:
    return frozenset(_TOKENS.findall(re.sub(r"(?<=\d),(?=\d)", ".", medicine.name.lower())))


def _order(medicine: Medicine) -> tuple[frozenset[str], str]:
    """An order for comparison: the numbers in the name, then the dosage."""
    numbers = frozenset(text for text in _product(medicine) if text[0].isdigit())
    return numbers, medicine.normal or medicine.dose.lower()
