"""A CSV or JSON file of medicines: one document and one chunk a medicine."""

import asyncio
import csv
import io
import json
from collections.abc import AsyncIterator, Iterator, Mapping
from pathlib import Path
from typing import Any

from services.ingest.connectors.sighting import Fingerprint, Sighting
from services.ingest.documents.blocks import Paragraph, Text
from shared.contracts.envelope import digest
from shared.contracts.failures import PermanentError
from shared.knowledge.config import FormularySource

Row = dict[str, Any]


class FormularyConnector:
    """Medicines are named by their code, or by their name where the file has none."""

    def __init__(self, source: FormularySource) -> None:
        self._source = source

    async def look(self, known: Mapping[str, Fingerprint]) -> AsyncIterator[Sighting]:
        rows = await asyncio.to_thread(self._rows)
        seen: set[str] = set()
        for number, row in enumerate(rows, 1):
            name = _words(row.get(self._source.name_column))
            if not name:
                problem = f"row {number} has no '{self._source.name_column}'"
                yield Sighting(f"row-{number}", Fingerprint(), problem=problem)
                continue
            id = _words(row.get(self._source.id_column)) if self._source.id_column else ""
            document = id or name.lower().replace(" ", "-")
            if document in seen:
                yield Sighting(f"{document}#{number}", Fingerprint(), problem=f"row {number} repeats '{document}'")
                continue
            seen.add(document)
            text = Text(name, (Paragraph("\n".join(_lines(row, self._source.name_column))),))
            print_ = Fingerprint(digest=digest(repr(text).encode()))
            before = known.get(document)
            yield Sighting(document, print_, text=None if before == print_ else text)

    def _rows(self) -> list[Row]:
        file: Path = self._source.file
        try:
            content = file.read_text(encoding="utf-8-sig")
        except (OSError, UnicodeDecodeError) as error:
            raise PermanentError(f"the formulary {file} cannot be read ({type(error).__name__})") from None
        try:
            rows = _json_rows(content) if file.suffix.lower() == ".json" else _csv_rows(content)
        except (ValueError, csv.Error):
            raise PermanentError(f"the formulary {file} is neither CSV with a header nor a JSON list") from None
        if rows and not any(self._source.name_column in row for row in rows):
            raise PermanentError(f"the formulary {file} has no column '{self._source.name_column}'")
        return rows


def _json_rows(content: str) -> list[Row]:
    found = json.loads(content)
    rows = found if isinstance(found, list) else next((item for item in found.values() if isinstance(item, list)), None)
    if rows is None or not all(isinstance(row, dict) for row in rows):
        raise ValueError("not a list of objects")
    return rows


def _csv_rows(content: str) -> list[Row]:
    dialect: type[csv.Dialect] | csv.Dialect = csv.excel
    first = content.partition("\n")[0]
    if first.count(";") > first.count(","):
        dialect = type("Semicolons", (csv.excel,), {"delimiter": ";"})
    elif first.count("\t") > first.count(","):
        dialect = csv.excel_tab
    return [dict(row) for row in csv.DictReader(io.StringIO(content), dialect=dialect) if any(row.values())]


def _words(value: object) -> str:
    if isinstance(value, list):
        return ", ".join(_words(item) for item in value)
    if isinstance(value, dict):
        return ", ".join(f"{name} {_words(item)}" for name, item in value.items())
    return "" if value is None else " ".join(str(value).split())


def _lines(row: Row, name_column: str) -> Iterator[str]:
    yield _words(row[name_column])
    for column, value in row.items():
        if column and column != name_column and (words := _words(value)):
            yield f"{column.replace('_', ' ')}: {words}"
