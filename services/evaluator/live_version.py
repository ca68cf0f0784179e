"""Changes of the live version by people: roll back, promote a version that was held back, pin, unpin.

The pointer and the record of the move are stored by one compare-and-set: `LivePointer.move`. The move is then copied to
a key of its own, at the latest before the next one.
"""

from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Literal

from shared.contracts.knowledge import LiveMove, Pin
from shared.knowledge.live import LiveBucket, LivePointer, VersionRecord
from shared.knowledge.vector_store import VectorStore
from shared.messaging.connection import WrongSequenceError
from shared.runtime.problems import ProblemError

Action = Literal["rolled-back", "promoted", "pinned", "unpinned"]


class LiveVersion:
    """Change which version is live. `check_retained` raises ProblemError for a version that is no longer kept."""

    def __init__(
        self,
        live: LiveBucket,
        base: VectorStore,
        clock: Callable[[], datetime],
        check_retained: Callable[[int], Awaitable[None]],
    ) -> None:
        self._live = live
        self._base = base
        self._clock = clock
        self._check_retained = check_retained

    async def moves(self) -> list[LiveMove]:
        """Return what people did, newest first."""
        return list(reversed(await self._live.moves()))

    async def roll_back(self, version: int, by: str, reason: str, *, pin: bool = False) -> LivePointer:
        """Make an earlier version live again, and pin it with `pin`. Raises ProblemError."""
        record = await self._record(version)
        if record.decision != "promoted":
            raise ProblemError(409, "That version was never live", f"It was held back: {record.reason}.")
        live, _ = await self._live.live()
        if pin and live is not None and live.version == version:
            return await self.pin(version, by, reason)
        return await self._switch("rolled-back", record, by, reason, pin=pin)

    async def promote(self, version: int, by: str, reason: str) -> LivePointer:
        """Make a version live that was held back. Raises ProblemError."""
        record = await self._record(version)
        live, _ = await self._live.live()
        if record.decision == "promoted" and (live is None or live.version != version):
            raise ProblemError(409, "That version was not held back", "It was live before: roll back to it.")
        pointer = await self._switch("promoted", record, by, reason)
        await self._complete_move(pointer)
        return pointer

    async def pin(self, version: int, by: str, reason: str) -> LivePointer:
        """Keep `version`, which is live, live until it is unpinned. Raises ProblemError."""
        live, revision = await self._current()
        if live.version != version:
            raise ProblemError(409, "Only the live version can be pinned", f"Version {live.version} is live.")
        if live.pin is not None:
            if (live.pin.by, live.pin.reason) == (by, reason):
                return live
            raise _is_pinned(live.version, live.pin)
        pinned = live.model_copy(update={"pin": Pin(by=by, since=self._clock(), reason=reason)})
        return await self._store("pinned", live, revision, pinned, by, reason)

    async def unpin(self, by: str, reason: str) -> LivePointer:
        """Let refreshes go live again. Raises ProblemError."""
        live, revision = await self._current()
        if live.pin is None:
            return live
        return await self._store("unpinned", live, revision, live.model_copy(update={"pin": None}), by, reason)

    async def _record(self, version: int) -> VersionRecord:
        record = await self._live.version(version)
        if record is None:
            raise ProblemError(404, "There is no such version", f"Version {version} is not known.")
        return record

    async def _current(self) -> tuple[LivePointer, int]:
        live, revision = await self._live.live()
        if live is None:
            raise ProblemError(409, "No version is live")
        return live, revision

    async def _switch(
        self, action: Action, record: VersionRecord, by: str, reason: str, *, pin: bool = False
    ) -> LivePointer:
        await self._check_retained(record.version)
        live, revision = await self._live.live()
        if live is not None and live.version == record.version:
            return live
        if live is not None and live.pin is not None:
            raise _is_pinned(live.version, live.pin)
        now = self._clock()
        pointer = LivePointer(
            version=record.version,
            collection=record.collection,
            embedder=record.embedder,
            search=record.search,
            relevance=record.relevance,
            since=now,
            by=by,
            pin=Pin(by=by, since=now, reason=reason) if pin else None,
        )
        stored = await self._store(action, live, revision, pointer, by, reason)
        await self._base.point_alias(record.collection)
        return stored

    async def _store(
        self, action: Action, live: LivePointer | None, revision: int, pointer: LivePointer, by: str, reason: str
    ) -> LivePointer:
        """Store the pointer with the move."""
        last = live.move if live is not None else None
        if live is not None:
            await self._complete_move(live)
        move = LiveMove(
            number=last.number + 1 if last is not None else 1,
            action=action,
            version=pointer.version,
            previous=live.version if live is not None else None,
            pinned=pointer.pin is not None,
            by=by,
            reason=reason,
            time=self._clock(),
        )
        pointer = pointer.model_copy(update={"move": move})
        try:
            await self._live.compare_and_set(pointer, revision)
        except WrongSequenceError:
            raise ProblemError(
                409, "The live version has just changed", "Look at the status and decide again."
            ) from None
        await self._complete_move(pointer)
        return pointer

    async def _complete_move(self, live: LivePointer) -> None:
        """Store the move of the pointer and the decision that it implies, if a crash prevented that. Idempotent."""
        move = live.move
        if move is None:
            return
        await self._live.put_move(move)
        if move.action == "promoted" and (record := await self._live.version(move.version)) is not None:
            promoted = {"decision": "promoted", "promoted_by": move.by}
            if record.decision != "promoted":
                await self._live.put_version(record.model_copy(update=promoted))


def _is_pinned(version: int, pin: Pin) -> ProblemError:
    return ProblemError(
        409,
        f"Version {version} is pinned",
        f"{pin.by} pinned it at {pin.since:%Y-%m-%d %H:%M} UTC: {pin.reason}. Unpin it first.",
    )
