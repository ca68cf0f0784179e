"""Parts of a text that are to be replaced."""

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Span:
    """A part of a text, and what takes its place."""

    start: int
    end: int
    text: str


class Spans:
    """Spans that do not overlap: what was added first stays."""

    def __init__(self) -> None:
        self._found: list[Span] = []
        self._taken: set[int] = set()

    def free(self, start: int, end: int) -> bool:
        return self._taken.isdisjoint(range(start, end))

    def add(self, start: int, end: int, text: str) -> None:
        """Add a span, unless a part of it is taken."""
        if start < end and self.free(start, end):
            self._found.append(Span(start, end, text))
            self._taken.update(range(start, end))

    def all(self) -> list[Span]:
        return sorted(self._found, key=lambda item: item.start)


def replaced(text: str, spans: Iterable[Span]) -> str:
    """Return `text` with each span's text in its place; `spans` are in order."""
    parts, at = [], 0
    for span in spans:
        parts += [text[at : span.start], span.text]
        at = span.end
    return "".join([*parts, text[at:]])


def outside(text: str, spans: Iterable[Span]) -> str:
    """Return `text` with a line break in the place of each span."""
    return replaced(text, [Span(item.start, item.end, "\n") for item in spans])
