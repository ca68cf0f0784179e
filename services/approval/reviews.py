"""The inbox: open reviews as a projection in the `reviews` bucket, kept in memory by watching it.

It can be thrown away and rebuilt from the cases' histories; nothing decides by it.
"""

import asyncio
import bisect
import logging
from collections.abc import Sequence
from contextlib import suppress
from datetime import datetime

from nats import errors
from nats.js.kv import KeyValue
from pydantic import ValidationError

from shared.contracts.case import fold
from shared.contracts.envelope import Recorded
from shared.contracts.events import ReviewRequested
from shared.contracts.model import Model
from shared.contracts.subjects import CaseRef
from shared.messaging.connection import Bus

logger = logging.getLogger(__name__)

BUCKET = "reviews"
TOMBSTONE_SECONDS = 3600  # how long the mark of a closed review stays for those who watch
WATCH_AGAIN = 1.0


class OpenReview(Model):
    """One line of the inbox: ids and times, no patient data."""

    case_id: str
    department: str
    encounter: str
    owner: str | None
    requested_at: datetime
    deadlines: tuple[datetime, ...]
    level: int
    draft: str  # digest
    number: int
    kind: str


def of_request(case: CaseRef, review: ReviewRequested, now: datetime) -> OpenReview:
    """The line of a review that is being requested."""
    return OpenReview(
        case_id=case.id,
        department=case.department,
        encounter=review.stay.encounter,
        owner=review.owner,
        requested_at=now,
        deadlines=review.deadlines,
        level=0,
        draft=review.draft.digest,
        number=review.draft.number,
        kind=review.draft.kind,
    )


def of_history(history: Sequence[Recorded]) -> OpenReview | None:
    """The line of a case as it is now; None when nothing waits."""
    case = fold(history)
    if not case.open or case.review is None:
        return None
    asked = next(event for event in reversed(history) if event.name == "review-requested")
    line = of_request(asked.case, case.review, asked.time)
    return line.model_copy(update={"owner": case.owner, "level": case.level})


class Reviews:
    """Writes lines and holds all of them, oldest first."""

    def __init__(self) -> None:
        self._lines: dict[str, OpenReview] = {}
        self._order: list[tuple[datetime, str]] = []
        self._watcher: asyncio.Task[None] | None = None
        self._loaded = asyncio.Event()

    async def start(self, bus: Bus) -> None:
        """Begin to watch; returns when every open review is known."""
        self._bus = bus
        self._watcher = asyncio.create_task(self._watch(await bus.jetstream.key_value(BUCKET)))
        await self._loaded.wait()

    async def stop(self) -> None:
        if self._watcher is not None:
            self._watcher.cancel()
            with suppress(asyncio.CancelledError):
                await self._watcher

    async def put(self, line: OpenReview) -> None:
        subject = f"$KV.{BUCKET}.{line.case_id}"
        await self._bus.publish(subject, line.model_dump_json().encode(), stream=f"KV_{BUCKET}")

    async def remove(self, case_id: str) -> None:
        """Take the line off. What is left behind for watchers goes by itself."""
        headers = {"KV-Operation": "PURGE", "Nats-Rollup": "sub", "Nats-TTL": str(TOMBSTONE_SECONDS)}
        await self._bus.publish(f"$KV.{BUCKET}.{case_id}", b"", stream=f"KV_{BUCKET}", headers=headers)

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

    async def _watch(self, bucket: KeyValue) -> None:
        while True:
            try:
                watcher = await bucket.watchall()
                async for entry in watcher:
                    if entry is None:  # everything that was there has been seen
                        self._loaded.set()
                    elif entry.operation is not None or not entry.value:
                        self._drop(entry.key)
                    else:
                        self._keep(entry.key, entry.value)
            except errors.Error as error:
                logger.warning("watching the reviews again: %s", type(error).__name__)
            await asyncio.sleep(WATCH_AGAIN)

    def _keep(self, key: str, value: bytes) -> None:
        self._drop(key)
        try:
            line = OpenReview.model_validate_json(value)
        except ValidationError:
            logger.warning("a line of the reviews bucket breaks the contract: %s", key)
            return
        self._lines[key] = line
        bisect.insort(self._order, (line.requested_at, key))

    def _drop(self, key: str) -> None:
        line = self._lines.pop(key, None)
        if line is not None:
            self._order.remove((line.requested_at, key))


def _position(cursor: str) -> tuple[datetime, str]:
    """Raises ValueError when the cursor is not one of ours."""
    time, _, case_id = cursor.partition("_")
    return datetime.fromisoformat(time), case_id
