"""Points in time on the command line."""

import re
from datetime import UTC, datetime, timedelta

from cli.errors import CommandError

UNITS = {"m": "minutes", "h": "hours", "d": "days"}


def parse_time(text: str | None, option: str, now: datetime) -> datetime | None:
    """Return the time that `text` names: RFC 3339, in UTC unless it has an offset, or a duration before `now` (`2h`).

    Raises CommandError.
    """
    if text is None:
        return None
    try:
        if match := re.fullmatch(r"([0-9]{1,6})([mhd])", text):
            return now - timedelta(**{UNITS[match[2]]: int(match[1])})
        found = datetime.fromisoformat(text)
        return found if found.tzinfo is not None else found.replace(tzinfo=UTC)
    except (ValueError, OverflowError):
        raise CommandError(f"{option}: give a time such as 2026-11-28T03:00:00Z, or 90m, 2h, 7d before now.") from None
