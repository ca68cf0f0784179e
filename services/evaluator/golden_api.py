"""REST API of the golden queries: the set that counts, its history, and edits of it."""

from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Path, Query, Response
from pydantic import BaseModel, ConfigDict, Field, JsonValue, StringConstraints, model_validator

from services.evaluator.dependencies import AnyRole, Editor, Knowledge
from services.evaluator.golden import GoldenQuery, RelevantDocument
from services.evaluator.golden_set import Action, GoldenItem, GoldenSet, id_of, line, query_digest
from services.evaluator.knowledge_api import Reason
from shared.runtime.api_route import ApiRoute
from shared.runtime.problems import ProblemError, problem_responses

router = APIRouter(prefix="/v1/knowledge/golden", tags=["knowledge"], route_class=ApiRoute)

EDIT_PROBLEMS = {409: "it was changed in the meantime, there is another one of that id or text, or it cannot be edited"}
UNKNOWN = {404: "there is no such golden query"}
MEDIA_TYPE = "application/jsonl"
EXPORT: dict[int | str, dict[str, Any]] = {
    200: {"content": {MEDIA_TYPE: {}}, "description": "the lines of a golden file"},
    **problem_responses({404: "there is no such version", 409: "a file of golden queries cannot be read"}),
}

Text = Annotated[str, StringConstraints(strip_whitespace=True, max_length=2000)]
NewId = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")]
Digest = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]


class ExpectedDocument(BaseModel):
    """A document that answers the query. The grade says how well, 1 or more."""

    model_config = ConfigDict(extra="forbid")

    doc_id: Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=1000)] = Field(
        description="path, address or code of a document, with or without its source and suffix"
    )
    grade: int = Field(default=1, ge=1, le=9, description="how well it answers")


class Question(BaseModel):
    """A query or a problem, the documents that answer it, and why it is added or changed."""

    model_config = ConfigDict(extra="forbid")

    query: Text = Field(default="", description="words to search; empty where `problem` is given")
    problem: Text = Field(default="", description="a diagnosis as records name it, in place of `query`")
    relevant: list[ExpectedDocument] = Field(max_length=100, description="may be empty for a problem only")
    reason: Reason

    @model_validator(mode="after")
    def _check(self) -> "Question":
        if bool(self.query) == bool(self.problem):
            raise ValueError("needs either a query or a problem")
        if self.query and not self.relevant:
            raise ValueError("a query needs a document that answers it")
        return self

    def golden(self, id: str) -> GoldenQuery:
        return GoldenQuery.model_validate(self.model_dump(include={"query", "problem", "relevant"}) | {"id": id})


EXAMPLE: dict[str, JsonValue] = {
    "query": "how is alendronate taken",
    "relevant": [{"doc_id": "F022", "grade": 2}],
    "reason": "asked by the ward on 12 November",
}


class NewGoldenQuery(Question):
    """A golden query to add."""

    model_config = ConfigDict(json_schema_extra={"examples": [EXAMPLE]})

    id: NewId | None = Field(default=None, description="default: derived from the text, so that sent twice it is one")


class ChangedGoldenQuery(Question):
    """What a golden query shall be."""

    model_config = ConfigDict(json_schema_extra={"examples": [EXAMPLE | {"digest": "0" * 64}]})

    digest: Digest = Field(description="of the query as it was read: refused where it has changed since")


class GoldenQueryView(BaseModel):
    """A golden query as it counts."""

    id: str = Field(description="id of the query")
    query: str = Field(description="words to search; empty where `problem` is given")
    problem: str = Field(description="a diagnosis as records name it, in place of `query`")
    relevant: list[RelevantDocument] = Field(description="documents that answer it")
    digest: str = Field(description="to be named by an edit of it")
    file: str | None = Field(description="that declares it; null for one that was added here")
    editable: bool = Field(description="false where its file gives it no id of its own")
    changed_in: int | None = Field(description="version of the set with the edit that made it so; null: as its file")
    unknown: list[str] = Field(description="expected documents that the newest version does not have")


class GoldenQueryList(BaseModel):
    """The set of golden queries."""

    version: int | None = Field(description="null: the files have changed; the next evaluation numbers the set")
    managed_in: str | None = Field(description="where golden queries are changed instead of here")
    problems: list[str] = Field(description="files that cannot be read")
    items: list[GoldenQueryView]
    removed: list[str] = Field(description="ids of queries of the files that an edit has removed")


class GoldenRevisionView(BaseModel):
    """One change of the set: its number is the set's version after it."""

    version: int = Field(description="version of the set after it")
    action: Action = Field(description="what was done")
    id: str = Field(description="of the query; empty where the files have changed")
    query: GoldenQuery | None = Field(description="after it; null where it was removed or the files have changed")
    by: str
    reason: str
    time: datetime


class GoldenHistory(BaseModel):
    """What was changed, newest first."""

    items: list[GoldenRevisionView]


class Edited(BaseModel):
    """The version of the set after an edit."""

    id: str = Field(description="id of the query")
    version: int = Field(description="version of the set after the edit")


def _edited(id: str, current: GoldenSet) -> Edited:
    return Edited(id=id, version=current.revisions[-1].number)


def _view(item: GoldenItem, unknown: tuple[str, ...]) -> GoldenQueryView:
    return GoldenQueryView(
        **item.query.model_dump(),
        digest=query_digest(item.query),
        file=item.file,
        editable=item.editable,
        changed_in=item.edit.number if item.edit is not None else None,
        unknown=list(unknown),
    )


@router.get("", summary="The golden queries that count: those of the files, with the edits of people")
async def golden_queries(_: AnyRole, knowledge: Knowledge) -> GoldenQueryList:
    found = await knowledge.golden.rows(())
    return GoldenQueryList(
        version=found.set.version,
        managed_in=found.set.managed_in,
        problems=list(found.set.problems),
        items=[_view(row.item, row.unknown) for row in found.rows],
        removed=[item.query.id for item in found.set.removed],
    )


@router.get("/history", summary="Who changed the golden queries, when and why, newest first")
async def history(_: AnyRole, knowledge: Knowledge) -> GoldenHistory:
    found = reversed(await knowledge.golden.edits.revisions())
    return GoldenHistory(items=[GoldenRevisionView(version=item.number, **item.model_dump()) for item in found])


@router.get(
    "/export",
    summary="The golden queries as a file, one on a line",
    response_class=Response,
    responses=EXPORT,
)
async def export(
    _: AnyRole,
    knowledge: Knowledge,
    version: Annotated[int | None, Query(ge=1, description="of the set; default: as it is now")] = None,
) -> Response:
    return await golden_file(knowledge, version)


async def golden_file(knowledge: Knowledge, version: int | None) -> Response:
    """Return the set as a file to save. Raises ProblemError."""
    edits = knowledge.golden.edits
    found = await edits.at(version) if version is not None else await edits.current()
    if found.problems:
        raise ProblemError(409, "The golden queries cannot be read", found.problems[0])
    text = "".join(f"{line(query)}\n" for query in found.queries)
    return Response(text, media_type=MEDIA_TYPE, headers={"Content-Disposition": 'attachment; filename="golden.jsonl"'})


@router.post(
    "",
    status_code=201,
    summary="Add a golden query",
    description="Its documents must exist in the newest or the live version. It counts from the next evaluation on.",
    responses=problem_responses(EDIT_PROBLEMS),
)
async def add(body: NewGoldenQuery, who: Editor, knowledge: Knowledge) -> Edited:
    query = body.golden(body.id or id_of(body.query or body.problem))
    return _edited(query.id, await knowledge.golden.add(query, who.subject, body.reason))


Id = Annotated[str, Path(max_length=200, description="id of the golden query")]


@router.put("/{id:path}", summary="Change a golden query", responses=problem_responses(UNKNOWN | EDIT_PROBLEMS))
async def change(id: Id, body: ChangedGoldenQuery, who: Editor, knowledge: Knowledge) -> Edited:
    return _edited(id, await knowledge.golden.change(body.golden(id), body.digest, who.subject, body.reason))


@router.delete(
    "/{id:path}",
    summary="Remove a golden query",
    description="One of a file stays in the file, and does not count.",
    responses=problem_responses(UNKNOWN | EDIT_PROBLEMS),
)
async def remove(
    id: Id,
    who: Editor,
    knowledge: Knowledge,
    digest: Annotated[Digest, Query(description="of the query as it was read")],
    reason: Annotated[Reason, Query(description="why it is removed")],
) -> Edited:
    return _edited(id, await knowledge.golden.remove(id, digest, who.subject, reason))
