"""Rules of a department's open reviews: their age, the groups by attending, selection and order. Pure."""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Literal

from services.approval.escalation.rules import TAKES_OVER
from services.approval.projections.open_reviews import OpenReviewRow

Age = Literal["day", "days", "older", "taken-over"]
Order = Literal["oldest", "deadline", "attending"]

AGES: dict[Age, str] = {
    "day": "Under 24 h",
    "days": "24 to 72 h",
    "older": "Over 72 h",
    "taken-over": "Taken over",
}
ORDERS: dict[Order, str] = {"oldest": "Oldest first", "deadline": "Next deadline first", "attending": "By attending"}
DAY, DAYS = timedelta(hours=24), timedelta(hours=72)
NOBODY = "-"  # selects reviews without an attending
MAX_SELECTED = 100  # reviews of one request: their ids have to fit into a URL


def age_of(row: OpenReviewRow, now: datetime) -> Age:
    """Return how old the review is; `taken-over` where the supervisor took over and has not given it away since."""
    if row.level >= TAKES_OVER:
        return "taken-over"
    waiting = now - row.requested_at
    return "day" if waiting < DAY else "days" if waiting <= DAYS else "older"


@dataclass(frozen=True, slots=True)
class ReviewSelection:
    """Selection and order of a department's open reviews. None: not restricted."""

    attending: str | None = None  # a FHIR reference, or NOBODY
    age: Age | None = None
    order: Order = "oldest"

    def of(self, rows: Iterable[OpenReviewRow], now: datetime) -> list[OpenReviewRow]:
        """Return the wanted rows, sorted."""
        return sorted((row for row in rows if self._takes(row, now)), key=_KEYS[self.order])

    def _takes(self, row: OpenReviewRow, now: datetime) -> bool:
        if self.attending is not None and (row.attending or NOBODY) != self.attending:
            return False
        return self.age is None or age_of(row, now) == self.age


def _by_age(row: OpenReviewRow) -> tuple[datetime, str]:
    return row.requested_at, row.ref.id


_KEYS: dict[Order, Callable[[OpenReviewRow], tuple[object, ...]]] = {
    "oldest": _by_age,
    "deadline": lambda row: (row.due is None, row.due or 0.0, *_by_age(row)),
    "attending": lambda row: (row.attending or "~", *_by_age(row)),
}


@dataclass(slots=True)
class AttendingGroup:
    """The open reviews of one attending physician, who keeps them here when the supervisor takes over."""

    attending: str | None
    oldest: OpenReviewRow
    counts: Counter[Age] = field(default_factory=Counter)
    due: float | None = None  # next deadline of all of them, seconds since the epoch

    @property
    def total(self) -> int:
        return self.counts.total()


def groups(rows: Iterable[OpenReviewRow], now: datetime) -> list[AttendingGroup]:
    """Return the groups by attending, the one with the oldest review first."""
    found: dict[str | None, AttendingGroup] = {}
    for row in rows:
        group = found.setdefault(row.attending, AttendingGroup(row.attending, row))
        group.counts[age_of(row, now)] += 1
        group.oldest = min(group.oldest, row, key=_by_age)
        if row.due is not None:
            group.due = min(row.due, group.due) if group.due is not None else row.due
    return sorted(found.values(), key=lambda group: _by_age(group.oldest))


def totals(found: Sequence[AttendingGroup]) -> Counter[Age]:
    """Return the counts of all groups together."""
    return sum((group.counts for group in found), Counter[Age]())
