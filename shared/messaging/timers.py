"""Timers: messages that NATS itself delivers at their time. No task, no polling, nothing in memory.

https://github.com/nats-io/nats-architecture-and-design/blob/main/adr/ADR-51.md
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from nats import errors

from shared.contracts.errors import PermanentError, TransientError
from shared.contracts.subjects import CaseRef, due_subject, timer_subject
from shared.contracts.timestamps import format_utc
from shared.messaging.connection import NatsConnection

REVIEWS, REFRESHES = "TIMERS", "REFRESH_TIMERS"
DUE_AT = "countersign-due"  # header: when it is due


@dataclass(frozen=True, slots=True)
class FiredTimer:
    """A fired timer."""

    case: CaseRef
    level: int  # 1 for the first
    time: datetime
    clock: str  # id of the event that started the clock: a timer of an earlier clock must not escalate a later one


class Timers:
    """Timers of one stream: REVIEWS or REFRESHES."""

    def __init__(self, bus: NatsConnection, stream: str = REVIEWS) -> None:
        self._bus = bus
        self._stream = stream

    async def schedule(self, case: CaseRef, clock: str, level: int, time: datetime) -> int:
        """Set the timer of one level; returns its sequence. Setting again replaces; a time in the past fires at once.

        A review has one timer at a time: who deals with a fired one sets the next.
        """
        facts = {"countersign-department": case.department, "countersign-clock": clock}
        return await self.set(timer_subject(case.id, level), due_subject(case.id, level), time, facts)

    async def set(self, subject: str, target: str, time: datetime, facts: Mapping[str, str]) -> int:
        """Set the timer of `subject`: an empty message with `facts` as headers reaches `target` at `time`."""
        at = format_utc(time)
        headers = {"Nats-Schedule": f"@at {at}", "Nats-Schedule-Target": target, DUE_AT: at, **facts}
        return (await self._bus.publish(subject, b"", stream=self._stream, headers=headers)).seq

    async def cancel(self, case_id: str) -> None:
        """Cancel the timer of the case that has not fired."""
        await self.purge(timer_subject(case_id, "*"))

    async def cancel_exactly(self, case: CaseRef, level: int, sequence: int) -> None:
        """Cancel the timer that `schedule` set with this sequence, not one that has replaced it."""
        await self.purge(timer_subject(case.id, level), up_to=sequence)

    async def delete_fired(self, due: FiredTimer, sequence: int) -> None:
        """Delete the fired timer at `sequence`, which has been handled. A timer of a later clock stays."""
        await self.purge(due_subject(due.case.id, due.level), up_to=sequence)

    async def purge(self, subject: str, *, up_to: int | None = None) -> None:
        """Drop timers and fired messages of `subject`; with `up_to`, none that stands after that sequence."""
        end = None if up_to is None else up_to + 1  # the server's bound is exclusive
        try:
            await self._bus.jetstream.purge_stream(self._stream, seq=end, subject=subject)
        except errors.Error as error:
            raise TransientError(f"purge of {self._stream}: {type(error).__name__}") from None


def read_due(subject: str, headers: dict[str, str]) -> FiredTimer:
    """Return the timer of a fired message.

    Raises PermanentError when it is not one of ours.
    """
    tokens = subject.split(".")
    try:
        return FiredTimer(
            case=CaseRef(headers["countersign-department"], tokens[3]),
            level=int(tokens[4]),
            time=datetime.fromisoformat(headers[DUE_AT]),
            # Timers that were set before reassignments had clocks call it the review.
            clock=headers.get("countersign-clock") or headers["countersign-review"],
        )
    except (KeyError, IndexError, ValueError):
        raise PermanentError("a fired timer breaks the contract") from None
