"""Parse a sentence once, for the claims of all kinds."""

import re
from dataclasses import dataclass, replace
from itertools import pairwise

from shared.grounding.assertion import AssertionProperty, assertion_properties
from shared.grounding.entity_finder import NamedEntities
from shared.grounding.evidence_index import EvidenceIndex
from shared.grounding.indexed_entries import content_words
from shared.grounding.quantities import Date, Quantity, find_dates, find_quantities
from shared.grounding.shorthand import expand_shorthand
from shared.grounding.verdict import Span
from shared.grounding.words import find_words

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
class ParsedSentence:
    """The words, numbers, names and clauses of a sentence with their places."""

    text: str
    lower_text: str
    words: tuple[tuple[str, int, int], ...]
    dates: tuple[Date, ...]
    quantities: tuple[Quantity, ...]
    named: NamedEntities
    clauses: tuple[Span, ...]
    content: tuple[tuple[str, int, int], ...]  # stems that say something, without those of dates and numbers

    def properties(self, span: Span) -> frozenset[AssertionProperty]:
        """Return the assertion properties (denied, uncertain, family, past) of the words at `span`."""
        return assertion_properties(self.text, span)

    def clause_at(self, position: int) -> Span:
        """Return the clause with this character."""
        return next((span for span in self.clauses if span[0] <= position < span[1]), (0, len(self.text)))

    def lower_text_of(self, span: Span) -> str:
        return self.lower_text[span[0] : span[1]]


def parse_sentence(sentence: str, record: EvidenceIndex) -> ParsedSentence:
    """Return the dates, numbers, names and clauses of a sentence, with its shorthand expanded."""
    sentence = _HEADING.sub(lambda match: " " * len(match.group()), expand_shorthand(sentence))
    days, rest = find_dates(sentence)
    breaks = [match.start() for match in _CLAUSE.finditer(sentence)]
    numbers = find_quantities(rest)
    taken = [*((day.start, day.end) for day in days), *((number.start, number.end) for number in numbers)]
    named = record.finder.find(sentence)
    edges = [0, *breaks, len(sentence) + 1]
    return ParsedSentence(
        text=sentence,
        lower_text=sentence.lower(),
        words=tuple(find_words(sentence)),
        dates=tuple(days),
        quantities=tuple(numbers),
        named=replace(
            named, tests=tuple(item for item in named.tests if not any(a <= item.start < b for a, b in taken))
        ),
        clauses=tuple(pairwise(edges)),
        content=tuple(item for item in content_words(sentence) if not any(a <= item[1] < b for a, b in taken)),
    )
