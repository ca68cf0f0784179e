"""Timestamps as text, and back. Pure."""

from datetime import UTC, datetime


def format_timestamp(time: datetime, timespec: str = "milliseconds") -> str:
    """Format a time as RFC 3339 (a FHIR `instant`) with its own offset; UTC is written as `Z`."""
    return time.isoformat(timespec=timespec).replace("+00:00", "Z")


def format_utc(time: datetime, timespec: str = "milliseconds") -> str:
    """Format a time in UTC, as NATS takes it: `2026-11-23T09:00:00.000Z`."""
    return format_timestamp(time.astimezone(UTC), timespec)


def parse_timestamp(value: object) -> datetime | None:
    """Parse a time that has an offset; None for anything else, as it could be any of 24 moments."""
    try:
        found = datetime.fromisoformat(str(value))
    except ValueError:
        return None
    return found if found.tzinfo is not None else None
