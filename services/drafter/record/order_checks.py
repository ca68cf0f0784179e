"""Check discharge medicines against allergies and each other, and results for critical last values. Pure.

Each finding is a question beside the document; none changes a fact of it.
"""

import re
from collections.abc import Iterator

from services.drafter.record import drug_classes, therapeutic_duplication
from services.drafter.record.medicine_names import ingredients
from services.drafter.record.observations import short_names
from shared.contracts.context import Allergy, EncounterContext, Medicine, ObservationSeries
from shared.contracts.draft import OpenPoint
from shared.contracts.systems import SYSTEM_NAMES
from shared.grounding.reconciliation import is_class, reconcile, same_medicine

CRITICAL = ("critical", "critically low", "critically high")
_WORD = re.compile(r"[^\W\d_]{5,}")
# Words of names that say no substance.
_COMMON_WORDS = frozenset(
    "allergy allergic allergie intolerance intolerantie reaction adverse substance product drugs medication medicine"  # noqa: SIM905
    " tablet tablets tabletten filmtabletten capsule capsules kapseln solution injection suspension cream ointment"
    " syrup powder spray inhaler release extended delayed modified combination containing preparation preparations"
    " component derivative derivatives class group human except known other unspecified lösung losung tropfen stuks"
    " contrast media medium vaccine extract water chlorid natrium kalium calcium glucose dextrose lactose"
    " tartrate succinate maleate besylate fumarate mesylate sulfate sulphate phosphate acetate citrate gluconate"
    " carbonate chloride hydrochloride sodium potassium calcium magnesium"
    " einheiten units micrograms microgram mikrogramm milligram vitamin".split()
)
_TOPICAL = re.compile(
    r"topical|cutan|dermal|skin|cream|ointment|\bgel\b|lotion|salbe|creme|zalf|ophthalm|\beye|augen"
    r"|oog|otic|\bear\b|nasal|nose"
    r"|nasen|neus|vaginal|rectal|patch|pflaster|inhal|nebul|puff",
    re.IGNORECASE,
)


def order_checks(context: EncounterContext) -> Iterator[OpenPoint]:
    """Yield questions about discharge medicines and about last results."""
    if context.needs_instructions:
        yield from _against_allergies(context)
        yield from _duplicates(context)
        yield from _same_effect(context)
        yield from _critical_at_the_end(context)


def _against_allergies(context: EncounterContext) -> Iterator[OpenPoint]:
    """Check discharge medicines against recorded allergies: one point for each medicine."""
    taken = [row.medicine for row in reconcile(context) if row.change in ("new", "changed", "continued", "unclear")]
    asked: set[str] = set()
    for medicine in taken:
        matching = [(item, why) for item in context.allergies if (why := _shared_reason(item, medicine))]
        if not matching or medicine.name.lower() in asked:
            continue
        asked.add(medicine.name.lower())
        named = "; ".join(f"{item.text}, {why}" for item, why in matching)
        text = f"{medicine.name} is to be taken, and an allergy or intolerance is recorded: {named}: confirm or change"
        yield OpenPoint(text=text, source=medicine.source)


def _shared_reason(allergy: Allergy, medicine: Medicine) -> str:
    """Return what an allergy and a medicine share: a substance or a class; empty for nothing."""
    if not allergy.names and not allergy.codes:
        return ""
    known = {part for name in allergy.names for part in _split_substances(ingredients(name, []))}
    names = [medicine.name, *medicine.substances]
    words = set.intersection(_substance_words(allergy.names), _substance_words(names))
    if known & (_split_substances(medicine.ingredients)) or words or _same_code(allergy, medicine):
        return "the same substance"
    of_class = drug_classes.shared_class(
        [*allergy.names, *known], allergy.codes, [*names, *medicine.ingredients], medicine.codes
    )
    return f"the same class ({of_class})" if of_class else ""


def _split_substances(names: tuple[str, ...]) -> set[str]:
    """Return the substances of names such as `acetaminophen and codeine`; a class such as insulin is none."""
    parts = {re.sub(r" \(.*\)", "", part) for name in names for part in re.split(r",? and |, ", name)}
    return {part for part in parts if part and not _COMMON_WORDS & set(part.split())}


def _substance_words(names: tuple[str, ...] | list[str]) -> set[str]:
    """Return words of names that may be substances, without Latin, German and Dutch endings."""
    words = {word for name in names for word in _WORD.findall(name.lower())} - _COMMON_WORDS
    return {re.sub(r"(um|e|s|en)$", "", word) for word in words}


def _same_code(allergy: Allergy, medicine: Medicine) -> bool:
    shared = set(allergy.codes) & set(medicine.codes)
    return any(code.partition("|")[0] in SYSTEM_NAMES for code in shared)


def _duplicates(context: EncounterContext) -> Iterator[OpenPoint]:
    """Yield one point for all discharge orders of one substance."""
    groups: list[list[Medicine]] = []
    for medicine in context.discharge_medicines:
        group = next((group for group in groups if any(_of_one_substance(medicine, item) for item in group)), None)
        if group is None:
            groups.append([medicine])
        else:
            group.append(medicine)
    for group in groups:
        if len(group) > 1:
            listed = "; ".join(item.text for item in group)
            text = f"{len(group)} orders of one substance at discharge: {listed}: confirm that they are taken together"
            yield OpenPoint(text=text, source=group[1].source)


def _same_effect(context: EncounterContext) -> Iterator[OpenPoint]:
    """Yield discharge orders of different substances with the same effect."""
    for effect, orders in therapeutic_duplication.duplication_questions(context.discharge_medicines):
        listed = "; ".join(item.text for item in orders)
        text = f"{len(orders)} {effect} at discharge: {listed}: confirm that they are taken together"
        yield OpenPoint(text=text, source=orders[1].source)


def _of_one_substance(one: Medicine, other: Medicine) -> bool:
    outside = [_topical_site(item) for item in (one, other)]
    if outside[0] != outside[1]:
        return False  # a cream beside a tablet
    if is_class(one) or is_class(other):
        return same_medicine(one, other)
    return bool(_split_substances(one.ingredients) & _split_substances(other.ingredients)) or same_medicine(one, other)


def _topical_site(medicine: Medicine) -> str:
    """Return where a medicine is applied that is not swallowed or injected."""
    match = _TOPICAL.search(f"{medicine.route} {medicine.name} {medicine.dose}")
    return match.group().lower() if match else ""


def _critical_at_the_end(context: EncounterContext) -> Iterator[OpenPoint]:
    """Yield tests whose last value is critical, without a later one by another method."""
    series = [*context.labs, *context.vitals]
    names = short_names(series)
    for item in series:
        if item.last.flag in CRITICAL and not _measured_later(item, series, names):
            on = f" on {item.last.on}" if item.last.on else ""
            what = (
                f"{names[item.name]}: the last value of the stay is critical ({item.last.value}, {item.last.flag}{on})"
            )
            yield OpenPoint(text=f"{what}: is a recheck planned?", source=item.last.source)


def _measured_later(item: ObservationSeries, series: list[ObservationSeries], names: dict[str, str]) -> bool:
    first = _WORD.findall(names[item.name].lower())[:1]
    return any(
        other is not item and other.last.time > item.last.time and _WORD.findall(names[other.name].lower())[:1] == first
        for other in series
    )
