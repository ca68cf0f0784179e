"""Scan a CSV or JSON file of medicines: one document and one chunk for each medicine."""

import asyncio
from collections.abc import AsyncIterator, Iterator, Mapping
from pathlib import Path

from services.ingest.connectors.folder import read_bounded
from services.ingest.connectors.scanned_document import Fingerprint, ScannedDocument
from services.ingest.documents.blocks import Paragraph, ParsedDocument, UnreadableDocumentError
from services.ingest.documents.reader import DocumentReader
from services.ingest.documents.rows import MAX_FORMULARY_BYTES, Row
from shared.contracts.envelope import sha256_hex
from shared.contracts.errors import PermanentError
from shared.knowledge.knowledge_file import FormularySource


class FormularyConnector:
    """Scan a formulary. Medicines are named by their code, or by their name where the file has none."""

    def __init__(self, source: FormularySource, reader: DocumentReader) -> None:
        self._source = source
        self._reader = reader

    async def scan(self, known: Mapping[str, Fingerprint]) -> AsyncIterator[ScannedDocument]:
        rows = await self._rows()
        seen: set[str] = set()
        for number, row in enumerate(rows, 1):
            name = _text(row.get(self._source.name_column))
            if not name:
                problem = f"row {number} has no '{self._source.name_column}'"
                yield ScannedDocument(f"row-{number}", Fingerprint(), problem=problem)
                continue
            document = document_name(row, self._source)
            if document in seen:
                yield ScannedDocument(
                    f"{document}#{number}", Fingerprint(), problem=f"row {number} repeats '{document}'"
                )
                continue
            seen.add(document)
            text = ParsedDocument(name, (Paragraph("\n".join(_lines(row, self._source.name_column))),))
            print_ = Fingerprint(digest=sha256_hex(repr(text).encode()))
            before = known.get(document)
            yield ScannedDocument(document, print_, text=None if before == print_ else text)

    async def _rows(self) -> list[Row]:
        file: Path = self._source.file
        try:
            data = await asyncio.to_thread(read_bounded, file, MAX_FORMULARY_BYTES)
        except OSError as error:
            raise PermanentError(f"the formulary {file} cannot be read ({type(error).__name__})") from None
        if len(data) > MAX_FORMULARY_BYTES:
            raise PermanentError(f"the formulary {file} is larger than {MAX_FORMULARY_BYTES // 2**20} MB")
        try:
            rows = await self._reader.rows(file.name, data)
        except UnreadableDocumentError as error:
            raise PermanentError(f"the formulary {file}: {error}") from None
        if rows and not any(self._source.name_column in row for row in rows):
            raise PermanentError(f"the formulary {file} has no column '{self._source.name_column}'")
        return rows


def document_name(row: Row, source: FormularySource) -> str:
    """Return the code of a medicine, or its name in lower case; empty for a row without either."""
    id = _text(row.get(source.id_column)) if source.id_column else ""
    return id or _text(row.get(source.name_column)).lower().replace(" ", "-")


def _text(value: object) -> str:
    if isinstance(value, list):
        return ", ".join(_text(item) for item in value)
    if isinstance(value, dict):
        return ", ".join(f"{name} {_text(item)}" for name, item in value.items())
    return "" if value is None else " ".join(str(value).split())


def _lines(row: Row, name_column: str) -> Iterator[str]:
    yield _text(row[name_column])
    for column, value in row.items():
        if column and column != name_column and (words := _text(value)):
            yield f"{column.replace('_', ' ')}: {words}"
