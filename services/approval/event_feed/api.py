"""`GET /v1/events`: case events as server-sent events."""

import asyncio
import json
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing
from typing import Annotated

from fastapi import APIRouter, Header, Query, Request
from fastapi.responses import StreamingResponse

from services.approval.dependencies import Api, EventStreamSlot, StreamReader
from services.approval.event_feed.feed import EventFeed, EventFilter
from services.approval.event_feed.message import CaseEventMessage
from services.approval.review.api import shown_departments
from shared.contracts.ehr import Department
from shared.contracts.envelope import EVENT_NAMES
from shared.contracts.errors import CountersignError
from shared.contracts.subjects import CASE_ID
from shared.runtime.api_route import ApiRoute
from shared.runtime.problems import ProblemError, problem_responses

HEARTBEAT_S = 15.0  # between comments, which keep proxies from closing the stream
LONGEST_S = 3600.0  # a client connects again then, and is authenticated again
MAX_SEQUENCE = 2**63 - 1

COMMON = {
    401: "no token, or one that is not valid",
    403: "the role of the token may not read events",
    409: "the position is behind the end of the event stream: it was restored from an earlier backup",
    422: "the request is not valid",
    429: "too many open event streams",
}

router = APIRouter(responses=problem_responses(COMMON), route_class=ApiRoute)

Types = Annotated[list[str], Query(alias="type", max_length=64, description="events such as `approved`; default: all")]
LastEventId = Annotated[
    str | None, Header(alias="Last-Event-ID", description="`id` of the last event received: those behind it follow")
]
After = Annotated[
    int | None,
    Query(ge=0, le=MAX_SEQUENCE, description="the same as a parameter; 0: from the first event. Default: from now on"),
]


@router.get(
    "/v1/events",
    tags=["events"],
    summary="Case events as they happen, as server-sent events",
    description="Each event is a CloudEvent with the case, its department, the event's name and its sequence; no "
    "patient data. Callers of single departments get the events of those. The stream ends after an hour: connect "
    "again with `Last-Event-ID`, and no event is missed.",
    response_class=StreamingResponse,
    responses={200: {"content": {"text/event-stream": {}}, "description": "the stream"}},
)
async def stream_events(
    request: Request,
    who: StreamReader,
    api: Api,
    _: EventStreamSlot,
    department: Department | None = None,
    types: Types = [],  # noqa: B006 - FastAPI copies it
    case_id: Annotated[str | None, Query(pattern=f"^{CASE_ID}$")] = None,
    after: After = None,
    last_event_id: LastEventId = None,
) -> StreamingResponse:
    if unknown := sorted(set(types) - EVENT_NAMES):
        raise ProblemError(422, "The request is not valid", f"There is no event {', '.join(unknown)[:200]}.")
    wanted = EventFilter(shown_departments(who, department), tuple(types) or None, case_id)
    start = await _position(api.feed, last_event_id, after)

    async def may_listen() -> bool:
        return who.method in ("token", "jwt") or await api.authenticator.session_caller(request) is not None

    headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
    stream = lines(api.feed, wanted, start, may_listen)
    return StreamingResponse(stream, media_type="text/event-stream", headers=headers)


async def _position(feed: EventFeed, last_event_id: str | None, after: int | None) -> int:
    """Return the sequence behind which the stream begins. Raises ProblemError."""
    end = await feed.end()
    if last_event_id:
        if not last_event_id.isascii() or not last_event_id.isdigit() or len(last_event_id) > len(str(MAX_SEQUENCE)):
            raise ProblemError(422, "The request is not valid", "Last-Event-ID is not the id of an event.")
        after = int(last_event_id)
    if after is None:
        return end
    if after > end:
        raise ProblemError(409, "There is no such event", f"The last one has the sequence {end}.", last=end)
    return after


async def lines(
    feed: EventFeed,
    wanted: EventFilter,
    after: int,
    may_listen: Callable[[], Awaitable[bool]],
    heartbeat: float = HEARTBEAT_S,
    longest: float = LONGEST_S,
) -> AsyncGenerator[str]:
    """Yield server-sent events. https://html.spec.whatwg.org/multipage/server-sent-events.html

    The first block has an id and no data: a client that is interrupted before the first event resumes from there.
    """
    now = asyncio.get_running_loop().time
    ends, checked = now() + longest, now()
    yield f"retry: 2000\nid: {after}\n\n"
    try:
        async with aclosing(feed.follow(wanted, after, heartbeat)) as events:
            async for event in events:
                yield _block(event)
                if now() - checked < heartbeat:
                    continue
                checked = now()
                if checked >= ends or not await may_listen():
                    return
    except CountersignError:
        return  # NATS does not answer: the client connects again, and resumes


def _block(event: CaseEventMessage | None) -> str:
    if event is None:
        return ": heartbeat\n\n"
    data = json.dumps(event.cloudevent(), separators=(",", ":"))
    return f"id: {event.sequence}\nevent: {event.event}\ndata: {data}\n\n"
