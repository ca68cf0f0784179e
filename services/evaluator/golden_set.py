"""The set of golden queries that counts: those of the files, and the edits of people over them. Pure.

Revisions are numbered from 1 without a gap: one for each edit, and one when the files have changed. The number of the
last one is the version of the set.
"""

import json
import re
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from services.evaluator.golden import GoldenQuery, unknown_documents
from shared.contracts.envelope import sha256_hex
from shared.contracts.model import Model
from shared.contracts.subjects import derived_id
from shared.runtime.problems import ProblemError

WITHOUT_ID = re.compile(r"line-[0-9]+")  # the id of a query that its file gives none: another line may have it tomorrow
Action = Literal["added", "changed", "removed", "files-changed"]


class FileQuery(Model):
    """A query of a file. `editable`: it has an id of its own that no other query of the files has."""

    query: GoldenQuery
    file: str
    editable: bool


class GoldenRevision(Model):
    """One change of the set, with the digests of the queries of the files and of the whole set after it."""

    number: int
    action: Action
    id: str = ""  # of the query; empty where the files have changed
    query: GoldenQuery | None = None  # after it; None where it was removed
    files: str
    managed_in: str | None = None  # set: edits do not count
    digest: str
    by: str = ""  # subject of the caller; empty where the files have changed
    reason: str = ""
    time: datetime


@dataclass(frozen=True, slots=True)
class GoldenItem:
    """A query of the set. `edit`: the edit that made it what it is; `declared`: what the file says instead."""

    query: GoldenQuery
    file: str | None
    editable: bool = True
    edit: GoldenRevision | None = None
    declared: GoldenQuery | None = None


@dataclass(frozen=True, slots=True)
class Change:
    """An edit that was decided. `query` is None for a removal."""

    action: Action
    id: str
    query: GoldenQuery | None


@dataclass(frozen=True, slots=True)
class GoldenSet:
    """The set at one time. `problems`: files that cannot be read; the set is incomplete then."""

    files: tuple[FileQuery, ...]
    revisions: tuple[GoldenRevision, ...]
    managed_in: str | None = None
    problems: tuple[str, ...] = ()

    @property
    def items(self) -> list[GoldenItem]:
        edits = self._edits()
        found = [made for item in self.files if (made := _over(item, edits)) is not None]
        declared = {item.query.id for item in self.files if item.editable}
        added = [edit for id, edit in edits.items() if edit.query is not None and id not in declared]
        return found + [GoldenItem(edit.query, None, edit=edit) for edit in added if edit.query is not None]

    @property
    def removed(self) -> list[FileQuery]:
        """Return the queries of the files that an edit has removed."""
        edits = self._edits()
        return [item for item in self.files if item.editable and _is_removal(edits.get(item.query.id))]

    @property
    def queries(self) -> list[GoldenQuery]:
        return [item.query for item in self.items]

    @property
    def digest(self) -> str:
        return sha256_hex("\n".join(map(line, self.queries)).encode())

    @property
    def files_digest(self) -> str:
        return sha256_hex("\n".join(item.model_dump_json() for item in self.files).encode())

    @property
    def version(self) -> int | None:
        """Return the number of the set; None while the files say something that was not numbered yet."""
        last = self.revisions[-1] if self.revisions else None
        return last.number if last is not None and last.digest == self.digest else None

    def find(self, id: str) -> GoldenItem | None:
        return next((item for item in self.items if item.query.id == id), None)

    def is_removed(self, id: str) -> bool:
        return _is_removal(self._edits().get(id))

    def revised(self, change: Change, by: str, reason: str, time: datetime) -> "GoldenSet":
        """Return the set after a change, with its revision as the last one."""
        drafted = GoldenRevision(
            number=self.revisions[-1].number + 1 if self.revisions else 1,
            action=change.action,
            id=change.id,
            query=change.query,
            files=self.files_digest,
            managed_in=self.managed_in,
            digest="",
            by=by,
            reason=reason,
            time=time,
        )
        after = GoldenSet(self.files, (*self.revisions, drafted), self.managed_in)
        return GoldenSet(
            self.files, (*self.revisions, drafted.model_copy(update={"digest": after.digest})), self.managed_in
        )

    def _edits(self) -> Mapping[str, GoldenRevision]:
        if self.managed_in is not None:
            return {}
        return {item.id: item for item in self.revisions if item.action != "files-changed"}


FILES_CHANGED = Change("files-changed", "", None)
Decision = Callable[[GoldenSet], Change | None]  # None: the set is so already


def file_queries(files: Iterable[tuple[str, Sequence[GoldenQuery]]]) -> tuple[FileQuery, ...]:
    """Return the queries of files, which are given by their names."""
    read = [(name, query) for name, queries in files for query in queries]
    times = Counter(query.id for _, query in read)
    return tuple(
        FileQuery(query=query, file=name, editable=times[query.id] == 1 and not WITHOUT_ID.fullmatch(query.id))
        for name, query in read
    )


def line(query: GoldenQuery) -> str:
    """Return a query as a line of a golden file."""
    question = {"query": query.query} if query.query else {"problem": query.problem}
    relevant = [{"doc_id": item.doc_id, "grade": item.grade} for item in query.relevant]
    return json.dumps({"id": query.id, **question, "relevant": relevant}, ensure_ascii=False)


def query_digest(query: GoldenQuery) -> str:
    """Return what an edit names as seen: the query is another one if it has changed since."""
    return sha256_hex(line(query).encode())


def id_of(text: str) -> str:
    """Return the id of a new query, from its text: sent twice, it is one."""
    return f"q-{derived_id(text, 'golden')[:8]}"


def added(query: GoldenQuery) -> Decision:
    """Return the decision to add a query."""

    def decide(current: GoldenSet) -> Change | None:
        _check_editable(current)
        known = current.find(query.id)
        if known is not None:
            if known.query == query:
                return None
            words = f"The golden query {query.id} asks: {known.query.text}. Edit it instead."
            raise ProblemError(409, "There is another golden query of that id", words)
        _check_text(current, query)
        return Change("added", query.id, query)

    return decide


def changed(query: GoldenQuery, seen: str) -> Decision:
    """Return the decision to put `query` in the place of that of its id, whose digest was `seen`."""

    def decide(current: GoldenSet) -> Change | None:
        known = _known(current, query.id)
        if known.query == query:
            return None
        _check_seen(known, seen)
        _check_text(current, query)
        return Change("changed", query.id, query)

    return decide


def removed(id: str, seen: str) -> Decision:
    """Return the decision to remove a query, whose digest was `seen`."""

    def decide(current: GoldenSet) -> Change | None:
        _check_editable(current)
        if current.find(id) is None and current.is_removed(id):
            return None
        _check_seen(_known(current, id), seen)
        return Change("removed", id, None)

    return decide


def check_documents(query: GoldenQuery, documents: Collection[tuple[str, str]]) -> None:
    """Raise ProblemError unless every expected document is one of `documents`, by source and name."""
    missing = [name for _, name in unknown_documents([query], documents)]
    if missing:
        raise ProblemError(
            422, "There is no such document", f"Neither the live nor the newest version has: {', '.join(missing[:5])}."
        )


def _over(item: FileQuery, edits: Mapping[str, GoldenRevision]) -> GoldenItem | None:
    edit = edits.get(item.query.id) if item.editable else None
    if edit is None or edit.query == item.query:
        return GoldenItem(item.query, item.file, item.editable)
    return GoldenItem(edit.query, item.file, True, edit, item.query) if edit.query is not None else None


def _is_removal(edit: GoldenRevision | None) -> bool:
    return edit is not None and edit.query is None


def _check_editable(current: GoldenSet) -> None:
    if current.managed_in is not None:
        raise ProblemError(409, "Golden queries are managed elsewhere", managed_sentence(current.managed_in))
    if current.problems:
        raise ProblemError(409, "The golden queries cannot be read", current.problems[0])


def managed_sentence(managed_in: str) -> str:
    """Return why the golden queries cannot be edited."""
    return f"The knowledge file says that golden queries are managed in {managed_in}: change them there."


def _known(current: GoldenSet, id: str) -> GoldenItem:
    _check_editable(current)
    found = current.find(id)
    if found is None:
        raise ProblemError(404, "There is no such golden query")
    if not found.editable:
        raise ProblemError(
            409, "That golden query has no id of its own", f"Give it one in {found.file}, which no other query has."
        )
    return found


def _check_seen(known: GoldenItem, seen: str) -> None:
    if query_digest(known.query) != seen:
        who = f" by {known.edit.by}" if known.edit is not None else ""
        raise ProblemError(409, "The golden query has changed", f"It was changed{who}. Read it again, then edit it.")


def _check_text(current: GoldenSet, query: GoldenQuery) -> None:
    words = query.text.strip().casefold()
    for item in current.items:
        if item.query.id != query.id and item.query.text.strip().casefold() == words:
            raise ProblemError(409, "There is a golden query of that text", f"Its id is {item.query.id}.")
