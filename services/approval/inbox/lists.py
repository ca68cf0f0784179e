"""The inbox: what waits, for whom, since when; and the stream that tells browsers when something changed."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Depends, Request
from fastapi.responses import RedirectResponse, Response, StreamingResponse

from services.approval.api import Parts, readable, shown_departments
from services.approval.inbox.names import Names, Shown
from services.approval.inbox.render import page, span
from services.approval.not_read import NotRead
from services.approval.reviews import OpenReview, Waiting
from services.approval.rights import is_theirs
from shared.contracts.case import fold
from shared.runtime.authentication import Caller
from shared.runtime.request_limits import EventStreamLimit

PAGE = 50
SETTLE = 0.3  # seconds in which changes are told together
BEAT = 15.0  # seconds after which a comment keeps proxies from closing the stream, and the session is looked at


def add_lists(router: APIRouter, parts: Parts, names: Names, not_read: NotRead) -> None:
    clinician = Annotated[Caller, Depends(parts.guard.require("physician", "supervisor"))]
    streams = EventStreamLimit()

    @router.get("/", include_in_schema=False)
    async def inbox(
        who: clinician,
        department: str | None = None,
        mine: bool = False,
        q: str = "",
        after: str | None = None,
        rows: bool = False,
    ) -> Response:
        """The whole page, or with `rows` only the part that changes."""
        departments = shown_departments(who, department or None)
        try:
            lines, cursor = parts.reviews.page(departments, after, PAGE, _wanted(who, mine, q.strip().lower()))
        except ValueError:
            return RedirectResponse("/", 303)
        shown = await names.of([(line.case_id, line.draft) for line in lines])
        now = parts.clock()
        counts = {
            name: count for name, count in sorted(parts.reviews.counts().items()) if who.can_access_department(name)
        }
        return page(
            "rows.html" if rows else "inbox.html",
            who=who,
            rows=[_row(line, shown[line.draft], now) for line in lines],
            counts=counts,
            department=department or "",
            mine=mine,
            q=q,
            cursor=cursor,
            unread=not_read.of(who),
        )

    @router.get("/events", include_in_schema=False)
    async def events(
        request: Request, who: clinician, _: Annotated[None, Depends(streams)], case: str = ""
    ) -> Response:
        """Of all reviews, or of one case, as long as the caller may see them."""
        if case:
            await readable(parts.desk, case, who)
        headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}

        async def may_listen() -> bool:
            return who.method in ("token", "jwt") or await parts.guard.session_caller(request) is not None

        return StreamingResponse(_changes(parts, case, may_listen), media_type="text/event-stream", headers=headers)


def _wanted(who: Caller, mine: bool, words: str) -> Callable[[Waiting], bool]:
    def wanted(waiting: Waiting) -> bool:
        if mine and not is_theirs(who, waiting.owner, waiting.attending):
            return False
        if not words:
            return True
        fields = (waiting.ref.id, waiting.encounter, waiting.owner or "", waiting.ref.department)
        return any(words in field.lower() for field in fields)

    return wanted


def _row(line: OpenReview, shown: Shown, now: datetime) -> dict[str, object]:
    following = next((time for time in line.deadlines if time > now), None)
    return {
        "line": line,
        "initials": shown.initials or "?",
        "owner": shown.attending if line.attends else None,
        "waiting": span((now - line.requested_at).total_seconds()),
        "following": span((following - now).total_seconds()) if following and not line.level else None,
    }


async def _changes(parts: Parts, case: str, may_listen: Callable[[], Awaitable[bool]]) -> AsyncIterator[str]:
    """Server-sent events: one `changed` for everything that changed together; with `case`, where that case stands now.

    One comes at once: something may have changed between the page and the stream, or while the stream was broken.
    `signed-out` ends it once `may_listen` says no, which is asked every BEAT seconds.
    https://html.spec.whatwg.org/multipage/server-sent-events.html
    """
    now = asyncio.get_running_loop().time
    with parts.reviews.watching() as queue:
        yield "retry: 2000\n\n" + await _changed(parts, case)
        asked = now()
        while True:
            try:
                changed = {await asyncio.wait_for(queue.get(), max(asked + BEAT - now(), 0))}
            except TimeoutError:
                if not await may_listen():
                    yield "event: signed-out\ndata:\n\n"
                    return
                asked = now()
                yield ": still here\n\n"
                continue
            await asyncio.sleep(SETTLE)
            count = 1
            while not queue.empty():
                changed.add(queue.get_nowait())
                count += 1
            told_all = count < queue.maxsize  # whoever does not keep up was not told what came after
            if not case or case in changed or not told_all:
                yield await _changed(parts, case)


async def _changed(parts: Parts, case: str) -> str:
    history, _ = await parts.desk.readable(case) if case else ([], [])
    head = fold(history).head.sequence if case else ""
    return f"event: changed\ndata: {head}\n\n"
