"""Whether a passage is about a problem, judged by words, and the share of cited passages that are."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from shared.contracts.draft import CitedPassage
from shared.contracts.knowledge import Chunk
from shared.grounding.words import find_words, stem
from shared.knowledge.vector_store import SearchHit

# One disease by its names, in a record and in a guideline.
SAME = tuple(
    re.compile(words, re.IGNORECASE)
    for words in (
        r"stroke(?<!heat stroke)|(?:cerebral|brain|hirn|hersen) ?infar[ck]t|cerebral isch",
        r"\bcopd\b|chronic obstructive",
        r"asthma",
        r"heart failure|hartfalen|herzinsuff",
        r"influenza|\bflu\b",
        r"hip fracture|fracture of the hip|femoral neck|neck of (?:the )?femur|collumfractu",
        r"pyelonephritis|kidney infection|urinary tract infection|\buti\b",
        r"nicotine|smok|tobacco|roker",
        r"atrial fibrillation",
        r"osteoporosis|bone health",
        r"\bdeliri",
        r"type 2 diabetes|diabetes",
        r"hypertension|(?:high )?blood pressure",
        r"hyperlipid|dyslipid|cholesterol|statin",
        r"pulmonary embol|lungenembol",
        r"kidney disease|\bckd\b|kidney failure",
        r"acute kidney|kidney failure|renal failure",
        r"alcohol",
        r"an(?:a)?emia|anämie",
        r"pneumonia",
    )
)
_QUALIFIERS = frozenset(
    stem(word)
    for word in """
        acute chronic severe mild moderate primary secondary essential left right bilateral stage type grade
        due with without other first second single episode current displaced closed initial encounter
        exacerbation disease disorder syndrome complication complications uncomplicated noted management
        ongoing what need know about for and the its their are how your people
        """.split()  # noqa: SIM905 - a list of words
)


def is_about(problem: str, passage: CitedPassage | Chunk) -> bool:
    """Whether the passage, with its headings, names the problem, or has all words that tell the problem apart."""
    text = " ".join((passage.title, *passage.path, passage.text))
    names = [name for name in SAME if name.search(problem)]
    if any(name.search(text) for name in names):
        return True
    wanted = _telling(problem)
    return bool(wanted) and wanted <= _stems(text)


def is_titled(name: str, hit: SearchHit) -> bool:
    """Whether the page is about the name by its title: as a golden query would name it."""
    return _telling(name) <= _stems(hit.chunk.title)


def _telling(problem: str) -> frozenset[str]:
    return frozenset(item for item in _stems(problem) if item not in _QUALIFIERS and len(item) > 2)


def _stems(text: str) -> frozenset[str]:
    return frozenset(stem(word) for word, _, _ in find_words(text))


@dataclass(frozen=True, slots=True)
class Share:
    """Of the passages that were cited, how many are about their problem; of the problems, how many have one cited."""

    cited: int
    about: int
    problems: int
    covered: int

    def row(self) -> tuple[str, ...]:
        share = f"{self.about / self.cited:.1%}" if self.cited else "-"
        return str(self.problems), str(self.cited), str(self.about), share, str(self.covered)


def share(drafts: Iterable[tuple[Sequence[str], Sequence[CitedPassage]]]) -> Share:
    """Over drafts: the problems asked about, and what was cited."""
    cited = about = asked = covered = 0
    for names, passages in drafts:
        asked += len(names)
        right = [item for item in passages if any(is_about(name, item) for name in item.about)]
        cited, about = cited + len(passages), about + len(right)
        covered += sum(any(name in item.about for item in right) for name in names)
    return Share(cited, about, asked, covered)
