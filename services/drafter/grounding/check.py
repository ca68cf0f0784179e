"""Holds a sentence against the record: every number, dose, date, medicine and diagnosis must be there.

A dose or a duration near a medicine must stand with *that* medicine in the record: the small model swaps them.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from services.drafter.grounding import figures as reading
from services.drafter.grounding.figures import Figure
from services.drafter.grounding.vocabulary import Mention, diagnoses, drugs, words_of
from shared.contracts.draft import Claim, Evidence, Fact, Narrative, Sentence

NEAR = 40  # characters between a dose and the medicine it belongs to
MOST_EVIDENCE = 4
GARBLED = 6  # letters from which on a word is taken for a medicine's name gone wrong
SHARED_WORDS = 2  # words of five letters or more that make a fact evidence for a sentence


@dataclass(frozen=True, slots=True)
class _Line:
    """One fact, taken apart."""

    fact: Fact
    drugs: frozenset[str]
    diagnoses: frozenset[str]
    figures: frozenset[tuple[float, str | None]]
    dates: frozenset[tuple[int, int, int]]
    words: frozenset[str]
    names: frozenset[str]  # words of the medicines' names


class Record:
    """What may be said: the facts of one stay, and things that follow from them (age, length of stay)."""

    def __init__(self, facts: Iterable[Fact]) -> None:
        # A line without a source states an absence, which speaks for nothing.
        self.lines = [_take_apart(fact) for fact in facts if fact.source]
        self.drugs = frozenset().union(*(line.drugs for line in self.lines))
        self.diagnoses = frozenset().union(*(line.diagnoses for line in self.lines))
        self.figures = frozenset().union(*(line.figures for line in self.lines))
        self.values = {value for value, _ in self.figures}
        self.dates = set().union(*(line.dates for line in self.lines))
        self.words = frozenset().union(*(line.words for line in self.lines))
        self.beginnings = {name[:GARBLED] for line in self.lines for name in line.names if len(name) > GARBLED}


def check(text: str, narrative: Narrative, record: Record) -> Sentence:
    """The sentence with the claims that the record does not have, and the facts that speak for the rest."""
    days, rest = reading.dates(text)
    numbers = reading.figures(rest)
    words = words_of(text)
    medicines, illnesses = drugs().find(text, words), diagnoses().find(text, words)
    claims = [Claim(kind="date", text=day.text) for day in days if not day.is_in(record.dates)]
    claims += [Claim(kind="date", text=match.group()) for match in reading.RELATIVE.finditer(text)]
    claims += [Claim(kind="drug", text=item.text) for item in medicines if item.canonical not in record.drugs]
    claims += [Claim(kind="drug", text=word) for word in _garbled(text, medicines, record)]
    claims += [Claim(kind="diagnosis", text=item.text) for item in illnesses if not _diagnosed(item, record)]
    claims += [_claim(item) for item in numbers if not _supported(item, medicines, record)]
    return Sentence(
        narrative=narrative,
        text=text,
        evidence=_evidence(text, numbers, medicines, illnesses, record),
        unsupported=tuple(dict.fromkeys(claims)),
    )


def _take_apart(fact: Fact) -> _Line:
    days, rest = reading.dates(fact.text)
    words = words_of(fact.text)
    medicines = drugs().find(fact.text, words)
    return _Line(
        fact=fact,
        drugs=frozenset(item.canonical for item in medicines),
        diagnoses=frozenset(item.canonical for item in diagnoses().find(fact.text, words)),
        figures=frozenset((item.value, item.unit) for item in reading.figures(rest)),
        dates=frozenset((day.year, day.month, day.day) for day in days if day.year is not None),
        words=_words(fact.text),
        names=frozenset(word for item in medicines for word in _words(item.text)),
    )


def _words(text: str) -> frozenset[str]:
    return frozenset(re.findall(r"[a-z]{3,}", text.lower()))


def _garbled(text: str, medicines: Sequence[Mention], record: Record) -> list[str]:
    """Words that begin like a medicine of the record and are none: small models break long names off."""
    known = record.words | {word for item in medicines for word in _words(item.text)}
    words = re.findall(r"[A-Za-z]{4,}", text)
    return [word for word in words if word.lower() not in known and word[:GARBLED].lower() in record.beginnings]


def _diagnosed(mention: Mention, record: Record) -> bool:
    """By what the name stands for, or because the record uses the same words."""
    return mention.canonical in record.diagnoses or _words(mention.text) <= record.words


def _supported(figure: Figure, medicines: Sequence[Mention], record: Record) -> bool:
    owner = _owner(figure, medicines) if figure.kind != "number" else None
    if owner is not None and owner.canonical in record.drugs:
        lines = [line for line in record.lines if owner.canonical in line.drugs]
        return any((figure.value, figure.unit) in line.figures for line in lines)
    if figure.unit is None:
        return figure.value in record.values
    return (figure.value, figure.unit) in record.figures


def _owner(figure: Figure, medicines: Sequence[Mention]) -> Mention | None:
    """The medicine nearest to a dose or duration."""

    def distance(mention: Mention) -> int:
        return max(mention.start - figure.start - len(figure.text), figure.start - mention.end)

    near = [mention for mention in medicines if distance(mention) <= NEAR]
    return min(near, key=distance, default=None)


def _claim(figure: Figure) -> Claim:
    return Claim(kind="dose" if figure.kind == "dose" else "number", text=figure.text.strip())


def _evidence(
    text: str, numbers: Sequence[Figure], medicines: Sequence[Mention], illnesses: Sequence[Mention], record: Record
) -> tuple[Evidence, ...]:
    """Facts that share a name, a figure with its unit, or several words with the sentence; the closest first."""
    names = {item.canonical for item in (*medicines, *illnesses)}
    values = {(item.value, item.unit) for item in numbers if item.unit is not None}
    words = {word for word in _words(text) if len(word) > 4}
    scored = [
        (
            3 * len(names & (line.drugs | line.diagnoses)) + 2 * len(values & line.figures) + len(words & line.words),
            line,
        )
        for line in record.lines
    ]
    best = sorted((item for item in scored if item[0] >= SHARED_WORDS), key=lambda item: -item[0])[:MOST_EVIDENCE]
    return tuple(Evidence(source=line.fact.source, text=line.fact.text) for _, line in best)
