"""Parse HTML, Markdown, PDF, DOCX and plain text into blocks, each with an established library."""

import re
from collections.abc import Callable, Iterator
from pathlib import PurePosixPath
from typing import Any

import lxml.html
import pypdfium2
from lxml.etree import LxmlError
from markdown_it import MarkdownIt

from services.ingest.documents.blocks import (
    Block,
    Heading,
    Paragraph,
    ParsedDocument,
    Table,
    UnreadableDocumentError,
    build_table,
    collapse_spaces,
    with_title,
)
from services.ingest.documents.docx_file import read_docx
from services.ingest.documents.placeholder_pages import placeholder_reason

MAX_DOCUMENT_BYTES = 50 * 2**20
MAX_CHARACTERS = 4_000_000  # characters of a document: some 6,000 chunks
MAX_BLOCKS = 200_000  # headings, paragraphs, table rows
SKIPPED = {
    "script",
    "style",
    "noscript",
    "nav",
    "header",
    "footer",
    "aside",
    "form",
    "template",
    "svg",
    "head",
    "button",
}
LEAVES = {"p", "li", "pre", "blockquote", "dt", "dd", "figcaption", "caption", "summary", "address"}
CONTAINERS = {"ul", "ol", "dl", "p", "table", "pre", "blockquote", "div", "section", "h1", "h2", "h3", "h4", "h5", "h6"}
NUMBERED = re.compile(r"^(\d+(?:\.\d+){0,3})\.?\s+[A-Z][^.!?;]{2,90}$")
_markdown = MarkdownIt("commonmark").enable("table")


def parse_document(name: str, data: bytes, media_type: str | None = None) -> ParsedDocument:
    """Return the document `name` as blocks.

    Raises UnreadableDocumentError: an unknown format, a damaged file, a scan without text.
    """
    if len(data) > MAX_DOCUMENT_BYTES:
        raise UnreadableDocumentError(f"it is larger than {MAX_DOCUMENT_BYTES // 2**20} MB")
    text = READERS[_format(name, data, media_type)](data)
    if sum(len(block.rows) if isinstance(block, Table) else 1 for block in text.blocks) > MAX_BLOCKS:
        raise UnreadableDocumentError(f"there are more than {MAX_BLOCKS:,} paragraphs in it")
    if sum(map(_size, text.blocks)) > MAX_CHARACTERS:
        raise UnreadableDocumentError(f"there are more than {MAX_CHARACTERS:,} characters of text in it")
    if not any(isinstance(block, Paragraph | Table) for block in text.blocks):
        raise UnreadableDocumentError("there is no text in it")
    return text if text.title else ParsedDocument(_title_from_name(name), text.blocks)


def is_readable(name: str) -> bool:
    """Return whether the format of a file with this name can be read."""
    return PurePosixPath(name.lower()).suffix in SUFFIXES


def _format(name: str, data: bytes, media_type: str | None) -> str:
    """Return the format by the first bytes, the media type, the suffix, in this order: servers call a PDF text/html."""
    type = (media_type or "").partition(";")[0].strip().lower()
    found = MEDIA_TYPES.get(type)
    if found is None and type not in UNSPECIFIC_MEDIA_TYPES:
        raise UnreadableDocumentError(
            f"its server calls it {type[:60]}, which is not one of HTML, PDF, DOCX, Markdown and text"
        )
    if data[:1024].lstrip().startswith(b"%PDF-"):
        return "pdf"
    if data.startswith(b"PK\x03\x04"):
        return "docx"
    found = found or SUFFIXES.get(PurePosixPath(name.lower()).suffix)
    if found is None:
        raise UnreadableDocumentError("its format is not one of HTML, PDF, DOCX, Markdown and text")
    return found


def _size(block: Block) -> int:
    if isinstance(block, Table):
        return len(block.header) + sum(map(len, block.rows))
    return len(block.text)


def _title_from_name(name: str) -> str:
    return PurePosixPath(name).stem.replace("_", " ").replace("-", " ").strip() or name


def _decode(data: bytes) -> str:
    for encoding in ("utf-8-sig", "cp1252"):
        try:
            return data.decode(encoding)
        except UnicodeDecodeError:
            continue
    return data.decode("latin-1")


def _parse_html(data: bytes) -> ParsedDocument:
    if not data.strip():
        raise UnreadableDocumentError("it is empty")
    try:
        # lxml guesses wrong without a stated encoding, so UTF-8 is stated.
        data.decode()
        parser = lxml.html.HTMLParser(encoding="utf-8")
    except UnicodeDecodeError:
        parser = lxml.html.HTMLParser()
    try:
        root = lxml.html.document_fromstring(data, parser=parser)
    except (LxmlError, ValueError):
        raise UnreadableDocumentError("it is not HTML") from None
    title = collapse_spaces(root.findtext(".//title") or "")
    mains = root.xpath("//main | //*[@role='main'] | //article")
    blocks = tuple(_blocks_in(mains[0] if mains else root))
    if problem := placeholder_reason(title, blocks, asks_password=bool(root.xpath("//input[@type='password']"))):
        raise UnreadableDocumentError(problem)
    return with_title(title, blocks)


def _blocks_in(node: Any) -> Iterator[Block]:
    """Yield the blocks of an element in reading order. Text between block elements is a paragraph."""
    loose = [node.text or ""]
    for child in node:
        found = _blocks_of(child)
        if found is None:  # inline text, or no text at all
            loose.append(_inline(child))
        else:
            yield from _paragraph(loose)
            loose = []
            yield from found
        loose.append(child.tail or "")
    yield from _paragraph(loose)


def _blocks_of(node: Any) -> Iterator[Block] | None:
    """Return the blocks of an element; None where it is part of its parent's text."""
    tag = node.tag
    if not isinstance(tag, str) or tag in SKIPPED:
        return None
    if re.fullmatch(r"h[1-6]", tag):
        text = collapse_spaces(node.text_content())
        return iter((Heading(int(tag[1]), text),) if text else ())
    if tag == "table":
        return build_table(
            [[collapse_spaces(cell.text_content()) for cell in row.xpath("./td|./th")] for row in node.iter("tr")]
        )
    holds_blocks = any(item.tag in CONTAINERS for item in node.iterdescendants())
    if holds_blocks or tag in CONTAINERS:
        return _blocks_in(node)
    return _paragraph([node.text_content()]) if tag in LEAVES else None


def _inline(node: Any) -> str:
    if not isinstance(node.tag, str) or node.tag in SKIPPED:
        return ""
    return " " if node.tag == "br" else str(node.text_content())


def _paragraph(parts: list[str]) -> Iterator[Block]:
    if text := collapse_spaces("".join(parts)):
        yield Paragraph(text)


def _parse_markdown(data: bytes) -> ParsedDocument:
    source = re.sub(r"\A---\n.*?\n---\n", "", _decode(data), flags=re.DOTALL)  # front matter is not text
    if not source.strip():
        raise UnreadableDocumentError("it is empty")
    return _parse_html(_markdown.render(source).encode())


def _parse_plain_text(data: bytes) -> ParsedDocument:
    return ParsedDocument("", tuple(_lines_to_blocks(_decode(data))))


def _lines_to_blocks(text: str) -> Iterator[Block]:
    """Split into paragraphs at empty lines; `2.1 Dosing` on its own line is a heading."""
    for part in re.split(r"\n\s*\n", text.replace("\r\n", "\n").replace("\r", "\n")):
        lines = [line.strip() for line in part.splitlines() if line.strip()]
        while lines and (match := NUMBERED.match(lines[0])):
            yield Heading(1 + match[1].count(".") + 1, lines.pop(0))
        items = re.split(r"\n(?=[-•*]\s|\(?[a-z0-9]{1,2}\)\s)", "\n".join(lines))
        for item in items:
            if found := collapse_spaces(item):
                yield Paragraph(found)


def _parse_pdf(data: bytes) -> ParsedDocument:
    try:
        document = pypdfium2.PdfDocument(data)
    except pypdfium2.PdfiumError as error:
        locked = "password" in str(error).lower()
        raise UnreadableDocumentError(
            "it is protected by a password" if locked else "it is not a PDF, or damaged"
        ) from None
    try:
        pages = [page.get_textpage().get_text_bounded() for page in document]
        title = collapse_spaces(document.get_metadata_value("Title") or "")
    except pypdfium2.PdfiumError:
        raise UnreadableDocumentError("it is damaged") from None
    finally:
        document.close()
    if not any(page.strip() for page in pages):
        raise UnreadableDocumentError("it is a scan: its pages are pictures without text")
    return ParsedDocument(title, tuple(_lines_to_blocks("\n\n".join(_paragraphs(page) for page in pages))))


def _paragraphs(page: str) -> str:
    """Join the lines of a PDF page, which has no paragraphs: a short line that ends a sentence ends one."""
    lines = [line.strip() for line in page.splitlines()]
    longest = max((len(line) for line in lines), default=0)
    out: list[str] = []
    for line in lines:
        out.append(line)
        if NUMBERED.match(line) or (line.endswith((".", ":", "!", "?", ")")) and len(line) < 0.85 * longest):
            out.append("")
    return "\n".join(out)


READERS: dict[str, Callable[[bytes], ParsedDocument]] = {
    "html": _parse_html,
    "markdown": _parse_markdown,
    "pdf": _parse_pdf,
    "docx": read_docx,
    "text": _parse_plain_text,
}
SUFFIXES = {
    ".html": "html",
    ".htm": "html",
    ".xhtml": "html",
    ".md": "markdown",
    ".markdown": "markdown",
    ".pdf": "pdf",
    ".docx": "docx",
    ".txt": "text",
    ".text": "text",
}
MEDIA_TYPES = {
    "text/html": "html",
    "application/xhtml+xml": "html",
    "text/markdown": "markdown",
    "application/pdf": "pdf",
    "application/vnd.openxmlformats-officedocument.wordprocessingml.document": "docx",
    "text/plain": "text",
}
UNSPECIFIC_MEDIA_TYPES = ("", "application/octet-stream", "binary/octet-stream")  # media types that say nothing
