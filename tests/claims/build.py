"""Makes the sentences: each fact in a template of its split, and each plant in one that shows it."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from hashlib import sha256
from random import Random
from string import Formatter

from shared.contracts.context import EncounterContext
from tests.claims import clinical, dev, held, measured, medicines, stay
from tests.claims.authors import authors
from tests.claims.model import Fact, Plant, Sentence, Split, Wording

# Each author of a split words the facts of all its stays.
WORDINGS: dict[Split, tuple[Wording, ...]] = {"dev": (dev.WORDING, *authors()), "held": (held.WORDING,)}
# Text of the record goes into sentences only where it is English.
ENGLISH = ("us", "ips", "au", "oz", "enc", "carebundle")
# Kinds that few records allow: planted in several templates.
RARE = (
    "causal",
    "code status",
    "pending as resulted",
    "laterality",
    "family history as own",
    "susceptibility",
    "medicine that meets an allergy",
    "procedure denied",
    "temporal order",
)
MOST_OF_A_KIND = 5  # plants of one kind and stay
MOST_OF_A_TYPE = 7  # true sentences of one type and stay


def sentences(contexts: Mapping[str, EncounterContext]) -> list[Sentence]:
    """The whole set, in the order of the stays; the same at each run."""
    found: list[Sentence] = []
    for split, wordings in WORDINGS.items():
        mine = {name: context for name, context in contexts.items() if split_of(name) == split}
        pool = sorted({name for stay, context in mine.items() if english(stay) for name in _diagnoses(context)})
        for wording in wordings:
            for name, context in mine.items():
                found += _of_stay(name, context, pool, split, wording)
    return found


def split_of(stay: str) -> Split:
    """Two of three stays are for development; by the name, so that a new stay moves no other."""
    return "held" if sha256(stay.encode()).digest()[0] % 3 == 0 else "dev"


def english(stay: str) -> bool:
    return stay.split("-")[0] in ENGLISH


def facts_of(name: str, context: EncounterContext, pool: list[str], wording: Wording) -> list[Fact]:
    random = Random(f"{name} {wording.author}".strip())
    found = list(measured.facts(context, wording, random))
    if english(name):
        found += medicines.facts(context, wording, random)
        found += clinical.facts(context, pool, wording, random)
        found += stay.facts(context, wording, random)
    return found


def _diagnoses(context: EncounterContext) -> Iterator[str]:
    return (text for item in context.diagnoses if item.certainty == "confirmed" and (text := clinical.named(item)))


def _of_stay(
    name: str, context: EncounterContext, pool: list[str], split: Split, wording: Wording
) -> Iterator[Sentence]:
    random = Random(f"{name} {wording.author or 'wording'}")
    common = stay.pronouns(context)
    counts: dict[str, int] = {}
    seen: set[str] = set()
    for fact in facts_of(name, context, pool, wording):
        for made in _of_fact(name, fact, common, wording, random):
            sentence = replace(made, split=split, author=wording.author)
            group = sentence.kind or f"true {sentence.type}"
            most = MOST_OF_A_KIND if sentence.kind else MOST_OF_A_TYPE
            if sentence.text not in seen and counts.get(group, 0) < most:
                counts[group] = counts.get(group, 0) + 1
                seen.add(sentence.text)
                yield sentence


def _of_fact(name: str, fact: Fact, common: Mapping[str, str], wording: Wording, random: Random) -> Iterator[Sentence]:
    templates = wording.templates
    slots = {**common, **fact.slots}
    if fact.type and _telling(templates[fact.type], slots, fact.slots, Random(0)):
        yield Sentence("dev", name, fact.type, filled(_telling(templates[fact.type], slots, fact.slots, random), slots))
    for plant in fact.plants:
        for _ in range(3 if plant.kind in RARE else 1):
            yield from _planted(name, fact, plant, slots, wording, random)


def _planted(
    name: str, fact: Fact, plant: Plant, slots: Mapping[str, str], wording: Wording, random: Random
) -> Iterator[Sentence]:
    """The false sentence beside the true one; none where no template shows the error."""
    templates = wording.templates
    wrong = {**slots, **plant.changes}
    template = _fitting(templates[plant.type or fact.type], wrong, plant.changes, random)
    if not template:
        return
    true = ""
    if not plant.type:
        true = filled(template, slots)
    elif fact.type:
        true = filled(_telling(templates[fact.type], slots, fact.slots, random), slots)
    text = filled(template, wrong)
    words = _wrong(template, plant, wrong, text)
    yield Sentence("dev", name, fact.type or plant.type, text, plant.label, plant.kind, words, true)


def _fitting(templates: tuple[str, ...], slots: Mapping[str, str], needed: Mapping[str, str], random: Random) -> str:
    """A template without slots that the fact lacks, with all needed slots; where there is none, with one of them."""
    fitting = [text for text in templates if _slots(text) <= set(slots)]
    full = [text for text in fitting if set(needed) <= _slots(text)]
    some = [text for text in fitting if set(needed) & _slots(text)]
    return random.choice(full or some or ([] if needed else fitting) or [""])


def _telling(templates: tuple[str, ...], slots: Mapping[str, str], own: Mapping[str, str], random: Random) -> str:
    """Any template that says something of the fact."""
    fitting = [text for text in templates if _slots(text) <= set(slots) and (not own or _slots(text) & set(own))]
    return random.choice(fitting or [""])


def filled(template: str, slots: Mapping[str, str]) -> str:
    """The sentence, with a capital letter in front."""
    text = template.format_map(slots).replace("..", ".")
    return text if re.match(r"[a-z][A-Z]|p[HC]", text) else text[:1].upper() + text[1:]


def _slots(template: str) -> set[str]:
    return {name for _, name, _, _ in Formatter().parse(template) if name}


def _wrong(template: str, plant: Plant, slots: Mapping[str, str], text: str) -> str:
    """The planted words: of the changed slots, else the whole sentence; of a wrong side, only the side.

    A claim about the right illness or procedure must not count as having found its wrong side.
    """
    if plant.kind == "laterality":
        return " … ".join(side[0] for value in plant.changes.values() if (side := clinical.SIDE.search(value)))
    if plant.type in ("", "allergy", "invented drug") and plant.changes:
        return " … ".join(slots[name] for name in plant.changes if f"{{{name}}}" in template)
    return text
