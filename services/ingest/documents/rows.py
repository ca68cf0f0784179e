"""Parse a formulary, CSV or JSON, into rows: one for each medicine. Pure."""

import csv
import io
import json
from typing import Any

from services.ingest.documents.blocks import UnreadableDocumentError

Row = dict[str, Any]

MAX_FORMULARY_BYTES = 20 * 2**20
MAX_MEDICINES = 100_000  # a country has some 50,000 products


def read_rows(name: str, data: bytes) -> list[Row]:
    """Return the rows.

    Raises UnreadableDocumentError.
    """
    try:
        content = data.decode("utf-8-sig")
        rows = json_rows(content) if name.lower().endswith(".json") else csv_rows(content)
    except UnicodeDecodeError:
        raise UnreadableDocumentError("it is not UTF-8") from None
    except (ValueError, csv.Error, RecursionError):
        raise UnreadableDocumentError("it is neither CSV with a header nor a JSON list") from None
    rows = [row for row in rows if row]
    if len(rows) > MAX_MEDICINES:
        raise UnreadableDocumentError(f"it has more than {MAX_MEDICINES:,} medicines")
    return rows


def json_rows(content: str) -> list[Row]:
    found = json.loads(content)
    rows = found if isinstance(found, list) else next((item for item in found.values() if isinstance(item, list)), None)
    if rows is None or not all(isinstance(row, dict) for row in rows):
        raise ValueError("not a list of objects")
    return rows


def csv_rows(content: str) -> list[Row]:
    dialect: type[csv.Dialect] | csv.Dialect = csv.excel
    first = content.partition("\n")[0]
    if first.count(";") > first.count(","):
        dialect = type("Semicolons", (csv.excel,), {"delimiter": ";"})
    elif first.count("\t") > first.count(","):
        dialect = csv.excel_tab
    return [dict(row) for row in csv.DictReader(io.StringIO(content), dialect=dialect) if any(row.values())]
