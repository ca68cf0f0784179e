"""When a source is looked at next. Pure: the time is an argument."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from shared.knowledge.knowledge_file import Schedule


def next_run(schedule: Schedule, now: datetime) -> datetime:
    """The next time the clock on the wall shows the schedule's time; once a day, also on the days the clock is changed.

    A time that the spring change skips runs when the skipped hour is over; one that autumn repeats runs the first time.
    """
    zone = ZoneInfo(schedule.time_zone)
    day = now.astimezone(zone).date()
    while True:
        wanted = datetime.combine(day, schedule.at, zone).astimezone(UTC)
        if wanted > now:
            return wanted
        day += timedelta(days=1)
