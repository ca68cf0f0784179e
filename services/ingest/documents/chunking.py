"""Cut a document into chunks along its structure. Pure.

Headings become the chunk's path and are never cut; a recommendation and its grade stay together; a table is cut between
rows only, with its header repeated. Sizes are in tokens of the embedding model.
"""

import re
from collections.abc import Callable, Iterator

from services.ingest.documents.blocks import Block, Heading, Paragraph, ParsedDocument, Table
from shared.contracts.knowledge import Chunk, chunk_id

TokenCounter = Callable[[str], int]

# "Grade 1B", "Strength of recommendation: strong", "(Class I, Level of evidence A)": grades the line before.
GRADE = re.compile(
    r"^[\[(]?\s*(grade|class|level|loe|cor|strength|strong|weak|conditional|moderate|quality|certainty|evidence|"
    r"recommendation\s+(grade|class|strength))\b[^.]{0,120}[.\])]*$",
    re.IGNORECASE,
)
SENTENCE = re.compile(r"(?<=[.!?])\s+(?=[A-Z0-9(\[])")
MAX_PATH_TOKENS = 60  # headings of each chunk


def chunk(
    source: str, document: str, text: ParsedDocument, *, tokens: int, count: TokenCounter, url: str | None = None
) -> list[Chunk]:
    """Return the document's chunks of at most `tokens` tokens each (a table row or a single sentence may be longer)."""
    chunks: dict[str, Chunk] = {}
    for path, units in _sections(text):
        shown = _shorten_path(path, count)
        for body in _pack(units, tokens, count):
            id = chunk_id(source, document, text.title, shown, body)
            # Repeated text under the same heading is one chunk.
            chunks.setdefault(
                id, Chunk(id=id, source=source, document=document, title=text.title, path=shown, text=body, url=url)
            )
    return list(chunks.values())


def _shorten_path(path: tuple[str, ...], count: TokenCounter) -> tuple[str, ...]:
    """Return the innermost headings that fit into the limit."""
    kept: list[str] = []
    left = MAX_PATH_TOKENS
    for heading in reversed(path):
        left -= count(heading)
        if left < 0:
            break
        kept.insert(0, heading)
    return tuple(kept)


def _sections(text: ParsedDocument) -> Iterator[tuple[tuple[str, ...], list[Block]]]:
    """Yield the blocks under the same headings."""
    path: list[Heading] = []
    blocks: list[Block] = []
    for block in text.blocks:
        if isinstance(block, Heading):
            if blocks:
                yield _titles(path, text.title), blocks
                blocks = []
            path = [heading for heading in path if heading.level < block.level] + [block]
        else:
            blocks.append(block)
    if blocks:
        yield _titles(path, text.title), blocks


def _titles(path: list[Heading], title: str) -> tuple[str, ...]:
    return tuple(heading.text for heading in path if heading.text != title)


def _pack(blocks: list[Block], tokens: int, count: TokenCounter) -> Iterator[str]:
    """Yield the bodies of chunks: as many whole units, in order, as fit."""
    body: list[str] = []
    size = 0
    shown = ""  # the table header in this body
    for unit, header in _units(blocks, tokens, count):
        needed = count(unit)
        opening = count(header) if header not in ("", shown, unit) else 0
        if body and size + opening + needed > tokens:
            yield "\n".join(body)
            body, size = [], 0
            opening = count(header) if header not in ("", unit) else 0
        if opening:
            body.append(header)
        body.append(unit)
        size += opening + needed
        shown = header
    if body:
        yield "\n".join(body)


def _units(blocks: list[Block], tokens: int, count: TokenCounter) -> Iterator[tuple[str, str]]:
    """Yield what is never cut: a row with its header, a paragraph, or a sentence of a long one, with its grade."""
    held: str | None = None
    for block in blocks:
        if isinstance(block, Paragraph):
            for part in _sentences(block.text, tokens, count):
                if held is not None and GRADE.match(part):
                    held = f"{held}\n{part}"
                    continue
                if held is not None:
                    yield held, ""
                held = part
            continue
        if held is not None:
            yield held, ""
            held = None
        if isinstance(block, Table):
            for row in block.rows or (block.header,):
                yield row, block.header
    if held is not None:
        yield held, ""


def _sentences(text: str, tokens: int, count: TokenCounter) -> Iterator[str]:
    """Yield the paragraph if it fits, else its sentences, and a very long sentence by its words."""
    if count(text) <= tokens:
        yield text
        return
    for sentence in SENTENCE.split(text):
        if count(sentence) <= 2 * tokens:
            yield sentence
            continue
        words = sentence.split()
        step = max(1, tokens * len(words) // count(sentence))
        for start in range(0, len(words), step):
            yield " ".join(words[start : start + step])
