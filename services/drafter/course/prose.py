"""Sentences from facts: lists, numbers of things, first letters. Pure."""

import re
from collections.abc import Iterable, Sequence

from shared.contracts.context import Entry
from shared.contracts.draft import Evidence, Narrative, Sentence

# Names of people that diseases and organisms are called by keep their capital.
_NAMES = re.compile(
    r"(parkinson|alzheimer|crohn|hodgkin|addison|cushing|graves|hashimoto|down|marfan|wernicke|guillain|barrett|bell|burkitt"
    r"|raynaud|meniere|kawasaki|huntington|wilson|paget|sjogren|tourette|turner|escherichia|staphylococcus|streptococcus"
    r"|klebsiella|pseudomonas|candida|clostridi\w+|enterococc\w+|haemophilus|legionella|german|dutch|english)\b",
    re.IGNORECASE,
)


def sentence(narrative: Narrative, text: str, entries: Iterable[Entry]) -> Sentence:
    """A sentence that is made of `entries`, which speak for it."""
    evidence = dict.fromkeys((item.source, item.text) for item in entries if item.source)
    return Sentence(
        narrative=narrative,
        text=text if text.endswith((".", "?", "!")) else f"{text}.",
        evidence=tuple(Evidence(source=source, text=words) for source, words in evidence),
        label="supported",
        origin="rules",
    )


def listed(items: Sequence[str]) -> str:
    """`a, b and c`; with semicolons where an item has a comma of its own."""
    found = list(dict.fromkeys(item.strip().rstrip(".;") for item in items if item.strip()))
    if len(found) < 2:
        return "".join(found)
    mark = "; " if any("," in item for item in found) else ", "
    end = "; and " if mark == "; " else " and "
    return mark.join(found[:-1]) + end + found[-1]


def lowered(text: str) -> str:
    """Within a sentence: `Hip fracture` → `hip fracture`; abbreviations and names of people stay."""
    first = re.match(r"[^\W\d_]+", text)
    if first is None or not first[0].istitle() or len(first[0]) < 3 or _NAMES.match(text):
        return text
    return text[0].lower() + text[1:]


def raised(text: str) -> str:
    return text[:1].upper() + text[1:]


def different(entries: Iterable[Entry]) -> list[Entry]:
    """Entries of different words, in their order."""
    found: dict[str, Entry] = {}
    for entry in entries:
        found.setdefault(entry.text.casefold(), entry)
    return list(found.values())


def be(entries: Sequence[object], past: bool = False) -> str:
    """The verb for one or many."""
    return ("was" if past else "is") if len(entries) == 1 else ("were" if past else "are")


def further(number: int, one: str, many: str) -> str:
    """What was not listed: `and 3 further results, listed above`."""
    return f"{number} further {one if number == 1 else many}, listed above"
