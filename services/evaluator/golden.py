"""Read golden queries: a JSONL file, one query on a line, each with its relevant documents.

`problem` in place of `query` is a diagnosis as a record names it, which is what drafts query. The threshold is chosen
on these, also with an empty `relevant`: problems that the knowledge base says nothing about.
"""

import json
from collections.abc import Collection, Iterable
from pathlib import Path, PurePosixPath

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from shared.contracts.errors import PermanentError
from shared.knowledge.knowledge_file import KnowledgeFile


class RelevantDocument(BaseModel):
    """A relevant document with its grade, 1 or more."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    doc_id: str = Field(description="path, address or code of a document")
    grade: int = Field(default=1, ge=0, description="how well it answers; 0: not at all")


class GoldenQuery(BaseModel):
    """One line. `relevant` may also be a list of ids; it may be empty for a problem only."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    id: str = Field(default="", description="id of the query")
    query: str = Field(default="", description="words to search; empty where `problem` is given")
    problem: str = Field(default="", description="a diagnosis as records name it, in place of `query`")
    relevant: tuple[RelevantDocument, ...] = Field(description="documents that answer it")

    @field_validator("relevant", mode="before")
    @classmethod
    def _plain_ids(cls, value: object) -> object:
        if not isinstance(value, list | tuple):
            return value
        return [{"doc_id": item} if isinstance(item, str) else item for item in value]

    @model_validator(mode="after")
    def _one_question(self) -> "GoldenQuery":
        if bool(self.query.strip()) == bool(self.problem.strip()):
            raise ValueError("needs either a query or a problem")
        if self.query and not self.relevant:
            raise ValueError("a query needs a document that answers it")
        return self

    @property
    def text(self) -> str:
        return self.query or self.problem

    @property
    def grades(self) -> dict[str, int]:
        return {item.doc_id: item.grade for item in self.relevant if item.grade > 0}


def read_golden_queries(path: Path) -> list[GoldenQuery]:
    """Return the queries of a file.

    Raises PermanentError naming the first invalid line.
    """
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise PermanentError(f"the golden queries {path} cannot be read ({type(error).__name__})") from None
    found = []
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            query = GoldenQuery.model_validate(json.loads(line))
        except (ValidationError, ValueError):
            raise PermanentError(
                f"{path}, line {number}: not a golden query; it needs 'query' (or 'problem') and 'relevant', a list of "
                "document ids, which only a problem's may leave empty"
            ) from None
        found.append(query if query.id else query.model_copy(update={"id": f"line-{number}"}))
    return found


def golden_files(file: KnowledgeFile, scanned: Collection[str]) -> list[Path]:
    """Return the files of golden queries: that of the knowledge base, and of every source that was scanned."""
    paths = [file.golden, *(source.golden for source in file.sources if source.name in scanned)]
    return list(dict.fromkeys(path for path in paths if path is not None))


def unknown_documents(
    queries: Iterable[GoldenQuery], documents: Iterable[tuple[str, str]]
) -> list[tuple[GoldenQuery, str]]:
    """Return each query that names a document which is not there, with the name. `documents`: source and name."""
    known = {name for source, document in documents for name in document_names(document, source)}
    return [(query, name) for query in queries for name in query.grades if name not in known]


def document_names(document: str, source: str) -> tuple[str, ...]:
    """Return the names that a golden file may use for a document: id and file name, with and without suffix."""
    path = PurePosixPath(document)
    bare = path.with_suffix("").as_posix() if path.suffix else document
    return tuple(dict.fromkeys((document, bare, path.name, path.stem, f"{source}/{document}")))


def match_document_id(document: str, source: str, grades: dict[str, int]) -> str:
    """Return the id that `grades` has for a document; the document's own where it has none."""
    return next((name for name in document_names(document, source) if name in grades), document)
