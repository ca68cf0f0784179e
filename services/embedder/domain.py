"""Check that a version of the knowledge base is complete, and compute peak hours. Pure."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from shared.contracts.knowledge import STILL_VALID, DocumentEntry, point_id
from shared.knowledge.knowledge_file import DAYS, PeakHours
from shared.knowledge.vector_store import PointValidity


@dataclass(frozen=True, slots=True)
class Repair:
    """Changes that make the vector store show what the document index says."""

    missing: frozenset[str]  # point ids that are not there
    orphans: tuple[str, ...]  # points that nothing asks for
    to_expire: tuple[str, ...]  # points that must have left with the version
    to_restore: tuple[str, ...]  # points that left by mistake


class ExpectedPoints:
    """Points that a version adds and expires, by the document index; filled entry by entry."""

    def __init__(self, version: int, collection: str) -> None:
        self._version = version
        self._collection = collection
        self._new: set[str] = set()
        self._kept: set[str] = set()  # of the documents that changed: the chunks that stayed
        self._left: set[str] = set()

    def add(self, entry: DocumentEntry) -> None:
        if entry.target != self._version or entry.collection != self._collection:
            return
        for chunk, since in entry.chunks:
            (self._new if since == self._version else self._kept).add(point_id(chunk, since))
        self._left |= {point_id(chunk, since) for chunk, since in entry.retired}

    def compare(self, found: Iterable[PointValidity]) -> Repair:
        """Compare the points that changed with the version with the expected ones; return the repair."""
        came = {point.id: point for point in found if point.since == self._version}
        left = {point.id for point in found if point.until == self._version and point.since < self._version}
        wrongly_left = {point.id for point in came.values() if point.until != STILL_VALID}
        return Repair(
            missing=frozenset(self._new - came.keys()),
            orphans=tuple(sorted(came.keys() - self._new)),
            to_expire=tuple(sorted(self._left - left)),
            to_restore=tuple(sorted((left & self._kept) | (wrongly_left & self._new))),
        )


def peak_until(windows: Iterable[PeakHours], now: datetime) -> datetime | None:
    """Return the end of the peak hours that contain `now`, of any department; None outside of them."""
    end: datetime | None = None
    spans = sorted(_peak_windows(windows, now))
    for start, stop in spans:
        if start <= (end or now) < stop:
            end = stop
    return end


def next_peak(windows: Iterable[PeakHours], now: datetime) -> datetime | None:
    """Return the start of the next peak hours; None where there are none."""
    return min((start for start, _ in _peak_windows(windows, now) if start > now), default=None)


def _peak_windows(windows: Iterable[PeakHours], now: datetime) -> list[tuple[datetime, datetime]]:
    """Return every window from yesterday to a week from now, in UTC."""
    spans = []
    for window in windows:
        zone = ZoneInfo(window.time_zone)
        today = now.astimezone(zone).date()
        for offset in range(-1, 9):
            day = today + timedelta(days=offset)
            if DAYS[day.weekday()] in window.days:
                start, end = (
                    datetime.combine(day, clock, zone).astimezone(UTC) for clock in (window.start, window.end)
                )
                spans.append((start, end))
    return spans
