"""The signed text, cut into its parts, groups and lines. Pure.

The text is the truth: nothing is read from the draft but where its headings are, and which of its facts still stand in
the text as they were. A fact that a physician changed or took out is in no rendition.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

from services.approval.review.signing_rules import heading
from shared.contracts.draft import DocumentPart, Draft, Fact, FactGroup, PartCode

ITEM = "- "  # how the line of a list begins
# Characters that XML 1.0 does not have (https://www.w3.org/TR/xml/#charsets), and the mark of byte order, which PDF/A
# does not have and nobody sees.
_UNWRITABLE = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_MARK = "\ufeff"
_WORDS = re.compile(r"\w+")


@dataclass(frozen=True, slots=True)
class Line:
    """A line as it was signed. `source` is the FHIR reference of the fact that it still is, else empty."""

    text: str
    item: bool
    source: str = ""
    cells: tuple[str, ...] = ()  # the line as a row of a table; empty where it can be none


@dataclass(frozen=True, slots=True)
class Block:
    """Lines under one heading of a part. `title` is empty for lines that stand right below the part's heading."""

    title: str
    lines: tuple[Line, ...] = ()
    columns: tuple[str, ...] = ()  # set where every line is a row of a table
    stands_for: str = ""  # what the group is called in other kinds of documents

    @property
    def name(self) -> str:
        """Return the name of the block, which is the same in every kind of document."""
        return heading(self.stands_for or self.title)


@dataclass(frozen=True, slots=True)
class Section:
    """A part of the document. The one without a code and a title is what stands above the first heading."""

    code: PartCode | None
    title: str
    blocks: tuple[Block, ...] = ()
    loinc: str | None = None  # of a part that is none of the six


@dataclass(frozen=True, slots=True)
class SignedText:
    """The whole document, in the order of the text."""

    title: str
    sections: tuple[Section, ...]


def read(text: str, draft: Draft) -> SignedText:
    """Parse `text`, which was signed for `draft`."""
    parts = {heading(part.title): part for part in draft.parts}
    lines = [" ".join(line.split()) for line in writable(text).splitlines()]
    lines = [line for line in lines if line]
    title = draft.type.title
    if lines and lines[0].isupper() and heading(lines[0]) not in parts:
        title = lines.pop(0)
    sections: list[Section] = []
    part, name, found = None, "", list[str]()
    for line in lines:
        if heading(line) in parts:
            sections.append(_section(part, name, found))
            part, name, found = parts[heading(line)], line, []
        else:
            found.append(line)
    sections.append(_section(part, name, found))
    return SignedText(title, tuple(item for item in sections if item.title or item.blocks))


def writable(text: str) -> str:
    """Replace characters that no rendition can have by U+FFFD."""
    return _UNWRITABLE.sub("\ufffd", text.replace(_MARK, ""))


def _section(part: DocumentPart | None, title: str, lines: Sequence[str]) -> Section:
    groups: list[tuple[str, list[str]]] = [("", [])]
    for line in lines:
        if part is not None and line.endswith(":") and not line.startswith(ITEM):
            groups.append((line[:-1].rstrip(), []))
        else:
            groups[-1][1].append(line)
    blocks = tuple(_block(name, found, part) for name, found in groups if name or found)
    return Section(part.code if part else None, title, blocks, part.section if part else None)


def _block(title: str, lines: Sequence[str], part: DocumentPart | None) -> Block:
    group = next((item for item in part.groups if heading(item.title) == heading(title)), None) if part else None
    facts = {" ".join(writable(fact.text).split()): fact for fact in group.facts} if group else {}
    read = tuple(_line(line, facts, group) for line in lines)
    if group is None or not read or not all(line.cells for line in read):
        return Block(title, read, stands_for=group.stands_for if group else "")
    filled = [index for index in range(len(group.columns)) if any(line.cells[index] for line in read)]
    rows = tuple(replace(line, cells=tuple(line.cells[index] for index in filled)) for line in read)
    return Block(title, rows, tuple(group.columns[index] for index in filled), group.stands_for)


def _line(text: str, facts: dict[str, Fact], group: FactGroup | None) -> Line:
    if not text.startswith(ITEM):
        return Line(text, item=False)
    words = text.removeprefix(ITEM).strip()
    fact = facts.get(words)
    if fact is None or group is None:
        return Line(words, item=True)
    return Line(words, item=True, source=fact.source, cells=_row(words, fact, group))


def _row(text: str, fact: Fact, group: FactGroup) -> tuple[str, ...]:
    """Return the fact's cells if the signed line contains all their text, otherwise none.

    A cell may say more than the line (a route that only the order's code has): that was not signed.
    """
    if not fact.cells or len(fact.cells) != len(group.columns):
        return ()
    signed = _words(text)
    cells = tuple(writable(cell) if _words(cell) <= signed else "" for cell in fact.cells)
    return cells if signed <= _words(" ".join(cells)) else ()


def _words(text: str) -> set[str]:
    return set(_WORDS.findall(text.casefold()))
