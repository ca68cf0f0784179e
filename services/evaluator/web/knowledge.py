"""Pages of the knowledge base that show something: overview, versions, search, documents."""

from collections import Counter
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query
from fastapi.responses import Response

from services.evaluator.dependencies import Knowledge, allow
from services.evaluator.knowledge_service import KnowledgeService
from services.evaluator.overview import source_states
from services.evaluator.web.render import PageRoute, page
from shared.contracts.errors import PermanentError
from shared.contracts.subjects import derived_id
from shared.knowledge.knowledge_file import KnowledgeFile
from shared.knowledge.live import LivePointer, VersionRecord
from shared.knowledge.retriever import VersionRef
from shared.knowledge.vector_store import SearchHit
from shared.runtime.authentication import Caller
from shared.runtime.problems import ProblemError
from shared.web.render import asset_response

HERE = "/knowledge"
READERS = ("editor", "operator", "auditor", "engineer", "supervisor")
Reader = Annotated[Caller, Depends(allow(*READERS))]
Version = Annotated[int | None, Query(ge=1)]
SHOWN = 300  # documents on a page, and versions
router = APIRouter(prefix=HERE, route_class=PageRoute, include_in_schema=False)

DONE = {
    "refresh": "The refresh was requested. It starts when those before it have ended.",
    "rollback": "The version is live. It takes effect for every later draft.",
    "promote": "The version is live. It takes effect for every later draft.",
    "pin": "The version is pinned: refreshes are evaluated, and held back.",
    "unpin": "The pin is removed: the next refresh that passes goes live.",
}


def knowledge_page(name: str, who: Caller, tab: str, status: int = 200, **values: Any) -> Response:
    """Return a page. `may_act`: whether the caller may change something."""
    acting = bool({"editor", "operator"} & set(who.roles))
    return page(
        f"knowledge/{name}", status, who=who, here=HERE, tab=tab, may_act=acting, now=datetime.now(UTC), **values
    )


async def live_and_newest(knowledge: KnowledgeService) -> tuple[LivePointer | None, VersionRecord | None]:
    live, _ = await knowledge.live()
    records = await knowledge.history()
    return live, records[0] if records else None


def form_key() -> str:
    """Return a key for a form, so that its request is carried out once however often it is sent."""
    return derived_id(str(datetime.now(UTC).timestamp()), "form")


@router.get("")
async def overview(who: Reader, knowledge: Knowledge, done: str = "") -> Response:
    """Show what is live, what is newest, what runs, and the sources."""
    status = await knowledge.status()
    live, _ = await knowledge.live()
    records = await knowledge.history()
    try:
        file = knowledge.read_knowledge_file()
    except PermanentError:
        file = KnowledgeFile()
    entries = await knowledge.content.entries()
    return knowledge_page(
        "overview.html",
        who,
        "overview",
        done=DONE.get(done),
        **await _refresh_state(knowledge, status),
        requested=done == "refresh",
        live=live,
        newest=records[0] if records else None,
        sources=source_states(file, entries),
        unreadable=[entry for entry in entries if entry.unreadable is not None],
        moves=(await knowledge.live_version.moves())[:10],
        key=form_key(),
    )


@router.get("/progress")
async def progress(who: Reader, knowledge: Knowledge) -> Response:
    """Show only the part of the overview that changes while a refresh runs."""
    found = await _refresh_state(knowledge, await knowledge.status())
    return knowledge_page("progress.html", who, "overview", requested=False, **found)


async def _refresh_state(knowledge: KnowledgeService, status: dict[str, Any]) -> dict[str, Any]:
    running = status["refreshing"]
    return {
        "state": status,
        "progress": await knowledge.refreshes.progress(running) if running else None,
        "ended": await knowledge.refreshes.last_ended(),
    }


@router.get("/knowledge.js")
async def script() -> Response:
    return asset_response(Path(__file__).parent / "static", "knowledge.js")


@router.get("/versions")
async def versions(who: Reader, knowledge: Knowledge) -> Response:
    live, _ = await knowledge.live()
    records = await knowledge.history()
    return knowledge_page(
        "versions.html", who, "versions", live=live, records=records[:SHOWN], more=len(records[SHOWN:])
    )


@router.get("/versions/{number}")
async def version(
    number: int,
    who: Reader,
    knowledge: Knowledge,
    done: str = "",
    before: Annotated[int | None, Query(alias="from", ge=1)] = None,
) -> Response:
    """Show one version: how it was evaluated, what it changes, and what can be done with it."""
    records = await knowledge.history()
    record = next((item for item in records if item.version == number), None)
    if record is None:
        raise ProblemError(404, "There is no such version", f"Version {number} is not known.")
    live, _ = await knowledge.live()
    others = [item.version for item in records if item.version != number]
    compared = before or _compared_with(number, live, others)
    changes, gone = [], None
    if compared is not None:
        try:
            changes = await knowledge.content.changes(compared, number)
        except ProblemError as problem:
            gone = problem.detail or problem.title
    return knowledge_page(
        "version.html",
        who,
        "versions",
        done=DONE.get(done),
        record=record,
        live=live,
        kept=number >= await knowledge.oldest_retained_version(),
        others=others,
        compared=compared,
        gone=gone,
        changes=changes[:SHOWN],
        more=len(changes[SHOWN:]),
        kinds=Counter(item.kind for item in changes),
        moves=[item for item in await knowledge.live_version.moves() if item.version == number],
    )


def _compared_with(number: int, live: LivePointer | None, others: list[int]) -> int | None:
    """Return the live version, which this one would replace; for the live one, the version before it."""
    if live is not None and live.version != number:
        return live.version
    return max((item for item in others if item < number), default=None)


@router.get("/versions/{number}/document")
async def compared_document(
    number: int,
    who: Reader,
    knowledge: Knowledge,
    before: Annotated[int, Query(alias="from", ge=1)],
    source: str,
    document: str,
) -> Response:
    rows = await knowledge.content.compare(before, number, source, document)
    if not rows:
        raise ProblemError(404, "There is no such document", "Neither of the two versions contains it.")
    return knowledge_page(
        "compare.html", who, "versions", number=number, before=before, source=source, document=document, rows=rows
    )


@router.get("/search")
async def search(
    who: Reader,
    knowledge: Knowledge,
    q: Annotated[str, Query(max_length=2000)] = "",
    at: Annotated[str, Query(max_length=12)] = "",
    k: Annotated[int, Query(ge=1, le=50)] = 10,
) -> Response:
    """Search a version. Documents of the results become a golden query, where these are edited here."""
    live, _ = await knowledge.live()
    where: VersionRef | None = None
    hits: list[SearchHit] = []
    problem: str | None = None
    number = int(at) if at.isdecimal() else None
    if q.strip():
        try:
            where, hits = await knowledge.search(q.strip(), number, k, None)
        except ProblemError as error:
            problem = error.detail or error.title
    return knowledge_page(
        "search.html",
        who,
        "search",
        q=q,
        at=number,
        k=k,
        live=live,
        where=where,
        hits=hits,
        problem=problem,
        managed_in=_managed_in(knowledge),
        versions=[item.version for item in (await knowledge.history())[:SHOWN]],
    )


def _managed_in(knowledge: KnowledgeService) -> str | None:
    try:
        return knowledge.read_knowledge_file().golden_managed_in
    except PermanentError:
        return None


@router.get("/documents")
async def documents(
    who: Reader, knowledge: Knowledge, at: Version = None, q: Annotated[str, Query(max_length=200)] = "", only: str = ""
) -> Response:
    live, newest = await live_and_newest(knowledge)
    number = at or (live.version if live else (newest.version if newest else None))
    found = await knowledge.content.documents(number) if number is not None else []
    unreadable = sum(item.unreadable is not None for item in found)
    words = q.strip().lower()
    rows = [
        item
        for item in found
        if words in f"{item.source}/{item.document} {item.title}".lower() and (only != "unreadable" or item.unreadable)
    ]
    return knowledge_page(
        "documents.html",
        who,
        "documents",
        number=number,
        live=live,
        q=q,
        only=only,
        total=len(found),
        passages=sum(item.passages for item in found),
        unreadable=unreadable,
        rows=rows[:SHOWN],
        more=len(rows[SHOWN:]),
        versions=[item.version for item in (await knowledge.history())[:SHOWN]],
    )


@router.get("/document")
async def document(
    who: Reader, knowledge: Knowledge, source: str, document: str, at: Annotated[int, Query(ge=1)]
) -> Response:
    """Show what was read of one document, passage by passage."""
    live, _ = await knowledge.live()
    found = await knowledge.content.document(at, source, document)
    return knowledge_page("document.html", who, "documents", number=at, live=live, found=found)
