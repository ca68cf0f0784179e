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
CLOCKS_APART = timedelta(days=1)  # before the first run has told us the EHR's time
SHORTEST = 2 * OVERLAP  # part of the time: each one moves the mark on by more than the overlap
KNOWN = 20_000  # Tasks within the overlap that are remembered; who is told of one twice does nothing the second time


class Watermark(Model):
    """The time up to which ended Tasks are known."""

    seen: datetime | None = None  # the newest `meta.lastUpdated` so far, or the end of the last whole part of the time
    known: tuple[str, ...] = ()  # `task/version` of those within the overlap: told before
    run: datetime | None = None  # when the last complete run was
    failed: int = 0  # runs since then, or since it moved on, that failed
    behind: bool = False  # there is more than was told so far


class Ended(NamedTuple):
    """A Task that has ended: `task/version`, and when."""

    key: str
    time: datetime


def begin(mark: Watermark, oldest: datetime) -> datetime:
    """Return the start of the search. `oldest` is when the oldest open review was requested."""
    return mark.seen - OVERLAP if mark.seen is not None else oldest - CLOCKS_APART


def halved(start: datetime, end: datetime | None, now: datetime) -> datetime | None:
    """The middle of the time from `start` to `end`, or to now; None where no shorter part is asked for."""
    middle = start + ((end or now + CLOCKS_APART) - start) / 2
    return middle if middle - start >= SHORTEST else None


def query(start: datetime, end: datetime | None) -> list[tuple[str, str]]:
    """Return the query for Tasks that ended between `start` and `end`."""
    until = [("_lastUpdated", f"lt{format_timestamp(end)}")] if end is not None else []
    return [
        ("code", "http://hl7.org/fhir/CodeSystem/task-code|approve"),
        ("status", ",".join(task_decision.ENDED)),
        ("_lastUpdated", f"ge{format_timestamp(start)}"),
        *until,
    ]


def unknown(mark: Watermark, found: Sequence[Resource]) -> list[Resource]:
    """Return the review Tasks that have ended and were not published before."""
    return [
        task for task in found if task_decision.parse_review_task(task) is not None and _key(task) not in mark.known
    ]


def ended(found: Sequence[Resource]) -> list[Ended]:
    """Return the Tasks that have a time of their last change."""
    return [Ended(_key(task), time) for task in found if (time := task_decision.last_updated(task)) is not None]


def after(mark: Watermark, found: Sequence[Ended], now: datetime, end: datetime | None = None) -> Watermark:
    """How far it is known once everything up to `end` was told; None: everything that there is."""
    newest = [item.time for item in found] + ([mark.seen] if mark.seen else [])
    seen = end or max(newest, default=None)
    near = sorted((item for item in found if seen is not None and item.time >= seen - OVERLAP), key=lambda i: i.time)
    known = tuple(sorted({item.key for item in near[-KNOWN:]}))
    return Watermark(seen=seen, known=known, run=now if end is None else mark.run, behind=end is not None)


def version_of(task: Resource) -> str | None:
    version = child(task, "meta").get("versionId")
    return str(version)[:64] if version else None


def _key(task: Resource) -> str:
    return f"{task['id']}/{version_of(task)}"
