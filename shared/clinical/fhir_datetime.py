"""Parse FHIR dates and times with the precision that they were written in. Pure.

https://hl7.org/fhir/R4/datatypes.html#dateTime
"""

import calendar
import re
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from typing import Any

_PARTIAL = re.compile(r"(\d{4})(?:-(\d\d)(?:-(\d\d))?)?")

EARLIEST, LATEST = datetime(2, 1, 1, tzinfo=UTC), datetime(9998, 12, 31, tzinfo=UTC)  # where a time is missing


@dataclass(frozen=True, slots=True)
class FhirDateTime:
    """A time, day, month or year. `begins` and `ends` bound it; `text` is its printed form (`2026-06`)."""

    begins: datetime
    ends: datetime
    text: str

    @property
    def is_day(self) -> bool:
        return len(self.text) == len("2026-06-01")


def parse(value: Any, zone: tzinfo | None = None, fallback: tzinfo = UTC) -> FhirDateTime | None:
    """Parse a date, dateTime or instant; None for anything else.

    Times are converted to `zone`, or keep the record's offset without one. Dates, and times without an offset, are in
    `zone`, else in `fallback`.
    """
    if not isinstance(value, str):
        return None
    text = value.strip()
    if match := _PARTIAL.fullmatch(text):
        return _parse_partial(text, match, zone or fallback)
    try:
        parsed = datetime.fromisoformat(text)
    except ValueError:
        return None
    local = parsed if parsed.tzinfo else parsed.replace(tzinfo=zone or fallback)
    try:
        local = local.astimezone(zone) if zone is not None else local
        local.astimezone(UTC)
    except (OverflowError, ValueError):
        return None
    return FhirDateTime(local, local, f"{local:%Y-%m-%d}")


def _parse_partial(text: str, match: re.Match[str], zone: tzinfo) -> FhirDateTime | None:
    year, month, day = (int(part) if part else None for part in match.groups())
    try:
        first = date(year or 0, month or 1, day or 1)
        last = first
        if day is None:
            last_month = month or 12
            last = date(first.year, last_month, calendar.monthrange(first.year, last_month)[1])
    except ValueError:
        return None
    if not 1 < first.year < 9999:
        return None
    return FhirDateTime(datetime.combine(first, time.min, zone), datetime.combine(last, time.max, zone), text)


def day_bounds(moment: datetime, zone: tzinfo | None = None) -> tuple[datetime, datetime]:
    """Return the first and last moment of the local day of `moment`."""
    local = moment.astimezone(zone) if zone is not None else moment
    begins = datetime.combine(local.date(), time.min, local.tzinfo)
    return begins, begins + timedelta(days=1) - timedelta(microseconds=1)
