"""Facts of the person and the stay: age, sex, dates, length, where to, outcome, code status, visits, allergies."""

import re
from collections.abc import Iterator
from datetime import date, timedelta
from random import Random

from services.drafter.document_header import age, length_of_stay
from shared.contracts.context import ContextEntry, EncounterContext
from tests.claims.lists import ALLERGIES, IMAGING, PROCEDURES, absent, text_of
from tests.claims.model import Fact, Plant, Wording

PLACES = (
    ("home", r"^home$|^home with parents$"),
    ("home care", r"home with home care"),
    ("snf", r"skilled nursing|\bsnf\b"),
    ("rehab", r"^rehab"),
    ("hospice", r"hospice"),
    ("ama", r"against (?:medical )?advice|aadvice"),
    ("died", r"expired|died|\bexp\b"),
)
SEXES = {"female": ("woman", "She", "Her", "her"), "male": ("man", "He", "His", "him")}
_FULL = re.compile(r"status: for resuscitation", re.IGNORECASE)
_NONE = re.compile(r"not for resuscitation|do not resuscitate|\bdnr\b", re.IGNORECASE)


def facts(context: EncounterContext, wording: Wording, random: Random) -> Iterator[Fact]:
    yield from _person(context)
    yield from _dates(context, random)
    yield from _place(context)
    yield from _code_status(context)
    yield from _visits(context, random)
    yield from _allergies(context, wording, random)
    yield from _invented(context, wording, random)


def pronouns(context: EncounterContext) -> dict[str, str]:
    """Slots that every template may use."""
    unknown = ("patient", "The patient", "The patient's", "the patient")
    noun, he, his, him = SEXES.get(context.patient.sex or "", unknown)
    family = context.patient.name.split()[-1] if context.patient.name.split() else ""
    titled = family.isascii() and family.isalpha() and context.patient.sex in SEXES and (age(context) or 0) >= 18
    title = f"{'Mr.' if context.patient.sex == 'male' else 'Ms.'} {family}" if titled else "the patient"
    return {"He": he, "His": his, "he": he.lower(), "his": his.lower(), "him": him, "noun": noun, "Mr": title}


def day_of(text: str | None) -> date | None:
    """A day as the record prints it, where it has the day."""
    match = re.match(r"\d{4}-\d\d-\d\d", text or "")
    return date.fromisoformat(match.group()) if match else None


def spelled(day: date, random: Random) -> str:
    return random.choice((f"{day:%B} {day.day}, {day.year}", f"{day:%B} {day.day}", f"{day:%m/%d/%Y}", f"{day}"))


def _person(context: EncounterContext) -> Iterator[Fact]:
    years, sex = age(context), context.patient.sex
    if years is None or sex not in SEXES:
        return
    noun = SEXES[sex][0] if years >= 18 else {"female": "girl", "male": "boy"}[sex]
    other = {"woman": "man", "man": "woman", "girl": "boy", "boy": "girl"}[noun]
    plants = [Plant("sex", "contradicted", {"noun": other})]
    if years > 1:
        plants.append(Plant("age", "contradicted", {"age": str(years + (9 if years < 75 else -11))}))
        yield Fact("person", {"age": str(years), "noun": noun}, tuple(plants))


def _dates(context: EncounterContext, random: Random) -> Iterator[Fact]:
    start, end = day_of(context.start_on), day_of(context.end_on)
    if start is None or end is None or context.end_on is None:
        return
    out = "death" if context.died else "discharged"
    for name, day, other in (("admitted", start, end), (out, end, start)):
        plants = [
            Plant("date", "contradicted", {"date": spelled(start - timedelta(days=random.randint(9, 40)), random)})
        ]
        if start != end:
            plants.append(Plant("date of another event", "contradicted", {"date": spelled(other, random)}))
        yield Fact(name, {"date": spelled(day, random)}, tuple(plants))
    days = length_of_stay(context)
    if days and days > 1 and days == (end - start).days:
        wrong = str(days + random.choice((3, 5, 8)))
        yield Fact("length", {"days": str(days)}, (Plant("duration", "contradicted", {"days": wrong}),))


def _place(context: EncounterContext) -> Iterator[Fact]:
    text = (context.disposition or "").casefold()
    place = next((name for name, pattern in PLACES if re.search(pattern, text)), "")
    if context.died_later or not place or (place == "died") != context.died:
        return
    others = {
        "home": ("snf", "hospice", "rehab"),
        "home care": ("snf", "hospice"),
        "snf": ("home", "hospice"),
        "rehab": ("home", "hospice"),
        "hospice": ("home", "snf"),
        "ama": ("snf", "rehab"),
        "died": (),
    }[place]
    plants = [Plant("disposition", "contradicted", type=f"to {other}") for other in others]
    plants.append(Plant("outcome", "contradicted", type="alive" if context.died else "to died"))
    for _ in range(2):
        yield Fact(f"to {place}", {}, tuple(plants))


def _code_status(context: EncounterContext) -> Iterator[Fact]:
    said = " | ".join(item.text for item in context.directives)
    full, none = bool(_FULL.search(said)), bool(_NONE.search(said))
    if full != none and "intubation accepted" not in said:
        name, other = ("full code", "dnr") if full else ("dnr", "full code")
        yield Fact(name, {}, (Plant("code status", "contradicted", type=other),))


def _visits(context: EncounterContext, random: Random) -> Iterator[Fact]:
    for item in context.follow_up:
        day = day_of(item.on)
        if day is None or not item.text.isascii() or len(context.follow_up) > 2:
            continue
        visit = item.text.partition(" (")[0].partition(":")[0]
        wrong = spelled(day + timedelta(days=random.randint(5, 60)), random)
        plants = (Plant("date", "contradicted", {"date": wrong}),)
        yield Fact("visit", {"visit": visit, "date": spelled(day, random)}, plants)
    for item in context.pending:
        name = item.text.partition(" (")[0]
        if any(name in one.text for one in (*context.microbiology, *context.reports)):
            continue  # there is a preliminary result
        yield Fact(
            "pending", {"test": name}, (Plant("pending as resulted", "contradicted", {"test": name}, "resulted"),)
        )


def _allergies(context: EncounterContext, wording: Wording, random: Random) -> Iterator[Fact]:
    listed = [item for item in context.allergies if item.names]
    denied = [item for item in context.allergies if "no known" in item.text.casefold()]
    unknown = absent(ALLERGIES, text_of(context), wording.number)
    invented = [
        Plant("allergy invented", "contradicted" if denied else "not-in-record", {"substance": name}, "allergy")
        for name in unknown[:2]
    ]
    if denied and not listed and "no longer active" not in denied[0].text:
        yield Fact("no allergy", {}, tuple(invented))
    elif invented:
        yield Fact("", {}, tuple(invented[:1]))
    for item in listed:
        if not item.names[0].isascii() or ":" in item.names[0] or "unconfirmed" in item.text:
            continue
        plants = [Plant("negation", "contradicted", type="no allergy")]
        plants += [Plant("allergy invented", "not-in-record", {"substance": name}) for name in unknown[:1]]
        yield Fact("allergy", {"substance": item.names[0].lower()}, tuple(plants))


def _invented(context: EncounterContext, wording: Wording, random: Random) -> Iterator[Fact]:
    """Whole sentences about what the record does not have."""
    said = text_of(context)
    for kind, sentences in wording.whole.items():
        fitting = [text for text, *guards in sentences if not any(word in said for word in guards)]
        for text in random.sample(fitting, min(2, len(fitting))):
            if context.died and kind in ("follow-up invented", "guideline as fact"):
                continue
            yield Fact(
                "", {}, (Plant(kind, "not-in-record", {"sentence": text.format_map(pronouns(context))}, type="whole"),)
            )
    for kind, items in (("procedure invented", PROCEDURES), ("imaging invented", IMAGING)):
        for name in random.sample(found := absent(items, said, wording.number), min(2, len(found))):
            yield Fact("", {}, (Plant(kind, "not-in-record", {"procedure": name}, type=kind),))


def first_sentence(entry: ContextEntry) -> str:
    return re.split(r"(?<=[a-z])\. |;", entry.text)[0].strip().rstrip(".")
