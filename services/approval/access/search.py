"""Search the ACCESS stream, the latest entry first, with one window of it in memory."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from nats import errors
from nats.js.errors import APIError

from services.approval.access.filter import AccessFilter, StoredEntry, stored_entry
from shared.contracts.errors import TransientError
from shared.messaging.access_log import STREAM
from shared.messaging.connection import NatsConnection
from shared.messaging.stream_pages import PAGE, read_stream_pages

WINDOW = 2048  # sequences that are read at a time, at most
GROWTH = 4  # factor by which windows grow; the first has the page's length, and usually fills it
MAX_READ = 4096  # sequences for one page, some 0.2 s
CLOCK_SKEW = timedelta(minutes=10)  # between the clocks of services, and of NATS


@dataclass(frozen=True, slots=True)
class AccessPage:
    """A page of entries. `before`: where the next one begins; None: this is the end.

    `searched_to` is the time of the oldest entry that was read; a page that is not full and not the last ends there.
    """

    items: list[StoredEntry]
    before: int | None
    searched_to: datetime | None


class AccessSearch:
    """Reads by the direct-get API: `bus` needs no consumer."""

    def __init__(self, bus: NatsConnection) -> None:
        self._bus = bus

    async def page(self, wanted: AccessFilter, before: int | None, limit: int) -> AccessPage:
        """Return up to `limit` entries before the sequence `before`, latest first. Raises TransientError."""
        found: list[StoredEntry] = []
        searched_to: datetime | None = None
        async for start, entries, oldest, count in self._windows(wanted, before, limit):
            found += entries
            searched_to = oldest or searched_to
            if len(found) >= limit:
                more = len(found) > limit or start > 1
                return AccessPage(found[:limit], found[limit - 1].sequence if more else None, searched_to)
            if count >= MAX_READ and start > 1:
                return AccessPage(found, start, searched_to)
        return AccessPage(found, None, searched_to)

    async def all(self, wanted: AccessFilter) -> AsyncIterator[list[StoredEntry]]:
        """Yield every entry, latest first, a window at a time. Raises TransientError."""
        async for _, entries, _, _ in self._windows(wanted, None, WINDOW):
            if entries:
                yield entries

    async def _windows(
        self, wanted: AccessFilter, before: int | None, size: int
    ) -> AsyncIterator[tuple[int, list[StoredEntry], datetime | None, int]]:
        """Yield windows, of which the first has `size` sequences.

        Of each its first sequence, its matches, the time of the oldest entry that was read, and how many sequences
        were read so far.
        """
        if wanted.cases is not None and not wanted.cases:
            return
        first, end = await self._bounds(wanted)
        end = min(end, before or end)
        count, size = 0, size if wanted.case is None else end  # the entries of one case are few, and found by an index
        while end > first:
            start = max(first, end - size)
            entries, oldest = await self._window(wanted, start, end)
            count += end - start
            yield (start if start > first else 1), entries[::-1], oldest, count
            if wanted.since is not None and oldest is not None and oldest < wanted.since - CLOCK_SKEW:
                return
            end, size = start, min(size * GROWTH, WINDOW)

    async def _window(self, wanted: AccessFilter, start: int, end: int) -> tuple[list[StoredEntry], datetime | None]:
        """Return the matches from `start` to before `end`, oldest first."""
        found: list[StoredEntry] = []
        oldest: datetime | None = None
        async for page in read_stream_pages(
            self._bus, STREAM, wanted.subjects, start=start, size=min(end - start, PAGE)
        ):
            for message in page:
                headers = message.headers or {}
                if int(headers["Nats-Sequence"]) >= end:
                    return found, oldest
                oldest = oldest or datetime.fromisoformat(headers["Nats-Time-Stamp"])
                if wanted.may_match(message.data) and wanted.matches(entry := stored_entry(headers, message.data)):
                    found.append(entry)
        return found, oldest

    async def _bounds(self, wanted: AccessFilter) -> tuple[int, int]:
        """Return the sequences between which the matches are: from the first to before the second."""
        try:
            state = (await self._bus.jetstream.stream_info(STREAM)).state
        except (APIError, errors.Error) as error:
            raise TransientError(f"the access log could not be read ({type(error).__name__})") from None
        first, end = max(state.first_seq, 1), state.last_seq + 1
        if wanted.since is not None:
            first = max(first, await self._at(wanted.since - CLOCK_SKEW) or end)
        if wanted.until is not None:
            end = min(end, await self._at(wanted.until + CLOCK_SKEW) or end)
        return first, end

    async def _at(self, time: datetime) -> int | None:
        """Return the sequence of the first entry that was stored at `time` or later; None if there is none."""
        query = {"start_time": time.isoformat(), "next_by_subj": "access.>", "batch": 1}
        found = await self._bus.direct_get(STREAM, query)
        return min((int((message.headers or {})["Nats-Sequence"]) for message in found), default=None)
