"""Read HL7v2 timestamps (DTM, TS). Pure."""

import re
from datetime import UTC, datetime, timedelta, timezone, tzinfo

# YYYYMMDD[HHMM[SS[.S[S[S[S[S[S]]]]]]]][+/-ZZZZ]; HL7 allows four digits of a fraction, senders write one to six.
TIMESTAMP = re.compile(r"(\d{8})(?:(\d{4})(?:(\d\d)(?:\.(\d{1,6}))?)?)?([+-]\d{4})?")


def instant(value: str, zone: tzinfo) -> datetime | None:
    """Return the moment of a timestamp in UTC; None for a date without a time, and for anything else.

    `zone` is that of timestamps without an offset.
    """
    match = TIMESTAMP.fullmatch(value)
    if match is None or match[2] is None:
        return None
    day, minutes, seconds, fraction, _ = match.groups()
    try:
        local = datetime.strptime(f"{day}{minutes}{seconds or '00'}", "%Y%m%d%H%M%S")  # noqa: DTZ007 - added below
        local = local.replace(microsecond=int((fraction or "0").ljust(6, "0")))
        return local.replace(tzinfo=offset_in(value) or zone).astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def is_date(value: str) -> bool:
    """Return whether the timestamp is a day without a time."""
    match = TIMESTAMP.fullmatch(value)
    return match is not None and match[2] is None


def offset_in(value: str) -> timezone | None:
    """Return the offset that a timestamp states; None without one."""
    match = TIMESTAMP.fullmatch(value)
    if match is None or match[5] is None:
        return None
    sign, hours, minutes = match[5][0], int(match[5][1:3]), int(match[5][3:5])
    if hours > 14 or minutes > 59:  # UTC+14 is the largest offset in use
        return None
    offset = timedelta(hours=hours, minutes=minutes)
    return timezone(-offset if sign == "-" else offset)
