"""The projection of open reviews, in memory. It may lag behind: decisions are appended with an expected version."""

import asyncio
import bisect
import sys
import zlib
from collections import Counter
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from itertools import chain
from typing import Self

from pydantic import Field

from services.approval.projections.catch_up import CatchUpSubscription
from shared.contracts.case import Case, evolve
from shared.contracts.envelope import ChainHead, RecordedEvent, decode
from shared.contracts.events import ReviewRequested
from shared.contracts.model import Model
from shared.contracts.subjects import CaseRef
from shared.messaging.connection import NatsConnection
from shared.messaging.event_store import RawMessage

OPENS = "review-requested"
CHANGES = ("escalated", "reassigned")
ENDS = ("approved", "rejected", "withdrawn", "erasure-ordered", "reimported")
EVENTS = (OPENS, *CHANGES, *ENDS)
ESCALATION_TOLERANCE = 60.0  # seconds in which the escalation of a fired timer may still be appended
LINES = 500  # of lists, kept unpacked: some 2 KB each
QUEUE = 64  # changes that wait for one who watches


SortKey = tuple[int, datetime, str]


class OpenReview(Model):
    """One line of the inbox: ids and times, no patient data."""

    case_id: str
    department: str
    encounter: str
    owner: str | None = None
    attending: str | None = None
    attends: bool = Field(default=False, description="whether the owner is the attending")
    requested_at: datetime
    deadlines: tuple[datetime, ...]
    level: int
    draft: str  # digest
    number: int = Field(description="drafts of the stay so far, this one included")
    kind: str = Field(description="kind of document")
    title: str = Field(default="", description="title of the document")


@dataclass(frozen=True, slots=True)
class OpenReviewRow:
    """An open review, up to the last event that the projection has seen.

    There may be many: the fields that lists are sorted and searched by are plain, the rest is compressed.
    """

    ref: CaseRef
    requested_at: datetime
    level: int
    owner: str | None
    attending: str | None
    encounter: str
    head: ChainHead
    clock: str | None
    with_task: bool  # it waits in the EHR's own inbox too
    due: float | None  # when the next level is notified; seconds since the epoch, None after the last
    review: bytes  # ReviewRequested as JSON, deflated
    events: tuple[int, ...]  # sequences of the events that it is made of

    @classmethod
    def of(cls, ref: CaseRef, case: Case, requested_at: datetime, before: tuple[int, ...] = ()) -> Self:
        review = case.review
        if review is None:
            raise ValueError("a case without a review does not wait")
        return cls(
            CaseRef(sys.intern(ref.department), ref.id),
            requested_at,
            case.level,
            case.owner and sys.intern(case.owner),
            review.stay.attending and sys.intern(review.stay.attending),
            review.stay.encounter,
            case.head,
            case.escalation_run,
            review.task is not None,
            review.deadlines[case.level].timestamp() if case.level < len(review.deadlines) else None,
            zlib.compress(review.model_dump_json(exclude_none=True).encode(), 1),
            (*before, case.head.sequence),
        )

    @property
    def case(self) -> Case:
        review = ReviewRequested.read(zlib.decompress(self.review))
        return Case(
            state="awaiting-review",
            head=self.head,
            review=review,
            owner=self.owner,
            level=self.level,
            escalation_run=self.clock,
        )

    @property
    def sort_key(self) -> SortKey:
        """Return the key that sorts overdue reviews first, then the oldest."""
        return -self.level, self.requested_at, self.ref.id

    @property
    def line(self) -> OpenReview:
        """Return the line of the review in a list."""
        return _line(self)


@lru_cache(LINES)
def _line(waiting: OpenReviewRow) -> OpenReview:
    """Return the line of a review. Cached: without the cache it took a fifth of approval's processor time."""
    review = ReviewRequested.read(zlib.decompress(waiting.review))
    return OpenReview(
        case_id=waiting.ref.id,
        department=waiting.ref.department,
        encounter=waiting.encounter,
        owner=waiting.owner,
        attending=waiting.attending,
        attends=waiting.owner is not None and waiting.owner == waiting.attending,
        requested_at=waiting.requested_at,
        deadlines=review.deadlines,
        level=waiting.level,
        draft=review.draft.digest,
        number=review.draft.number,
        kind=review.draft.kind,
        title=review.draft.type.title,
    )


def follow(waiting: OpenReviewRow | None, event: RecordedEvent) -> OpenReviewRow | None:
    """Return the open review after one of the followed events; None where it is not open."""
    if event.name == OPENS:
        return OpenReviewRow.of(event.case, evolve(Case(), event), event.time)
    if event.name in ENDS or waiting is None:
        return None
    return OpenReviewRow.of(waiting.ref, evolve(waiting.case, event), waiting.requested_at, waiting.events)


class OpenReviewsProjection:
    """Projection of all open reviews: overdue ones first, then the oldest."""

    def __init__(self) -> None:
        self._waiting: dict[str, OpenReviewRow] = {}
        self._order: list[SortKey] = []
        self._counts: Counter[str] = Counter()
        self._watchers: set[asyncio.Queue[str]] = set()

    async def start(self, bus: NatsConnection) -> None:
        """Subscribe, and return once every open review is known.

        Raises TransientError where the stream cannot be read.
        """
        for known in (self._waiting, self._order, self._counts):
            known.clear()  # of a start that failed
        following = CatchUpSubscription("inbox", EVENTS, self._apply_message, self._live_sequences)
        await following.start(bus)
        await following.caught_up()

    def _live_sequences(self) -> Iterator[int]:
        return chain.from_iterable(waiting.events for waiting in self._waiting.values())

    def _apply_message(self, message: RawMessage) -> None:
        event = decode(message.subject, message.headers, message.data, message.sequence)
        before = self._waiting.pop(event.case.id, None)
        if before is not None:
            del self._order[bisect.bisect_left(self._order, before.sort_key)]
            self._counts[before.ref.department] -= 1
        after = follow(before, event)
        if after is not None:
            self._waiting[event.case.id] = after
            bisect.insort(self._order, after.sort_key)
            self._counts[after.ref.department] += 1
        self.notify(event.case.id)

    def notify(self, case_id: str) -> None:
        """Report a change of a case to those who watch."""
        for watcher in self._watchers:
            if not watcher.full():  # a slow reader reads the whole list again anyway
                watcher.put_nowait(case_id)

    @contextmanager
    def watching(self) -> Iterator["asyncio.Queue[str]"]:
        """Queue the ids of cases as they change, while the context is open."""
        queue: asyncio.Queue[str] = asyncio.Queue(QUEUE)
        self._watchers.add(queue)
        try:
            yield queue
        finally:
            self._watchers.discard(queue)

    def find(self, case_id: str) -> OpenReviewRow | None:
        """Return the case where its review is open. It may have been decided a moment ago: only an append can tell."""
        return self._waiting.get(case_id)

    def page(
        self,
        departments: Collection[str] | None,
        after: str | None,
        limit: int,
        wanted: Callable[[OpenReviewRow], bool] = lambda _: True,
    ) -> tuple[list[OpenReview], str | None]:
        """Return `limit` rows after the cursor `after`, and the cursor of the next page.

        `departments` None: all. Raises ValueError when the cursor is invalid.
        """
        start = bisect.bisect_right(self._order, _position(after)) if after else 0
        found: list[OpenReview] = []
        for index in range(start, len(self._order)):
            waiting = self._waiting[self._order[index][2]]
            if (departments is None or waiting.ref.department in departments) and wanted(waiting):
                if len(found) == limit:
                    last = found[-1]
                    return found, f"{last.level}_{last.requested_at.isoformat()}_{last.case_id}"
                found.append(waiting.line)
        return found, None

    def of_department(self, departments: Collection[str] | None) -> list[OpenReviewRow]:
        """Return every open review of the departments, overdue first, then the oldest. None: all departments."""
        rows = (self._waiting[key[2]] for key in self._order)
        return [row for row in rows if departments is None or row.ref.department in departments]

    def oldest_with_task(self) -> datetime | None:
        """Return when the oldest review with a Task in the EHR was requested; None if there is none."""
        return min((item.requested_at for item in self._waiting.values() if item.with_task), default=None)

    def oldest(self) -> dict[tuple[str, int], datetime]:
        """Return when the oldest open review of each department and level was requested."""
        found: dict[tuple[str, int], datetime] = {}
        for item in self._waiting.values():
            place = item.ref.department, item.level
            found[place] = min(item.requested_at, found.get(place, item.requested_at))
        return found

    def overdue_escalations(self, now: datetime) -> int:
        """Count reviews whose next escalation is overdue by ESCALATION_TOLERANCE: if any, timers do not fire."""
        late = now.timestamp() - ESCALATION_TOLERANCE
        return sum(item.due is not None and item.due < late for item in self._waiting.values())

    def counts(self) -> dict[str, int]:
        """Open reviews by department."""
        return {name: count for name, count in self._counts.items() if count}


def _position(cursor: str) -> SortKey:
    """Parse a cursor. Raises ValueError when it is not one of ours."""
    level, time, case_id = cursor.split("_", 2)
    return -int(level), datetime.fromisoformat(time), case_id
