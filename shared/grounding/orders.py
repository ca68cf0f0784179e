"""Medicines of the record as orders: amounts, routes, doses a day, days; and what became of each at discharge."""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from shared.contracts.context import EncounterContext, Medicine
from shared.grounding import dosage
from shared.grounding.figures import Figure, dates, figures
from shared.grounding.finders import drugs_in
from shared.grounding.lines import MEDICINES
from shared.grounding.reconciliation import Change, reconcile
from shared.grounding.vocabulary import joined

DOSES = frozenset({"mass", "volume", "activity", "equivalents", "amount", "tablet", "puff", "drop", "patch"})
_STRENGTH = re.compile(r"[\d(,\[]")
_PER_DAY_PARTS = re.compile(r"\b(?:in the (?:morning|evening)|at (?:night|noon|bedtime|\d\d:\d\d))\b", re.IGNORECASE)
_WEEKDAY = re.compile(r"\b(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun)(?:\w*day)?\b")
DAY = 86400.0


@dataclass(frozen=True, slots=True)
class Order:
    """A medicine as it was ordered, given or taken. `rates`: doses a day; `days`: lengths in days."""

    medicine: Medicine
    part: str
    keys: frozenset[str]
    amounts: tuple[Figure, ...]
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
    """The names by which a sentence may call it: ingredients, generic names found in its text, its own first words."""
    text = f"{medicine.name} {' '.join(medicine.ingredients)}"
    found = {mention.canonical for mention in drugs_in(text)} | set(medicine.ingredients)
    return frozenset(found | {own_name(medicine)})


def own_name(medicine: Medicine) -> str:
    """The words of the record's name before its strength (`tiotropium inhalatiepoeder`), three at most."""
    words = joined(_STRENGTH.split(medicine.name)[0]).split()[:3]
    return " ".join(words) or medicine.name.lower()


def orders(context: EncounterContext) -> Iterator[Order]:
    """All orders, with what reconciliation makes of those at discharge and before."""
    changes = {id(row.medicine): row for row in reconcile(context)}
    for part in MEDICINES:
        for medicine in getattr(context, part):
            row = changes.get(id(medicine))
            yield _order(medicine, part, row.change if row else None, row.before if row else ())


def _order(medicine: Medicine, part: str, change: Change | None, before: tuple[Medicine, ...]) -> Order:
    text = "; ".join((medicine.name, medicine.amount, medicine.route, medicine.frequency, medicine.dose, medicine.note))
    _, rest = dates(text)
    found = figures(rest)
    rates = {part.rate for part in dosage.frequencies(text)}
    parts = {match.group().lower() for match in _PER_DAY_PARTS.finditer(medicine.frequency or medicine.dose)}
    week = len(set(_WEEKDAY.findall(medicine.frequency or medicine.dose)))
    if week:
        rates |= {week / 7}
    return Order(
        medicine=medicine,
        part=part,
        keys=keys_of(medicine),
        amounts=tuple(item for item in found if item.dimension.partition("/")[0] in DOSES),
        routes=frozenset(part.route for part in dosage.routes(text)),
        rates=frozenset(rates | ({float(len(parts))} if len(parts) > 1 else set())),
        days=frozenset(item.value * item.unit.factor / DAY for item in found if item.unit and item.dimension == "time"),
        as_needed=bool(dosage.PRN.search(text)),
        change=change,
        before=before,
    )
