"""The inbox: open reviews, held in memory and followed from the cases' own events. Nothing is stored, nothing decides
by it; every start reads it from the trail again.
"""

import asyncio
import bisect
import logging
from datetime import datetime

from nats import errors
from nats.aio.msg import Msg
from nats.js.api import ConsumerConfig
from nats.js.errors import APIError

from shared.contracts.envelope import Recorded, decode
from shared.contracts.events import CaseEvent, Escalated, Reassigned, ReviewRequested
from shared.contracts.failures import PermanentError, TransientError
from shared.contracts.model import Model
from shared.messaging.connection import Bus
from shared.messaging.journal import STREAM

logger = logging.getLogger(__name__)

OPENS = "review-requested"
CHANGES = ("escalated", "reassigned")
ENDS = ("approved", "rejected", "withdrawn")
FOLLOWED = [f"discharge.*.*.{name}" for name in (OPENS, *CHANGES, *ENDS)]
PATIENCE = 120.0  # seconds to read the trail at a start


class OpenReview(Model):
    """One line of the inbox: ids and times, no patient data."""

    case_id: str
    department: str
    encounter: str
    owner: str | None = None
    requested_at: datetime
    deadlines: tuple[datetime, ...]
    level: int
    draft: str  # digest
    number: int
    kind: str


def opened(event: Recorded, review: ReviewRequested) -> OpenReview:
    """The line of a review that has been requested."""
    return OpenReview(
        case_id=event.case.id,
        department=event.case.department,
        encounter=review.stay.encounter,
        owner=review.owner,
        requested_at=event.time,
        deadlines=review.deadlines,
        level=0,
        draft=review.draft.digest,
        number=review.draft.number,
        kind=review.draft.kind,
    )


def changed(line: OpenReview, body: CaseEvent) -> OpenReview:
    """The line after an escalation or a reassignment."""
    if isinstance(body, Escalated):
        return line.model_copy(update={"level": body.level, "owner": body.owner or line.owner})
    if isinstance(body, Reassigned):
        return line.model_copy(update={"owner": body.owner})
    return line


class Reviews:
    """All open reviews, oldest first."""

    def __init__(self) -> None:
        self._lines: dict[str, OpenReview] = {}
        self._order: list[tuple[datetime, str]] = []
        self._read = 0
        self._wanted: int | None = None
        self._loaded = asyncio.Event()

    async def start(self, bus: Bus) -> None:
        """Follow the trail; returns when every open review is known.

        Raises TransientError when the trail cannot be read.
        """
        try:
            subscription = await bus.jetstream.subscribe(
                "",
                stream=STREAM,
                config=ConsumerConfig(filter_subjects=FOLLOWED),
                ordered_consumer=True,
                cb=self._on_message,
            )
            info = await subscription.consumer_info()
            self._wanted = (info.delivered.consumer_seq if info.delivered else 0) + (info.num_pending or 0)
            self._check_loaded()
            await asyncio.wait_for(self._loaded.wait(), PATIENCE)
        except (errors.Error, APIError, TimeoutError) as error:
            raise TransientError(f"the open reviews could not be read ({type(error).__name__})") from None

    async def _on_message(self, message: Msg) -> None:
        try:
            self._take(message)
        except PermanentError as error:
            logger.warning("an event in the trail is not taken into the inbox: %s", error.reason)
        self._read += 1
        self._check_loaded()

    def _check_loaded(self) -> None:
        if self._wanted is not None and self._read >= self._wanted:
            self._loaded.set()

    def _take(self, message: Msg) -> None:
        _, _, case_id, name = message.subject.split(".")
        if name in ENDS:
            self._drop(case_id)
            return
        event = decode(message.subject, message.headers or {}, message.data, message.metadata.sequence.stream)
        if isinstance(event.body, ReviewRequested):
            self._keep(opened(event, event.body))
        elif (line := self._lines.get(case_id)) is not None:
            self._keep(changed(line, event.body))

    def page(self, department: str | None, after: str | None, limit: int) -> tuple[list[OpenReview], str | None]:
        """`limit` lines from the one after cursor `after` on, oldest first, and the cursor of the next page."""
        start = bisect.bisect_right(self._order, _position(after)) if after else 0
        found: list[OpenReview] = []
        for index in range(start, len(self._order)):
            line = self._lines[self._order[index][1]]
            if department in (None, line.department):
                if len(found) == limit:
                    last = found[-1]
                    return found, f"{last.requested_at.isoformat()}_{last.case_id}"
                found.append(line)
        return found, None

    def counts(self) -> dict[str, int]:
        """Open reviews by department."""
        found: dict[str, int] = {}
        for line in self._lines.values():
            found[line.department] = found.get(line.department, 0) + 1
        return found

    def _keep(self, line: OpenReview) -> None:
        self._drop(line.case_id)
        self._lines[line.case_id] = line
        bisect.insort(self._order, (line.requested_at, line.case_id))

    def _drop(self, case_id: str) -> None:
        line = self._lines.pop(case_id, None)
        if line is not None:
            del self._order[bisect.bisect_left(self._order, (line.requested_at, case_id))]


def _position(cursor: str) -> tuple[datetime, str]:
    """Raises ValueError when the cursor is not one of ours."""
    time, _, case_id = cursor.partition("_")
    return datetime.fromisoformat(time), case_id
