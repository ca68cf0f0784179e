"""Medication reconciliation: what of the medicines at home goes on, changes or ends. It compares whole orders. Pure."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Literal

from services.drafter.context import EncounterContext, Medicine

Change = Literal["new", "changed", "continued", "stopped", "on hold", "do not give", "unclear"]
_STRENGTH = re.compile(
    r"(?<!\d)\d{1,9}(?:[.,]\d{1,9})? ?(?:mg|g|mcg|ug|µg|ml|l|iu|ie|units?|%|mmol|meq)\b", re.IGNORECASE
)
_WORDS = re.compile(r"[^\W\d_]{4,}")
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
    """By ingredients where both are known, else by a code, else by the words of their names without strength."""
    if one.ingredients and other.ingredients:
        return one.ingredients == other.ingredients
    if set(one.codes) & set(other.codes):
        return True
    return _words(one.name) == _words(other.name)


def _words(name: str) -> frozenset[str] | str:
    words = frozenset(_WORDS.findall(_STRENGTH.sub(" ", name).lower())) - _FORMS
    return words or name.lower()


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
        same = next((item for item in before if _order(item) == _order(order)), None)
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
    if not group.discharge and not group.other:
        yield from (Row(item, "unclear") for item in group.home)


def _order(medicine: Medicine) -> tuple[tuple[str, ...], str]:
    """An order for comparison: strengths in the name, then the dosage."""
    strengths = tuple(re.sub(r"\s", "", text.lower().replace(",", ".")) for text in _STRENGTH.findall(medicine.name))
    return strengths, medicine.normal or medicine.dose.lower()
