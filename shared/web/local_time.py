"""Times as people read them: in their hospital's time zone, with its abbreviation. Pure."""

from collections.abc import Callable
from datetime import UTC, datetime, tzinfo

ZoneOf = Callable[[str], tzinfo | None]  # of a department; None where none is set


def local(time: datetime, zone: tzinfo | None, form: str = "%d %b %Y, %H:%M %Z") -> str:
    """Format a time: `28 Nov 2026, 04:22 CET`; UTC if no zone is set, `UTC-03` if the zone has no abbreviation."""
    there = time.astimezone(zone or UTC)
    name = there.tzname() or ""
    return there.strftime(form.replace("%Z", f"UTC{name}" if name.startswith(("+", "-")) else name))
