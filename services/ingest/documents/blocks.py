"""What every format is read into: headings, paragraphs, table rows, in reading order."""

from collections.abc import Iterator
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Heading:
    """`level` is 1 for the document's own title."""

    level: int
    text: str


@dataclass(frozen=True, slots=True)
class Paragraph:
    """Running text or a list item."""

    text: str


@dataclass(frozen=True, slots=True)
class Table:
    """Rows as text, cells joined; `header` is repeated wherever the table is cut."""

    header: str
    rows: tuple[str, ...]


Block = Heading | Paragraph | Table


@dataclass(frozen=True, slots=True)
class ParsedDocument:
    """A document that was read."""

    title: str
    blocks: tuple[Block, ...]


def collapse_spaces(text: str) -> str:
    """Its words, with one space between them."""
    return " ".join(text.split())


def with_title(title: str, blocks: tuple[Block, ...]) -> ParsedDocument:
    """A document named by its first heading, or by `title` where it has none."""
    first = next((block.text for block in blocks if isinstance(block, Heading) and block.level == 1), "")
    return ParsedDocument(first or title, blocks)


def build_table(rows: list[list[str]]) -> Iterator[Table]:
    """A table of rows of cells; none where all are empty."""
    lines = [" | ".join(cells) for cells in rows if any(cells)]
    if lines:
        yield Table(lines[0], tuple(lines[1:]))


class UnreadableError(Exception):
    """This document cannot be used. The message says why, in words for whoever maintains the source."""
