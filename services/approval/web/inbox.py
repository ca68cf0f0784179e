"""The inbox page: open reviews, and the event stream that tells browsers about changes."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import datetime

from fastapi import APIRouter, Request
from fastapi.responses import RedirectResponse, Response, StreamingResponse

from services.approval.dependencies import Api, ApiDependencies, Clinician, EventStreamSlot, Person
from services.approval.projections.open_reviews import OpenReview, OpenReviewRow
from services.approval.review.api import readable, shown_departments
from services.approval.review.authorization import READERS, is_assigned_to
from services.approval.review.draft_labels import DraftLabel
from services.approval.web.filing import shown_unfiled
from services.approval.web.render import PageRoute, page, plain
from shared.contracts.case import fold
from shared.runtime.authentication import Caller
from shared.runtime.problems import ProblemError
from shared.web.navigation import start_page
from shared.web.render import span

PAGE = 50
BATCH_WINDOW = 0.3  # seconds in which changes are sent together
HEARTBEAT = 15.0  # seconds between comments, which keep proxies from closing the stream, and checks of the session


router = APIRouter(route_class=PageRoute, include_in_schema=False)


@router.get("/")
async def inbox(
    person: Person,
    api: Api,
    department: str | None = None,
    mine: bool = False,
    q: str = "",
    after: str | None = None,
    rows: bool = False,
) -> Response:
    """Show the page, or with `rows` only the part that changes. Who may not read drafts is redirected."""
    who = person.in_role(*READERS)
    if who is None:
        return RedirectResponse(_start(person), 303)
    departments = shown_departments(who, department or None)
    try:
        lines, cursor = api.open_reviews.page(departments, after, PAGE, _row_filter(who, mine, q.strip().lower()))
    except ValueError:
        return RedirectResponse("/", 303)
    prepared = [] if after or q else api.preparations.page(departments, PAGE)
    drafts = [(line.case_id, line.draft) for line in lines]
    drafts += [(line.case_id, line.draft) for line in prepared if line.draft is not None]
    labels = await api.labels.of(drafts)
    now = api.clock()
    return page(
        "rows.html" if rows else "inbox.html",
        here="/",
        who=who,
        rows=[_row(line, labels[line.draft], now) for line in lines],
        prepared=[(line, labels.get(line.draft or "", DraftLabel()).initials or "?") for line in prepared],
        zone=api.zone_of(department or ""),
        counts=open_review_counts(api, who),
        department=department or "",
        mine=mine,
        q=q,
        cursor=cursor,
        unread=api.unreadable.of(who),
        unfiled=[] if after else await shown_unfiled(api, who, now),
    )


def open_review_counts(api: ApiDependencies, who: Caller) -> dict[str, int]:
    """Return department → open reviews, for the departments that the caller may see."""
    return {name: count for name, count in sorted(api.open_reviews.counts().items()) if who.can_access_department(name)}


def _start(person: Caller) -> str:
    found = start_page(person)
    if found is None:
        raise ProblemError(403, "There is no page for your roles", f"They are: {', '.join(person.roles)}.")
    return found


@router.get("/events")
async def events(request: Request, who: Clinician, api: Api, _: EventStreamSlot, case: str = "") -> Response:
    """Stream events of all reviews, or of one case, as long as the caller has access."""
    if case:
        await readable(api.cases, case, who)
    headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}

    async def may_listen() -> bool:
        return who.method in ("token", "jwt") or await api.authenticator.session_caller(request) is not None

    return StreamingResponse(_changes(api, case, may_listen), media_type="text/event-stream", headers=headers)


def _row_filter(who: Caller, mine: bool, words: str) -> Callable[[OpenReviewRow], bool]:
    def wanted(waiting: OpenReviewRow) -> bool:
        if mine and not is_assigned_to(who, waiting.owner, waiting.attending):
            return False
        if not words:
            return True
        fields = (waiting.ref.id, waiting.encounter, waiting.owner or "", waiting.ref.department)
        return any(words in field.lower() for field in fields)

    return wanted


def _row(line: OpenReview, shown: DraftLabel, now: datetime) -> dict[str, object]:
    following = next((time for time in line.deadlines if time > now), None)
    return {
        "line": line,
        "initials": shown.initials or "?",
        "owner": shown.attending if line.attends else None,
        # Who still may sign stays in the list when somebody else got the review, or the supervisor took it over.
        "attending": shown.attending or plain(line.attending) if line.attending and not line.attends else None,
        "waiting": span((now - line.requested_at).total_seconds()),
        "following": span((following - now).total_seconds()) if following and not line.level else None,
    }


async def _changes(api: ApiDependencies, case: str, may_listen: Callable[[], Awaitable[bool]]) -> AsyncIterator[str]:
    """Yield server-sent events: one `changed` for changes that come together; with `case`, the state of that case.

    The first is sent at once: something may have changed since the page was loaded or the stream was interrupted.
    `may_listen` is called every HEARTBEAT seconds; when it returns False, `signed-out` ends the stream.

    https://html.spec.whatwg.org/multipage/server-sent-events.html
    """
    now = asyncio.get_running_loop().time
    with api.open_reviews.watching() as queue:
        yield "retry: 2000\n\n" + await _changed(api, case)
        asked = now()
        while True:
            try:
                changed = {await asyncio.wait_for(queue.get(), max(asked + HEARTBEAT - now(), 0))}
            except TimeoutError:
                if not await may_listen():
                    yield "event: signed-out\ndata:\n\n"
                    return
                asked = now()
                yield ": still here\n\n"
                continue
            await asyncio.sleep(BATCH_WINDOW)
            count = 1
            while not queue.empty():
                changed.add(queue.get_nowait())
                count += 1
            told_all = count < queue.maxsize  # a client that was too slow has missed what came after
            if not case or case in changed or not told_all:
                yield await _changed(api, case)


async def _changed(api: ApiDependencies, case: str) -> str:
    history, _ = await api.cases.readable(case) if case else ([], [])
    head = fold(history).head.sequence if case else ""
    return f"event: changed\ndata: {head}\n\n"
