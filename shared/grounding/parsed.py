"""A sentence taken apart once, for all kinds of claims."""

import re
from dataclasses import dataclass, replace
from itertools import pairwise

from shared.grounding.assertion import Property, properties
from shared.grounding.figures import Date, Figure, dates, figures
from shared.grounding.finders import Named
from shared.grounding.lines import content
from shared.grounding.record import Record
from shared.grounding.shorthand import written_out
from shared.grounding.verdict import Span
from shared.grounding.words import words

_CLAUSE = re.compile(
    r";\s|,\s(?=(?:and|but|while|which|then|with)\b)|\b(?:but|while|whereas|then)\b|\.\s", re.IGNORECASE
)


# A heading of a list, which says nothing itself: "Implants and devices: …".
_HEADING = re.compile(
    r"^(?:(?:implants?|devices?|operations?|procedures?|surger(?:y|ies)|interventions?|hardware|lines|tubes|drains|equipment|imaging"
    r"|radiology|microbiology|sensitivities|susceptibilities|consults?|consultations|problems?|issues|conditions|results?)"
    r"(?:\s*(?:/|,|&|and|or)\s*)?)+:(?=\s)",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Parsed:
    """What stands in a sentence and where."""

    text: str
    low: str
    words: tuple[tuple[str, int, int], ...]
    dates: tuple[Date, ...]
    figures: tuple[Figure, ...]
    named: Named
    clauses: tuple[Span, ...]
    content: tuple[tuple[str, int, int], ...]  # stems that say something, without those of dates and numbers

    def properties(self, span: Span) -> frozenset[Property]:
        """Whether the words at `span` are denied, uncertain, of the family or past."""
        return properties(self.text, span)

    def clause(self, position: int) -> Span:
        """The clause that has this character."""
        return next((span for span in self.clauses if span[0] <= position < span[1]), (0, len(self.text)))

    def part(self, span: Span) -> str:
        return self.low[span[0] : span[1]]


def parse(sentence: str, record: Record) -> Parsed:
    """Dates, numbers, names and clauses of a sentence, with its shorthand written out."""
    sentence = _HEADING.sub(lambda match: " " * len(match.group()), written_out(sentence))
    days, rest = dates(sentence)
    breaks = [match.start() for match in _CLAUSE.finditer(sentence)]
    numbers = figures(rest)
    taken = [*((day.start, day.end) for day in days), *((number.start, number.end) for number in numbers)]
    named = record.finder.find(sentence)
    edges = [0, *breaks, len(sentence) + 1]
    return Parsed(
        text=sentence,
        low=sentence.lower(),
        words=tuple(words(sentence)),
        dates=tuple(days),
        figures=tuple(numbers),
        named=replace(
            named, tests=tuple(item for item in named.tests if not any(a <= item.start < b for a, b in taken))
        ),
        clauses=tuple(pairwise(edges)),
        content=tuple(item for item in content(sentence) if not any(a <= item[1] < b for a, b in taken)),
    )
