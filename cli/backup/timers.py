"""Set the timers of open reviews again, because the restored streams were not read at the same moment.

An open review has one timer, whose time is in its events. Setting it again replaces it; an overdue one fires at once;
an escalation that was sent is not sent again. So all of them are set.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime

from services.approval.escalation.rules import next_deadline
from services.approval.projections.open_reviews import EVENTS, OpenReviewRow, follow
from shared.contracts.envelope import decode
from shared.contracts.errors import PermanentError
from shared.contracts.refresh_state import fold_refresh
from shared.contracts.subjects import CaseRef, retry_timer_subjects
from shared.knowledge.live import LiveBucket
from shared.messaging.connection import NatsConnection
from shared.messaging.event_store import EventStore, RawMessage
from shared.messaging.refreshes import RefreshLog
from shared.messaging.timers import REFRESHES, Timers


@dataclass(frozen=True, slots=True)
class ReviewTimer:
    """A timer of an open review."""

    case: CaseRef
    clock: str
    level: int
    due: datetime


class OpenReviews:
    """The open reviews, according to the events that were `add`ed."""

    def __init__(self) -> None:
        self._waiting: dict[str, OpenReviewRow] = {}

    def add(self, page: Iterable[RawMessage]) -> None:
        for item in page:
            if item.subject.rpartition(".")[2] not in EVENTS:
                continue
            try:
                event = decode(item.subject, item.headers, item.data, item.sequence)
            except PermanentError:
                continue  # the audit reports it; it opens no review
            after = follow(self._waiting.pop(event.case.id, None), event)
            if after is not None:
                self._waiting[event.case.id] = after

    def timers(self) -> list[ReviewTimer]:
        found = []
        for waiting in self._waiting.values():
            case, clock = waiting.case, waiting.clock
            due = next_deadline(case, clock, case.level) if clock is not None else None
            if clock is not None and due is not None:
                found.append(ReviewTimer(waiting.ref, clock, case.level + 1, due))
        return found


async def restore_timers(bus: NatsConnection) -> int:
    """Set the timer of every open review, and of a refresh that has another attempt; returns how many."""
    reviews, timers = OpenReviews(), Timers(bus)
    async for page in EventStore(bus, "restore").pages("discharge.>"):
        reviews.add(page)
    clocks = reviews.timers()
    for item in clocks:
        await timers.schedule(item.case, item.clock, item.level, item.due)
    return len(clocks) + await _restore_refresh_timer(bus, Timers(bus, REFRESHES))


async def _restore_refresh_timer(bus: NatsConnection, timers: Timers) -> int:
    queue, _ = await LiveBucket(bus).queue()
    if queue.active is None:
        return 0
    id, source = queue.active.refresh, queue.active.source
    refresh = fold_refresh(await RefreshLog(bus, "restore", lambda: datetime.now(UTC)).history(id))
    failure = refresh.failure
    if refresh.outcome is not None or failure is None or failure.again_at is None or failure.attempt < refresh.attempt:
        return 0
    facts = {"countersign-refresh": id, "countersign-source": source}
    await timers.set(*retry_timer_subjects(id), failure.again_at, facts)
    return 1
