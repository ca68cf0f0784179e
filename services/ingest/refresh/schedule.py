"""Compute the next run of a schedule. Pure: the time is an argument."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from shared.knowledge.knowledge_file import Schedule


def next_run(schedule: Schedule, now: datetime) -> datetime:
    """Return the next time at which the local clock shows the schedule's time, once a day.

    A time that the change to summer time skips runs when the skipped hour is over; one that occurs twice in autumn runs
    the first time.
    """
    zone = ZoneInfo(schedule.time_zone)
    day = now.astimezone(zone).date()
    while True:
        wanted = datetime.combine(day, schedule.at, zone).astimezone(UTC)
        if wanted > now:
            return wanted
        day += timedelta(days=1)
