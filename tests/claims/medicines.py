"""Facts of medicines: orders with dose, route and frequency, their status, the length of a course."""

import re
from collections.abc import Iterator
from random import Random

from shared.contracts.context import EncounterContext, Medicine
from shared.grounding.reconciliation import reconcile
from tests.claims.lists import BRANDS, DRUGS, MEETS, absent, text_of
from tests.claims.model import Fact, Plant, Wording
from tests.claims.values import FREQUENCIES, ROUTES, plain

_AMOUNT = re.compile(r"(\d+(?:\.\d+)?) ?(mg|g|mcg|µg|units|mL)")
_NAME = re.compile(r"[A-Za-z][A-Za-z -]{3,}")
_FORM = re.compile(
    r"\b(?:tablets?|capsules?|oral|injection|er|dr|ir|hfa|pen|syringe|soluble|chewable)\b.*", re.IGNORECASE
)
_COURSE = re.compile(r"\bfor (\d+) days\b")
_COMBINED = re.compile(r"/ ?(?!puff|actuation|tablet|hour|dose)[A-Za-z]{4,}")
_RANGE = re.compile(r"\d ?- ?\d")  # `40-50mg`
_CLASSES = frozenset({"insulin", "ergocalciferol"})  # an ingredient that says less than the name
NUMBER_WORDS = (("twenty tablets", "one and a half tablets", "a dozen tablets"), ("half a tablet", "fifteen tablets"))
PER_KG = (("5 mg/kg", 5.0), ("12 mg/kg", 12.0))
_UNITS = {"mg": ("g", "mcg"), "g": ("mcg", "kg"), "mcg": ("mg", "g"), "µg": ("mg", "g"), "units": ("mg", "mL")}
STATUS = {"new": "new", "continued": "continued", "stopped": "stopped", "on hold": "held"}


def facts(context: EncounterContext, wording: Wording, random: Random) -> Iterator[Fact]:
    """Of the orders that can be told apart by their names."""
    lists = {
        "discharge": context.discharge_medicines,
        "hospital": context.hospital_medicines,
        "home": context.home_medicines,
    }
    orders = [*context.given_medicines, *context.other_medicines, *(item for one in lists.values() for item in one)]
    unknown = absent(DRUGS, text_of(context), wording.number)
    if context.died:
        del lists["discharge"]  # nobody took them
    for where, medicines in lists.items():
        for item in medicines:
            if names(item) and not item.by_body and not item.steps and item.status == "active":
                yield from _order(where, item, orders, unknown, wording, random)
    yield from _statuses(context, random)
    yield from _meeting(context, wording)


def names(item: Medicine) -> tuple[str, ...]:
    """What to call a medicine in a sentence: its name without strength and form, its ingredient, a brand."""
    if _COMBINED.search(item.name) or "," in item.name.partition("(")[0]:
        return ()  # of two substances: one name would be half the truth
    short = _FORM.sub("", re.split(r"[\d(,/]", item.name)[0]).strip()
    found = [short] if _NAME.fullmatch(short) else []
    if len(item.ingredients) == 1 and item.ingredients[0] not in _CLASSES and "/" not in item.name:
        found += [item.ingredients[0], *([BRANDS[item.ingredients[0]]] if item.ingredients[0] in BRANDS else [])]
    found = [name if name in BRANDS.values() or re.search(r"\b\w\b", name) else name.lower() for name in found]
    return tuple(dict.fromkeys(found))


def _order(
    where: str, item: Medicine, orders: list[Medicine], unknown: list[str], wording: Wording, random: Random
) -> Iterator[Fact]:
    same = [one for one in orders if _same(one, item)]
    slots = {"drug": random.choice(names(item))}
    route, frequency = ROUTES.get(item.route), FREQUENCIES.get(item.frequency)
    if len({one.amount for one in same if one.amount}) > 1 or _RANGE.search(item.dose):
        return
    if route:
        slots["route"] = random.choice(wording.route[route])
    if frequency:
        slots["frequency"] = random.choice(wording.frequency[frequency])
    if _AMOUNT.fullmatch(item.amount):
        slots["dose"] = random.choice(_doses(item.amount))
    plants = [Plant("drug swapped", "not-in-record", {"drug": random.choice(unknown)})] if unknown else []
    plants += _wrong_dose(item, same, orders, wording, random) if "dose" in slots else []
    plants += _wrong_way(same, slots, wording, random)
    yield Fact(f"order {where}", slots, tuple(plants))
    yield from _course(item, same, slots["drug"])


def _wrong_dose(
    item: Medicine, same: list[Medicine], orders: list[Medicine], wording: Wording, random: Random
) -> list[Plant]:
    said = " ".join(f"{one.name} {one.dose} {one.amount}" for one in same)
    figures = set(re.findall(r"\d+(?:\.\d+)?", said))
    match = _AMOUNT.fullmatch(item.amount)
    assert match
    amount, unit = float(match.group(1)), match.group(2)
    plants = []
    for factor in random.sample((2.0, 0.5, 3.0, 10.0), 4):
        if plain(amount * factor) not in figures:
            plants.append(Plant("dose", "contradicted", {"dose": f"{plain(amount * factor)} {unit}"}))
            break
    others = {one.amount for one in orders if _AMOUNT.fullmatch(one.amount)}
    others = {
        one for one in others if one.split()[0] not in figures and not set(_doses(one)) & set(_doses(item.amount))
    }
    if others:
        plants.append(Plant("dose of another medicine", "contradicted", {"dose": random.choice(sorted(others))}))
    if unit in _UNITS:
        plants.append(Plant("unit", "contradicted", {"dose": f"{plain(amount)} {_UNITS[unit][wording.number]}"}))
    words = random.choice(NUMBER_WORDS[wording.number])
    plants.append(Plant("number words", "contradicted", {"dose": words}))
    text, per_kg = PER_KG[wording.number]
    milligrams = amount * {"mg": 1, "g": 1000}.get(unit, 0)
    if milligrams and not 1.5 < milligrams / per_kg < 200:
        plants.append(Plant("dose per kilogram", "contradicted", {"dose": text}))
    return plants


def _wrong_way(same: list[Medicine], slots: dict[str, str], wording: Wording, random: Random) -> list[Plant]:
    """Another route, another frequency than any order of this medicine has."""
    plants = []
    routes = {ROUTES.get(one.route, "?") for one in same if one.route}
    frequencies = {FREQUENCIES.get(one.frequency, "?") for one in same if one.frequency}
    if "route" in slots and "?" not in routes:
        other = random.choice([key for key in ("oral", "iv", "sc", "im") if key not in routes])
        plants.append(Plant("route", "contradicted", {"route": random.choice(wording.route[other])}))
    if "frequency" in slots and "?" not in frequencies:
        other = random.choice([key for key in ("daily", "bid", "tid", "weekly") if key not in frequencies])
        plants.append(Plant("frequency", "contradicted", {"frequency": random.choice(wording.frequency[other])}))
    return plants


def _course(item: Medicine, same: list[Medicine], drug: str) -> Iterator[Fact]:
    """How long it is to be taken: as the order says, or as the supply of a short course tells."""
    found = _COURSE.findall(item.dose)
    said = " ".join(f"{one.dose} {one.text}" for one in same)
    if len(found) != 1 or len(set(_COURSE.findall(said))) != 1:
        return
    days = int(found[0])
    supply = f"supply for {days} days" in item.dose
    for wrong in (days + 3, days * 2, days * 3):
        if f"{wrong} " not in said and wrong != days:
            plant = Plant("duration", "contradicted", {"days": str(wrong)})
            yield Fact("supply" if supply else "course", {"drug": drug, "days": str(days)}, (plant,))


def _statuses(context: EncounterContext, random: Random) -> Iterator[Fact]:
    """What became of the medicines at home, as the reconciliation has it and leaves nothing open."""
    for row in reconcile(context):
        item = row.medicine
        if not names(item) or row.why or item.question or item.doubt or item.maybe_before:
            continue
        if _asked(item, context) or (row.change == "new" and not context.home_medicines):
            continue  # nobody knows what was taken at home
        drug = random.choice(names(item))
        change = _more_or_less(row.before, item) if row.change == "changed" else STATUS.get(row.change, "")
        if not change:
            continue
        # Stopped and held both mean that it is not taken now: only plain opposites are planted.
        wrong = {
            "new": ("continued", "stopped"),
            "continued": ("new", "stopped"),
            "stopped": ("new", "continued"),
            "held": ("new", "continued"),
            "increased": ("decreased", "stopped"),
            "decreased": ("increased", "stopped"),
        }
        slots = {"drug": drug}
        if change in ("increased", "decreased"):
            slots |= {"before": row.before[0].amount, "after": item.amount}
        swap = {"before": item.amount, "after": row.before[0].amount} if "after" in slots else {}
        plants = [
            Plant("medicine status", "contradicted", swap if "creased" in kind else {}, type=f"status {kind}")
            for kind in wrong[change]
        ]
        yield Fact(f"status {change}", slots, tuple(plants))


def _asked(item: Medicine, context: EncounterContext) -> bool:
    """Whether the physician is asked if the medicine was taken at home."""
    asked = [*(one.text for one in context.questions), *(one.text for one in context.open_points)]
    told = " ".join(text for text in asked if "home" in text).casefold()
    return any(name.casefold() in told for name in names(item))


def _more_or_less(before: tuple[Medicine, ...], item: Medicine) -> str:
    if len(before) != 1 or before[0].frequency != item.frequency:
        return ""
    one, other = _AMOUNT.fullmatch(before[0].amount), _AMOUNT.fullmatch(item.amount)
    if not one or not other or one.group(2) != other.group(2) or one.group(1) == other.group(1):
        return ""
    return "increased" if float(other.group(1)) > float(one.group(1)) else "decreased"


def _meeting(context: EncounterContext, wording: Wording) -> Iterator[Fact]:
    """A medicine that nobody ordered and that an allergy of the record forbids."""
    said = text_of(context.model_copy(update={"allergies": ()}))
    for allergy in context.allergies:
        for name in allergy.names:
            for drug in MEETS.get(name.casefold(), ())[wording.number :: 2]:
                if drug not in said:
                    plant = Plant(
                        "medicine that meets an allergy", "contradicted", {"drug": drug}, type="invented drug"
                    )
                    yield Fact("", {}, (plant,))


def _same(one: Medicine, other: Medicine) -> bool:
    if set(one.ingredients) & set(other.ingredients):
        return True
    return bool({name.casefold() for name in names(one)} & {name.casefold() for name in names(other)})


def _doses(amount: str) -> list[str]:
    """The ways to write an amount: `1 g` and `1000 mg`, `40 mg` and `40mg`."""
    match = _AMOUNT.fullmatch(amount)
    if not match:
        return []
    number, unit = float(match.group(1)), match.group(2)
    ways = [f"{plain(number)} {unit}", f"{plain(number)} {unit}"]
    ways += [f"{plain(number)}{unit}"] if unit in ("mg", "g", "mcg") else []
    ways += [f"{plain(number * 1000)} mg"] if unit == "g" else []
    ways += [f"{plain(number / 1000)} g"] if unit == "mg" and number >= 500 else []
    ways += [f"{plain(number)} {other}" for other in ("mcg", "micrograms") if unit in ("mcg", "µg")]
    return ways
