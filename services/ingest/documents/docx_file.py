"""Parse DOCX with python-docx, within limits that are checked before anything is decompressed or repeated."""

import io
from zipfile import BadZipFile, ZipFile

import docx
from docx.oxml.exceptions import InvalidXmlError
from docx.table import Table as DocxTable
from lxml.etree import LxmlError

from services.ingest.documents.blocks import (
    Block,
    Heading,
    Paragraph,
    ParsedDocument,
    UnreadableDocumentError,
    build_table,
    collapse_spaces,
    with_title,
)

MAX_UNPACKED_BYTES = 100 * 2**20  # all files of a DOCX together
MAX_COLUMNS = 500  # of a table; Word creates up to 63
MAX_CELLS = 200_000  # of all tables in a document


def read_docx(data: bytes) -> ParsedDocument:
    """Return the blocks of a DOCX file.

    Raises UnreadableDocumentError.
    """
    try:
        with ZipFile(io.BytesIO(data)) as packed:
            # zipfile stops at the size in the directory, so only that much is decompressed.
            if sum(item.file_size for item in packed.infolist()) > MAX_UNPACKED_BYTES:
                raise UnreadableDocumentError(f"what is packed in it is larger than {MAX_UNPACKED_BYTES // 2**20} MB")
        document = docx.Document(io.BytesIO(data))
    except (BadZipFile, KeyError, ValueError, InvalidXmlError, LxmlError):
        raise UnreadableDocumentError("it is not a DOCX file, or damaged") from None
    blocks: list[Block] = []
    cells = 0
    for item in document.iter_inner_content():
        if isinstance(item, DocxTable):
            cells = _check_width(item, cells)
            blocks += build_table([[collapse_spaces(cell.text) for cell in row.cells] for row in item.rows])
            continue
        text = collapse_spaces(item.text)
        style = (item.style.name if item.style is not None else None) or ""
        if text and (style == "Title" or style.startswith("Heading")):
            level = 1 if style == "Title" else int("".join(filter(str.isdigit, style)) or 1)
            blocks.append(Heading(level, text))
        elif text:
            blocks.append(Paragraph(text))
    return with_title(collapse_spaces(document.core_properties.title or ""), tuple(blocks))


def _check_width(table: DocxTable, before: int) -> int:
    """Return the number of cells up to and with this table.

    A merged cell is read once for each column that it spans, so cells are counted first. Raises
    UnreadableDocumentError where there are too many.
    """
    for row in table._tbl.tr_lst:
        width = sum(cell.grid_span for cell in row.tc_lst) + row.grid_before + row.grid_after
        if width > MAX_COLUMNS:
            raise UnreadableDocumentError(f"a table in it has more than {MAX_COLUMNS} columns")
        before += width
        if before > MAX_CELLS:
            raise UnreadableDocumentError(f"the tables in it have more than {MAX_CELLS:,} cells")
    return before
