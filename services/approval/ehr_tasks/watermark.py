"""The watermark of ended Tasks, in the EHR's own time. Pure.

There may be more new Tasks than one search should return: after a migration, or weeks without Countersign. The interval
is then halved until it holds few enough, and the watermark moves on interval by interval.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import NamedTuple

from services.approval.ehr_tasks import task_decision
from shared.clinical.elements import Resource, child
from shared.contracts.model import Model
from shared.contracts.timestamps import format_timestamp

# A server may show a change a little later than the time it gives it.
OVERLAP = timedelta(minutes=10)
MAX_CLOCK_DIFFERENCE = timedelta(days=1)  # before the first run has shown the EHR's time
MIN_INTERVAL = 2 * OVERLAP  # each interval moves the watermark by more than the overlap
MAX_REMEMBERED = 20_000  # Tasks within the overlap that are remembered; publishing one twice changes nothing


class Watermark(Model):
    """The time up to which ended Tasks are known."""

    seen: datetime | None = None  # the newest `meta.lastUpdated` so far, or the end of the last complete interval
    known: tuple[str, ...] = ()  # `task/version` of those within the overlap that were published
    run: datetime | None = None  # when the last complete run was
    failed: int = 0  # runs since then, or since it moved on, that failed
    behind: bool = False  # there are Tasks that are not published yet


class EndedTask(NamedTuple):
    """A Task that has ended: `task/version`, and when."""

    key: str
    time: datetime


def search_start(watermark: Watermark, oldest: datetime) -> datetime:
    """Return the start of the search. `oldest` is when the oldest open review was requested."""
    return watermark.seen - OVERLAP if watermark.seen is not None else oldest - MAX_CLOCK_DIFFERENCE


def middle_of(start: datetime, end: datetime | None, now: datetime) -> datetime | None:
    """Return the middle between `start` and `end`, or now; None if the half would be shorter than MIN_INTERVAL."""
    middle = start + ((end or now + MAX_CLOCK_DIFFERENCE) - start) / 2
    return middle if middle - start >= MIN_INTERVAL else None


def query(start: datetime, end: datetime | None) -> list[tuple[str, str]]:
    """Return the query for Tasks that ended between `start` and `end`."""
    until = [("_lastUpdated", f"lt{format_timestamp(end)}")] if end is not None else []
    return [
        ("code", "http://hl7.org/fhir/CodeSystem/task-code|approve"),
        ("status", ",".join(task_decision.ENDED)),
        ("_lastUpdated", f"ge{format_timestamp(start)}"),
        *until,
    ]


def unknown(watermark: Watermark, found: Sequence[Resource]) -> list[Resource]:
    """Return the review Tasks that have ended and were not published before."""
    return [
        task
        for task in found
        if task_decision.parse_review_task(task) is not None and _key(task) not in watermark.known
    ]


def ended(found: Sequence[Resource]) -> list[EndedTask]:
    """Return the Tasks that have a time of their last change."""
    return [EndedTask(_key(task), time) for task in found if (time := task_decision.last_updated(task)) is not None]


def advance(watermark: Watermark, found: Sequence[EndedTask], now: datetime, end: datetime | None = None) -> Watermark:
    """Return the watermark after every Task up to `end` was published; `end` None: every Task that there is."""
    newest = [item.time for item in found] + ([watermark.seen] if watermark.seen else [])
    seen = end or max(newest, default=None)
    near = sorted((item for item in found if seen is not None and item.time >= seen - OVERLAP), key=lambda i: i.time)
    known = tuple(sorted({item.key for item in near[-MAX_REMEMBERED:]}))
    return Watermark(seen=seen, known=known, run=now if end is None else watermark.run, behind=end is not None)


def version_of(task: Resource) -> str | None:
    version = child(task, "meta").get("versionId")
    return str(version)[:64] if version else None


def _key(task: Resource) -> str:
    return f"{task['id']}/{version_of(task)}"
