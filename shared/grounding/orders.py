"""Medicines of the record as orders: amounts, routes, doses per day, days, and their change at discharge."""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from shared.contracts.context import EncounterContext, Medicine
from shared.grounding import dosage_terms
from shared.grounding.entity_finder import find_drugs
from shared.grounding.indexed_entries import MEDICINE_PARTS
from shared.grounding.quantities import Quantity, find_dates, find_quantities
from shared.grounding.reconciliation import Change, reconcile
from shared.grounding.vocabulary import normalized_name

DOSE_DIMENSIONS = frozenset({"mass", "volume", "activity", "equivalents", "amount", "tablet", "puff", "drop", "patch"})
_STRENGTH = re.compile(r"[\d(,\[]")
_PER_DAY_PARTS = re.compile(r"\b(?:in the (?:morning|evening)|at (?:night|noon|bedtime|\d\d:\d\d))\b", re.IGNORECASE)
_WEEKDAY = re.compile(r"\b(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun)(?:\w*day)?\b")
SECONDS_PER_DAY = 86400.0


@dataclass(frozen=True, slots=True)
class GroundedOrder:
    """A medicine that was ordered, given or taken. `rates` are doses per day, `days` durations in days."""

    medicine: Medicine
    part: str
    keys: frozenset[str]
    amounts: tuple[Quantity, ...]
    routes: frozenset[str]
    rates: frozenset[float]
    days: frozenset[float]
    as_needed: bool
    change: Change | None = None
    before: tuple[Medicine, ...] = ()

    @property
    def text(self) -> str:
        return self.medicine.text

    @property
    def source(self) -> str:
        return self.medicine.source


def keys_of(medicine: Medicine) -> frozenset[str]:
    """Return the names that a sentence may use: ingredients, generic names in its text, its own first words."""
    text = f"{medicine.name} {' '.join(medicine.ingredients)}"
    found = {mention.canonical for mention in find_drugs(text)} | set(medicine.ingredients)
    return frozenset(found | {recorded_name(medicine)})


def recorded_name(medicine: Medicine) -> str:
    """Return the words of the record's name before its strength (`tiotropium inhalatiepoeder`), at most three."""
    words = normalized_name(_STRENGTH.split(medicine.name)[0]).split()[:3]
    return " ".join(words) or medicine.name.lower()


def read_orders(context: EncounterContext) -> Iterator[GroundedOrder]:
    """Yield all orders, with their change at discharge from the reconciliation."""
    changes = {id(row.medicine): row for row in reconcile(context)}
    for part in MEDICINE_PARTS:
        for medicine in getattr(context, part):
            row = changes.get(id(medicine))
            yield _build_order(medicine, part, row.change if row else None, row.before if row else ())


def _build_order(medicine: Medicine, part: str, change: Change | None, before: tuple[Medicine, ...]) -> GroundedOrder:
    text = "; ".join((medicine.name, medicine.amount, medicine.route, medicine.frequency, medicine.dose, medicine.note))
    _, rest = find_dates(text)
    found = find_quantities(rest)
    rates = {part.rate for part in dosage_terms.find_frequencies(text)}
    parts = {match.group().lower() for match in _PER_DAY_PARTS.finditer(medicine.frequency or medicine.dose)}
    week = len(set(_WEEKDAY.findall(medicine.frequency or medicine.dose)))
    if week:
        rates |= {week / 7}
    return GroundedOrder(
        medicine=medicine,
        part=part,
        keys=keys_of(medicine),
        amounts=tuple(item for item in found if item.dimension.partition("/")[0] in DOSE_DIMENSIONS),
        routes=frozenset(part.route for part in dosage_terms.find_routes(text)),
        rates=frozenset(rates | ({float(len(parts))} if len(parts) > 1 else set())),
        days=frozenset(
            item.value * item.unit.factor / SECONDS_PER_DAY for item in found if item.unit and item.dimension == "time"
        ),
        as_needed=bool(dosage_terms.PRN.search(text)),
        change=change,
        before=before,
    )
