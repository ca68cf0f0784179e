"""Turnaround of reviews and escalations of the last weeks, in memory, from the headers of the event stream.

It starts at the first event of the last WINDOW and reads on in the background: until then, and about reviews that were
requested before, it knows less, and says so.
"""

import asyncio
from collections import deque
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta
from statistics import quantiles
from typing import NamedTuple

from nats import errors
from nats.aio.msg import Msg
from nats.js.api import ConsumerConfig, DeliverPolicy
from nats.js.errors import APIError

from services.approval.escalation.rules import TAKES_OVER
from services.approval.projections.catch_up import IDLE_HEARTBEAT
from shared.contracts.errors import CountersignError, TransientError
from shared.contracts.subjects import CASE_EVENTS, case_filter, parse_case_subject
from shared.messaging.connection import NatsConnection
from shared.messaging.event_store import STREAM
from shared.messaging.steps import Clock

OPENS, SIGNED, LEVEL, RESTARTS = "review-requested", "approved", "escalated", "reassigned"
ENDS = ("rejected", "withdrawn", "erasure-ordered", "reimported")
EVENTS = (OPENS, SIGNED, LEVEL, RESTARTS, *ENDS)
WINDOW = timedelta(days=90)  # read at the start: a review that was requested before has no known turnaround
KEPT = timedelta(days=30)  # the longest period of figures


class Signature(NamedTuple):
    department: str
    at: datetime
    seconds: float | None  # from the request of the signed draft; None where that is not known


class Escalation(NamedTuple):
    department: str
    at: datetime
    takes_over: bool


@dataclass(slots=True)
class Waiting:
    """An open review: since when, and how often it escalated since its clock started."""

    since: datetime
    level: int = 0


@dataclass(frozen=True, slots=True)
class Figures:
    """Of one period. `median` and `p90` are seconds; None without a signature."""

    signed: int
    median: float | None
    p90: float | None
    unknown: int  # signatures whose request is older than what was read
    notified: int  # escalations that notified the supervisor
    taken_over: int


class TurnaroundProjection:
    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._waiting: dict[str, Waiting] = {}
        self._signatures: deque[Signature] = deque()
        self._escalations: deque[Escalation] = deque()
        self._at = 0  # sequence of the last event
        self._received = 0
        self._wanted: int | None = None  # events that were stored at the start
        self.since: datetime | None = None  # of the first event that was read

    @property
    def complete(self) -> bool:
        """Return whether the events that were stored at the start have been read."""
        return self._wanted is not None and self._received >= self._wanted

    async def start(self, bus: NatsConnection) -> None:
        """Subscribe; events are read in the background. Raises TransientError where the stream cannot be read."""
        first = await _first_after(bus, self._clock() - WINDOW)
        try:
            config = ConsumerConfig(
                filter_subjects=[case_filter(name) for name in EVENTS],
                headers_only=True,
                deliver_policy=DeliverPolicy.BY_START_SEQUENCE if first is not None else DeliverPolicy.NEW,
                opt_start_seq=first,
            )
            subscription = await bus.jetstream.subscribe(
                "", stream=STREAM, config=config, ordered_consumer=True, idle_heartbeat=IDLE_HEARTBEAT, cb=self._on
            )
            info = await subscription.consumer_info()
        except (errors.Error, APIError, TimeoutError) as error:
            raise TransientError(f"the event stream could not be read ({type(error).__name__})") from None
        self._wanted = (info.delivered.consumer_seq if info.delivered else 0) + (info.num_pending or 0)

    async def _on(self, message: Msg) -> None:
        sequence = message.metadata.sequence.stream
        if sequence > self._at:
            self._at = sequence
            self._received += 1
            self._take(message.subject, (message.headers or {}).get("ce-time", ""))
        await asyncio.sleep(0)  # let other tasks run while many events are read

    def _take(self, subject: str, time: str) -> None:
        try:
            case, name = parse_case_subject(subject)
            at = datetime.fromisoformat(time)
        except (CountersignError, ValueError):
            return  # unreadable_events.py reports it
        self.take(case.department, case.id, name, at)

    def take(self, department: str, case: str, name: str, at: datetime) -> None:
        """Apply one event."""
        self.since = self.since or at
        waiting = self._waiting.get(case)
        if name == OPENS:
            self._waiting[case] = Waiting(at)
        elif name == SIGNED:
            seconds = (at - waiting.since).total_seconds() if waiting is not None else None
            self._signatures.append(Signature(department, at, seconds))
        elif name == LEVEL and waiting is not None:
            waiting.level += 1
            self._escalations.append(Escalation(department, at, waiting.level >= TAKES_OVER))
        elif name == RESTARTS and waiting is not None:
            waiting.level = 0
        if name in (SIGNED, *ENDS):
            self._waiting.pop(case, None)
        self._forget(self._clock() - KEPT)

    def _forget(self, before: datetime) -> None:
        for kept in (self._signatures, self._escalations):
            while kept and kept[0].at < before:
                kept.popleft()

    def figures(self, departments: Collection[str] | None, period: timedelta) -> Figures:
        """Return the figures of the last `period`, at most KEPT, of the departments. None: all departments."""
        since = self._clock() - period
        signed = [
            item.seconds
            for item in self._signatures
            if item.at >= since and (departments is None or item.department in departments)
        ]
        taken_over = [
            item.takes_over
            for item in self._escalations
            if item.at >= since and (departments is None or item.department in departments)
        ]
        known = [seconds for seconds in signed if seconds is not None]
        median, p90 = _percentiles(known, 50, 90)
        return Figures(
            signed=len(signed),
            median=median,
            p90=p90,
            unknown=len(signed) - len(known),
            notified=len(taken_over) - sum(taken_over),
            taken_over=sum(taken_over),
        )


def _percentiles(values: list[float], *percents: int) -> list[float | None]:
    """Return percentiles, interpolated; None without values."""
    if len(values) < 2:
        return [values[0] if values else None for _ in percents]
    found = quantiles(values, n=100, method="inclusive")
    return [found[percent - 1] for percent in percents]


async def _first_after(bus: NatsConnection, time: datetime) -> int | None:
    """Return the sequence of the first event that was stored after `time`; None where there is none."""
    query = {"start_time": time.isoformat(), "next_by_subj": CASE_EVENTS, "batch": 1}
    for message in await bus.direct_get(STREAM, query):
        return int((message.headers or {})["Nats-Sequence"])
    return None
