"""Blocks that every format is parsed into: headings, paragraphs, tables, in reading order."""

from collections.abc import Iterator
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Heading:
    """A heading. `level` is 1 for the document's own title."""

    level: int
    text: str


@dataclass(frozen=True, slots=True)
class Paragraph:
    """A paragraph or a list item."""

    text: str


@dataclass(frozen=True, slots=True)
class Table:
    """Rows as text with joined cells; `header` is repeated wherever the table is cut."""

    header: str
    rows: tuple[str, ...]


Block = Heading | Paragraph | Table


@dataclass(frozen=True, slots=True)
class ParsedDocument:
    """A document as blocks."""

    title: str
    blocks: tuple[Block, ...]


def collapse_spaces(text: str) -> str:
    """Return the words of `text` separated by one space."""
    return " ".join(text.split())


def with_title(title: str, blocks: tuple[Block, ...]) -> ParsedDocument:
    """Return a document titled by its first heading, or by `title` where it has none."""
    first = next((block.text for block in blocks if isinstance(block, Heading) and block.level == 1), "")
    return ParsedDocument(first or title, blocks)


def build_table(rows: list[list[str]]) -> Iterator[Table]:
    """Yield a table of rows of cells; none where all are empty."""
    lines = [" | ".join(cells) for cells in rows if any(cells)]
    if lines:
        yield Table(lines[0], tuple(lines[1:]))


class UnreadableDocumentError(Exception):
    """The document cannot be used. The message says why, for the maintainer of the source."""
