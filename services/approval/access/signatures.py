"""Find signatures without a recorded view, by the events and the access log. Holds one page of the stream in memory."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from services.approval.access.unseen import UnseenSignature, unseen
from shared.contracts.envelope import RecordedEvent
from shared.contracts.events import Approved
from shared.contracts.subjects import case_filter
from shared.messaging.access_log import AccessLog
from shared.messaging.connection import NatsConnection
from shared.messaging.event_store import STREAM, RawMessage, raw_message_of, read_event
from shared.messaging.stream_pages import read_stream_pages
from shared.runtime.authentication import Caller

APPROVED = case_filter("approved")
MAX_EXAMINED = 250  # approvals, for one page: some 0.1 s
CONCURRENCY = 8  # cases whose entries are read at the same time
CLOCK_SKEW = timedelta(minutes=10)  # between the clocks of services, and of NATS


@dataclass(frozen=True, slots=True)
class Examined:
    """What a page of approvals held. `after`: the sequence behind which the next page begins; None: this is the end.

    `unreadable`: events that cannot be read, so that nothing is known about them.
    """

    items: list[UnseenSignature]
    count: int
    unreadable: int
    after: int | None


Approval = tuple[RecordedEvent, Approved]  # an event, and its body


class SignatureReview:
    def __init__(self, bus: NatsConnection, log: AccessLog) -> None:
        self._bus = bus
        self._log = log

    async def page(self, who: Caller, since: datetime, until: datetime | None, after: int | None) -> Examined:
        """Examine up to MAX_EXAMINED approvals of the caller's departments, oldest first. Raises TransientError."""
        start = after + 1 if after is not None else await self._first(since)
        if start is None:
            return Examined([], 0, 0, None)
        events: list[Approval] = []
        unreadable, last = 0, None
        async for page in read_stream_pages(self._bus, STREAM, APPROVED, start=start, size=MAX_EXAMINED):
            for item in map(raw_message_of, page):
                event = read_event(item)
                if not isinstance(event, RecordedEvent) or not isinstance(event.body, Approved):
                    unreadable += _is_of_person(item, who)
                elif since <= event.time and (until is None or event.time < until):
                    events += [(event, event.body)] if who.can_access_department(event.case.department) else []
                elif until is not None and event.time >= until + CLOCK_SKEW:
                    return await self._examined(events, unreadable, None)
            more = int((page[-1].headers or {})["Nats-Num-Pending"]) > 0
            last = raw_message_of(page[-1]).sequence if more else None
            break
        return await self._examined(events, unreadable, last)

    async def _examined(self, events: Sequence[Approval], unreadable: int, after: int | None) -> Examined:
        found: list[UnseenSignature] = []
        for batch in (events[at : at + CONCURRENCY] for at in range(0, len(events), CONCURRENCY)):
            found += [
                item for item in await asyncio.gather(*(self._unseen(*item) for item in batch)) if item is not None
            ]
        return Examined(found, len(events), unreadable, after)

    async def _unseen(self, event: RecordedEvent, approved: Approved) -> UnseenSignature | None:
        return unseen(event, approved, await self._log.of_case(event.case.id, "viewed"))

    async def _first(self, since: datetime) -> int | None:
        """Return the sequence of the first approval that was stored at `since` or later; None if there is none."""
        query = {"start_time": (since - CLOCK_SKEW).isoformat(), "next_by_subj": APPROVED, "batch": 1}
        found = await self._bus.direct_get(STREAM, query)
        return min((raw_message_of(message).sequence for message in found), default=None)


def _is_of_person(item: RawMessage, who: Caller) -> bool:
    return who.can_access_department(item.subject.split(".")[1])
