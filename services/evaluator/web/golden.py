"""Pages of the golden queries: expected against found documents, the form that edits one, and its history."""

from dataclasses import dataclass
from itertools import zip_longest
from typing import Annotated

from fastapi import APIRouter, Form, Query
from fastapi.responses import RedirectResponse, Response
from pydantic import ValidationError

from services.evaluator.dependencies import Editor, Knowledge
from services.evaluator.golden import GoldenQuery
from services.evaluator.golden_api import Question, golden_file
from services.evaluator.golden_set import id_of, managed_sentence, query_digest
from services.evaluator.golden_view import Outcome
from services.evaluator.knowledge_service import KnowledgeService
from services.evaluator.web.knowledge import HERE, SHOWN, Reader, Version, knowledge_page, live_and_newest
from services.evaluator.web.render import PageRoute
from shared.runtime.authentication import Caller
from shared.runtime.problems import ProblemError

PATH = f"{HERE}/golden"
EMPTY_ROWS = 2  # of documents, in the form
GRADES = tuple("123456789")
SUGGESTED = 500  # documents that the form suggests
HISTORY_SHOWN = 50
router = APIRouter(prefix=PATH, route_class=PageRoute, include_in_schema=False)
Texts = Annotated[list[str], Form(max_length=1000)]

DONE = {
    "added": "The golden query was added. It counts from the next evaluation on.",
    "changed": "The golden query was changed. It counts so from the next evaluation on.",
    "removed": "The golden query was removed. It does not count from the next evaluation on.",
}


@dataclass(frozen=True, slots=True)
class Entry:
    """What the form shows or has sent. `id` is empty for a new query; `digest` is that of the query as it was read."""

    id: str = ""
    digest: str = ""
    text: str = ""
    problem: bool = False
    documents: tuple[tuple[str, int], ...] = ()
    reason: str = ""

    @classmethod
    def of(cls, query: GoldenQuery) -> "Entry":
        return cls(query.id, query_digest(query), query.text, bool(query.problem), tuple(query.grades.items()))

    def golden(self) -> GoldenQuery:
        """Return the query. Raises ProblemError where it is not complete."""
        relevant = [{"doc_id": name, "grade": grade} for name, grade in self.documents]
        try:
            body = Question.model_validate(
                {"problem" if self.problem else "query": self.text, "relevant": relevant, "reason": self.reason}
            )
        except ValidationError as error:
            raise ProblemError(422, "The golden query is not complete", _incomplete(error)) from None
        return body.golden(self.id or id_of(self.text.strip()))


def _incomplete(error: ValidationError) -> str:
    found = error.errors(include_url=False)[0]
    if "reason" in found["loc"]:
        return "Say why."
    words = str(found["msg"]).removeprefix("Value error, ")
    return f"{words[0].upper()}{words[1:]}."


@router.get("")
async def golden_queries(
    who: Reader, knowledge: Knowledge, only: str = "", at: Version = None, done: str = ""
) -> Response:
    """Show expected documents against found ones in the live and the newest version, or in version `at`."""
    live, newest = await live_and_newest(knowledge)
    shown = [at] if at is not None else [live.version if live else None, newest.version if newest else None]
    numbers = list(dict.fromkeys(item for item in shown if item is not None))
    found = await knowledge.golden.rows(numbers)
    records = await knowledge.history()
    rows = [item for item in found.rows if item.missed or item.unknown] if only == "misses" else found.rows
    return knowledge_page(
        "golden.html",
        who,
        "golden",
        done=DONE.get(done),
        found=found,
        rows=rows[:SHOWN],
        more=len(rows[SHOWN:]),
        only=only,
        at=at,
        numbers=numbers,
        live=live,
        versions=[item.version for item in records[:SHOWN]],
        sets={item.version: item.golden for item in records if item.golden is not None},
        misses=[sum(_missed(row.outcomes[index]) for row in found.rows) for index in range(len(numbers))],
        unknown=sum(bool(item.unknown) for item in found.rows),
        refused=managed_sentence(found.set.managed_in) if found.set.managed_in else None,
        history=list(reversed(found.set.revisions))[:HISTORY_SHOWN],
    )


def _missed(outcome: Outcome | None) -> bool:
    return outcome is not None and outcome.rank is None


@router.get("/export")
async def export(_: Reader, knowledge: Knowledge, version: Version = None) -> Response:
    return await golden_file(knowledge, version)


@router.get("/new")
async def new(
    who: Editor,
    knowledge: Knowledge,
    q: Annotated[str, Query(max_length=2000)] = "",
    relevant: Annotated[list[str], Query(max_length=50)] = [],  # noqa: B006 - FastAPI copies it
) -> Response:
    """Show the form for a new query: with the text and the documents of a search, where they are given."""
    entry = Entry(text=q.strip(), documents=tuple((name, 1) for name in relevant))
    return await _form(who, knowledge, entry)


@router.get("/edit")
async def edit(who: Editor, knowledge: Knowledge, id: Annotated[str, Query(max_length=200)]) -> Response:
    found = (await knowledge.golden.edits.current()).find(id)
    if found is None or not found.editable:
        raise ProblemError(404, "There is no such golden query", "Or its file gives it no id of its own.")
    return await _form(who, knowledge, Entry.of(found.query))


async def _form(
    who: Caller, knowledge: KnowledgeService, entry: Entry, problem: ProblemError | None = None
) -> Response:
    current = await knowledge.golden.edits.current()
    documents = [item.document for item in await knowledge.content.entries() if item.chunks]
    return knowledge_page(
        "golden_edit.html",
        who,
        "golden",
        status=problem.status if problem is not None else 200,
        problem=problem,
        entry=entry,
        rows=[*entry.documents, *[("", 1)] * EMPTY_ROWS],
        suggested=sorted(documents)[:SUGGESTED],
        refused=managed_sentence(current.managed_in) if current.managed_in else None,
    )


@router.post("")
async def save(
    who: Editor,
    knowledge: Knowledge,
    text: Annotated[str, Form(max_length=2000)] = "",
    kind: Annotated[str, Form(max_length=10)] = "query",
    document: Texts = [],  # noqa: B006 - FastAPI copies it
    grade: Texts = [],  # noqa: B006
    reason: Annotated[str, Form(max_length=500)] = "",
    id: Annotated[str, Form(max_length=200)] = "",
    digest: Annotated[str, Form(max_length=64)] = "",
) -> Response:
    """Add a query, or change that of `id`. What cannot be saved is shown again, with the reason."""
    entry = Entry(id, digest, text, kind == "problem", _documents(document, grade), reason)
    try:
        query = entry.golden()
        if id:
            await knowledge.golden.change(query, digest, who.subject, reason.strip())
        else:
            await knowledge.golden.add(query, who.subject, reason.strip())
    except ProblemError as problem:
        return await _form(who, knowledge, entry, problem)
    return _done("changed" if id else "added")


def _documents(names: list[str], grades: list[str]) -> tuple[tuple[str, int], ...]:
    pairs = zip_longest(names, grades[: len(names)], fillvalue="1")
    found = {name.strip(): int(grade) if grade in GRADES else 1 for name, grade in pairs if name.strip()}
    return tuple(found.items())


@router.post("/remove")
async def remove(
    who: Editor,
    knowledge: Knowledge,
    id: Annotated[str, Form(max_length=200)],
    digest: Annotated[str, Form(max_length=64)],
    reason: Annotated[str, Form(max_length=500)] = "",
) -> Response:
    if not reason.strip():
        raise ProblemError(422, "A reason is needed", "Go back and say why. Nothing was changed.")
    await knowledge.golden.remove(id, digest, who.subject, reason.strip())
    return _done("removed")


def _done(what: str) -> Response:
    return RedirectResponse(f"{PATH}?done={what}", 303)
