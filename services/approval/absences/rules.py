"""Rules of absences: which one counts at a time, who covers, what may be added. Pure."""

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Literal

from pydantic import AwareDatetime

from services.approval.absences.errors import AbsenceRefusedError
from shared.contracts.model import Model
from shared.contracts.subjects import derived_id

LONGEST = timedelta(days=366)
KEPT = timedelta(days=90)  # how long one that has ended stays in the list
MAX_OPEN = 500  # of a department; all are read for each new review

State = Literal["upcoming", "current", "ended", "removed"]


class Absence(Model):
    """An attending physician is away, and somebody else gets the reviews that would be theirs."""

    id: str
    department: str
    absent: str  # FHIR references
    cover: str
    starts_at: AwareDatetime
    ends_at: AwareDatetime  # no longer counts at this time
    created_at: AwareDatetime
    created_by: str  # subject of the caller
    created_by_name: str | None = None
    removed_at: AwareDatetime | None = None
    removed_by: str | None = None

    def state(self, now: datetime) -> State:
        if self.removed_at is not None:
            return "removed"
        if now < self.starts_at:
            return "upcoming"
        return "current" if now < self.ends_at else "ended"


class DepartmentAbsences(Model):
    """Every absence of one department, as it is stored."""

    items: tuple[Absence, ...] = ()


def absence_id(department: str, absent: str, cover: str, starts_at: datetime, ends_at: datetime) -> str:
    """Return the id, derived from the content: the same absence sent twice is stored once."""
    period = f"{starts_at.timestamp()}/{ends_at.timestamp()}"
    return derived_id(f"{department}/{absent}/{cover}/{period}", "absence")


def current_of(items: Iterable[Absence], absent: str, now: datetime) -> Absence | None:
    """Return the absence of a person that counts at `now`."""
    return next((item for item in items if item.absent == absent and item.state(now) == "current"), None)


def owner_of(items: Sequence[Absence], attending: str | None, now: datetime) -> str | None:
    """Return who gets a new review of this attending: while they are away their cover, or the cover's cover.

    If everybody in that chain is away, the attending.
    """
    owner, seen = attending, set[str]()
    while owner is not None and (absence := current_of(items, owner, now)) is not None:
        if owner in seen:
            return attending
        seen.add(owner)
        owner = absence.cover
    return owner


def added(items: tuple[Absence, ...], new: Absence, now: datetime) -> tuple[Absence, ...]:
    """Return the absences with the new one; unchanged where the same was added before. Raises AbsenceRefusedError."""
    if new.absent == new.cover:
        raise AbsenceRefusedError("same-person", "Nobody covers for themselves.")
    if new.ends_at <= new.starts_at:
        raise AbsenceRefusedError("period", "The end is not after the start.")
    if new.ends_at - new.starts_at > LONGEST:
        raise AbsenceRefusedError("period", f"An absence lasts at most {LONGEST.days} days.")
    if any(item.id == new.id and item.removed_at is None for item in items):
        return items
    if new.ends_at <= now:
        raise AbsenceRefusedError("period", "The end has passed already.")
    counting = [item for item in items if item.state(now) in ("current", "upcoming")]
    if len(counting) >= MAX_OPEN:
        raise AbsenceRefusedError("too-many", f"The department has {MAX_OPEN} absences already.")
    for item in counting:
        if item.absent == new.absent and item.starts_at < new.ends_at and new.starts_at < item.ends_at:
            raise AbsenceRefusedError(
                "overlaps",
                f"An absence of {item.absent} from {item.starts_at.isoformat()} to {item.ends_at.isoformat()} is set "
                f"already, covered by {item.cover}: remove it first.",
            )
    kept = tuple(item for item in items if item.id != new.id and now - item.ends_at < KEPT)
    return (*kept, new)


def removed(items: tuple[Absence, ...], id: str, by: str, now: datetime) -> tuple[Absence, ...]:
    """Return the absences with this one ended now. One that has ended stays as it was."""
    return tuple(
        item.model_copy(update={"removed_at": now, "removed_by": by})
        if item.id == id and item.state(now) in ("current", "upcoming")
        else item
        for item in items
    )
