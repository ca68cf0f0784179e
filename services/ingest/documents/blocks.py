"""What every format is read into: headings, paragraphs, table rows, in reading order."""

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
class Text:
    """A document that was read."""

    title: str
    blocks: tuple[Block, ...]


class UnreadableError(Exception):
    """This document cannot be used. The message says why, in words for whoever maintains the source."""
