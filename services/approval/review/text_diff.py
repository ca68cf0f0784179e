"""Compare two texts by line and by word, in bounded time and memory. Pure.

Texts come from people's keyboards: what is quadratic in their length is done for a bounded number of words, and beyond
it whole lines are shown as removed and added. Callers run it outside the event loop.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

from rapidfuzz import fuzz
from rapidfuzz.distance import Indel

# Pairs of lines, or of words, that may be compared: 4 million take some 20 ms and 1 MB.
MAX_WORD_COMPARISONS = 4_000_000
SIMILARITY_PERCENT = 50  # a line with a similar one on the other side was changed, any other added or removed
MAX_PAIRED_LINES = 60  # lines a side of one run of changes in which such pairs are looked for
MAX_SHOWN_CHARACTERS = 20_000  # of a difference on a page; nobody reads more, and a page has to stay small
MAX_SIMILARITY_CHARACTERS = 1_000  # characters of a line that decide whether it is similar to another

_WORDS = re.compile(r"\S+\s*|\s+")


class DiffSegment(NamedTuple):
    """A run of text in a diff."""

    kind: Literal["same", "added", "removed"]
    text: str


@dataclass(frozen=True, slots=True)
class DiffRow:
    """A line before and after, or a run of unchanged lines.

    `under` is the heading above it; `lines` counts the lines of a run.
    """

    kind: Literal["same", "changed", "added", "removed"]
    before: tuple[DiffSegment, ...] = ()
    after: tuple[DiffSegment, ...] = ()
    under: str = ""
    lines: int = 1


class Diff(NamedTuple):
    """The differing lines of two texts, as far as a page shows them. `left_out` counts the characters that follow."""

    segments: tuple[DiffSegment, ...] = ()
    left_out: int = 0


class _Budget:
    """The word comparisons that are left."""

    def __init__(self) -> None:
        self._left = MAX_WORD_COMPARISONS

    def allows(self, one: int, other: int) -> bool:
        """Take `one` times `other` comparisons if so many are left; return whether they were."""
        if one * other > self._left:
            return False
        self._left -= one * other
        return True


def diff(before: str, after: str, most: int = MAX_SHOWN_CHARACTERS) -> Diff:
    """Return the differing lines, compared word by word, each with its line break: the first `most` characters."""
    budget = _Budget()
    shown: list[DiffSegment] = []
    left_out = 0
    for old, new in _runs(before.splitlines(keepends=True), after.splitlines(keepends=True), budget):
        for kind, text in _words("".join(old), "".join(new), budget) if old != new else ():
            if most:
                shown.append(DiffSegment(kind, text[:most]))
            left_out += max(len(text) - most, 0)
            most = max(most - len(text), 0)
    return Diff(tuple(shown), left_out)


def side_by_side(before: str, after: str, headings: frozenset[str] = frozenset()) -> list[DiffRow]:
    """Return rows in the order of the texts. `headings` are lines that start a section, as the texts have them."""
    budget, under = _Budget(), ""
    rows: list[DiffRow] = []
    for old, new in _runs(_lines(before), _lines(after), budget):
        if old == new:
            rows.append(DiffRow("same", under=under, lines=len(old)))
            under = next((line for line in reversed(old) if line in headings), under)
            continue
        for left, right in _pairs(old, new):
            under = next((line for line in (right, left) if line in headings), under)
            rows.append(_row(left, right, under, budget))
    return rows


def line_changes(before: Sequence[str], after: Sequence[str]) -> list[tuple[int, int, list[str]]]:
    """Return what makes `after` of `before`: ranges of lines of `before`, and the lines that are there instead.

    Lines that resemble each other are changed one by one, so that each change is as small as it can be.
    """
    found: list[tuple[int, int, list[str]]] = []
    at = 0
    for old, new in _runs(list(before), list(after), _Budget()):
        if old == new:
            at += len(old)
            continue
        for left, right in _pairs(old, new):
            found.append((at, at + (left is not None), [] if right is None else [right]))
            at += left is not None
    return found


def _lines(text: str) -> list[str]:
    return [line.strip() for line in text.splitlines() if line.strip()]


def _row(left: str | None, right: str | None, under: str, budget: _Budget) -> DiffRow:
    if left is None or right is None:
        removed = (DiffSegment("removed", left),) if left is not None else ()
        added = (DiffSegment("added", right),) if right is not None else ()
        return DiffRow("removed" if removed else "added", removed, added, under)
    pieces = list(_words(left, right, budget))
    before = tuple(piece for piece in pieces if piece.kind != "added")
    return DiffRow("changed", before, tuple(piece for piece in pieces if piece.kind != "removed"), under)


def _pairs(old: Sequence[str], new: Sequence[str]) -> Iterator[tuple[str | None, str | None]]:
    """Pair similar lines; the others stay alone. Both sides keep their order."""
    start = 0
    for index, left in enumerate(old):
        candidates = new[start : start + MAX_PAIRED_LINES] if index < MAX_PAIRED_LINES else ()
        likeness = [
            fuzz.ratio(left[:MAX_SIMILARITY_CHARACTERS], line[:MAX_SIMILARITY_CHARACTERS]) for line in candidates
        ]
        if max(likeness, default=0) < SIMILARITY_PERCENT:
            yield left, None
            continue
        found = start + likeness.index(max(likeness))
        yield from ((None, line) for line in new[start:found])
        yield left, new[found]
        start = found + 1
    yield from ((None, line) for line in new[start:])


def _runs(old: list[str], new: list[str], budget: _Budget) -> Iterator[tuple[list[str], list[str]]]:
    """Return runs of lines, alternately equal on both sides and different."""
    for equal, one, other in _opcodes(old, new, budget):
        yield (old[one], old[one]) if equal else (old[one], new[other])


def _words(before: str, after: str, budget: _Budget) -> Iterator[DiffSegment]:
    old, new = _WORDS.findall(before), _WORDS.findall(after)
    for equal, one, other in _opcodes(old, new, budget):
        if equal:
            yield DiffSegment("same", "".join(old[one]))
            continue
        if removed := "".join(old[one]):
            yield DiffSegment("removed", removed)
        if added := "".join(new[other]):
            yield DiffSegment("added", added)


def _opcodes(old: list[str], new: list[str], budget: _Budget) -> Iterator[tuple[bool, slice, slice]]:
    """Yield ranges and whether they are equal. Common prefix and suffix are found first, which is cheap."""
    head = _common(old, new)
    tail = min(_common(old[::-1], new[::-1]), len(old) - head, len(new) - head)
    ends = len(old) - tail, len(new) - tail
    if head:
        yield True, slice(0, head), slice(0, head)
    middle, other = old[head : ends[0]], new[head : ends[1]]
    if middle or other:
        yield from _between(middle, other, head, budget)
    if tail:
        yield True, slice(ends[0], len(old)), slice(ends[1], len(new))


def _between(old: list[str], new: list[str], at: int, budget: _Budget) -> Iterator[tuple[bool, slice, slice]]:
    if not budget.allows(len(old), len(new)):
        yield False, slice(at, at + len(old)), slice(at, at + len(new))
        return
    begun = (0, 0)  # of what differs
    for code in Indel.opcodes(old, new):
        if code.tag != "equal":
            continue
        if begun != (code.src_start, code.dest_start):
            yield False, slice(at + begun[0], at + code.src_start), slice(at + begun[1], at + code.dest_start)
        yield True, slice(at + code.src_start, at + code.src_end), slice(at + code.dest_start, at + code.dest_end)
        begun = code.src_end, code.dest_end
    if begun != (len(old), len(new)):
        yield False, slice(at + begun[0], at + len(old)), slice(at + begun[1], at + len(new))


def _common(old: Sequence[str], new: Sequence[str]) -> int:
    both = zip(old, new, strict=False)
    return next((number for number, (one, other) in enumerate(both) if one != other), min(len(old), len(new)))
