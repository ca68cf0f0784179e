"""Cases with recent events, each in the state that its whole history gives it."""

import asyncio
from collections.abc import Sequence
from datetime import datetime

from pydantic import BaseModel, Field

from services.approval.review.case_reader import CaseReader
from services.approval.review.views import UnreadableLine, unreadable_lines
from shared.contracts.case import CaseState, fold
from shared.contracts.envelope import RecordedEvent
from shared.runtime.authentication import Caller

RECENT_EVENTS = 2000
MAX_CONCURRENT_READS = 16  # histories


class CaseLine(BaseModel):
    """A case in a list."""

    case_id: str
    department: str
    state: CaseState
    last_event: str
    time: datetime


class CaseList(BaseModel):
    items: list[CaseLine]
    unreadable: list[UnreadableLine] = Field(
        description="recent messages in the event stream that cannot be read as events; no service writes such messages"
    )


async def list_recent(cases: CaseReader, who: Caller, limit: int) -> CaseList:
    """Return the `limit` cases with the latest events that the caller may know of."""
    recent, unreadable = await cases.recent(RECENT_EVENTS)
    latest = {event.case.id: event for event in recent if who.can_access_department(event.case.department)}
    shown = sorted(latest.values(), key=lambda event: -event.head.sequence)[:limit]
    places = asyncio.Semaphore(MAX_CONCURRENT_READS)

    async def line(event: RecordedEvent) -> CaseLine:
        async with places:  # one request each: what a case is, its last event alone does not tell
            history, _ = await cases.readable(event.case.id)
        return _line(history or [event])

    return CaseList(
        items=list(await asyncio.gather(*map(line, shown))),
        unreadable=unreadable_lines(item for item in unreadable if who.can_access_department(item.case.department)),
    )


def _line(history: Sequence[RecordedEvent]) -> CaseLine:
    last = history[-1]
    return CaseLine(
        case_id=last.case.id,
        department=last.case.department,
        state=fold(history).state,
        last_event=last.name,
        time=last.time,
    )
