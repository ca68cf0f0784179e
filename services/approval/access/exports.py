"""Exports of the access log, written a window at a time: CSV (RFC 4180), FHIR Bundle."""

import csv
import io
import json
from collections.abc import AsyncIterator, Sequence
from datetime import datetime
from typing import Literal

from services.approval.access.audit_events import bundle_entry
from services.approval.access.filter import StoredEntry

Format = Literal["json", "csv", "fhir"]
MEDIA_TYPES: dict[Format, str] = {
    "json": "application/json",
    "csv": "text/csv; charset=utf-8",
    "fhir": "application/fhir+json",
}
FILE_NAMES: dict[Format, str] = {"json": "access.json", "csv": "access.csv", "fhir": "access.fhir.json"}
COLUMNS = ("time", "event", "subject", "role", "method", "practitioner", "case_id", "detail", "sequence")


def choose_format(format: Format | None, accept: str | None) -> Format:
    """Return the format that was asked for: by the parameter, else by the Accept header, else JSON."""
    if format is not None:
        return format
    accepted = [part.partition(";")[0].strip().lower() for part in (accept or "").split(",")]
    if "text/csv" in accepted:
        return "csv"
    return "fhir" if "application/fhir+json" in accepted else "json"


async def csv_lines(windows: AsyncIterator[list[StoredEntry]]) -> AsyncIterator[str]:
    yield _rows([COLUMNS])
    async for entries in windows:
        yield _rows([[_cell(entry, name) for name in COLUMNS] for entry in entries])


async def fhir_bundle(windows: AsyncIterator[list[StoredEntry]], organization: str, at: datetime) -> AsyncIterator[str]:
    """Yield a Bundle of AuditEvents. FHIR has no empty arrays: without entries there is no `entry`."""
    head = {"resourceType": "Bundle", "type": "collection", "timestamp": at.isoformat(timespec="milliseconds")}
    yield json.dumps(head)[:-1]
    before = ', "entry": ['
    async for entries in windows:
        yield before + ",\n".join(json.dumps(bundle_entry(entry, organization)) for entry in entries)
        before = ",\n"
    yield "]}" if before == ",\n" else "}"


def _rows(rows: Sequence[Sequence[str]]) -> str:
    text = io.StringIO()
    csv.writer(text).writerows(rows)
    return text.getvalue()


def _cell(entry: StoredEntry, name: str) -> str:
    """Return a cell; one that a spreadsheet would take for a formula begins with an apostrophe."""
    value = getattr(entry, name)
    text = value.isoformat() if isinstance(value, datetime) else "" if value is None else str(value)
    return f"'{text}" if text.startswith(("=", "+", "-", "@", "\t", "\r")) else text
