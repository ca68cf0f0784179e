"""The set of golden queries: files, edits over them, numbers, and edits that are refused. Pure."""

from datetime import UTC, datetime

import pytest
from pydantic import ValidationError

from services.evaluator.golden import GoldenQuery
from services.evaluator.golden_api import NewGoldenQuery
from services.evaluator.golden_set import (
    FILES_CHANGED,
    Decision,
    GoldenSet,
    added,
    changed,
    check_documents,
    file_queries,
    id_of,
    query_digest,
    removed,
)
from shared.runtime.problems import ProblemError

NOW = datetime(2026, 11, 3, 2, 0, tzinfo=UTC)


def query(id: str, text: str = "", *documents: str) -> GoldenQuery:
    return GoldenQuery.model_validate({"id": id, "query": text or f"care of {id}", "relevant": documents or [id]})


def numbered(current: GoldenSet) -> GoldenSet:
    return current.revised(FILES_CHANGED, "", "", NOW)


def declared(*queries: GoldenQuery, managed_in: str | None = None) -> GoldenSet:
    return numbered(GoldenSet(file_queries([("golden.jsonl", queries)]), (), managed_in))


def edited(current: GoldenSet, decide: Decision) -> GoldenSet:
    change = decide(current)
    return current if change is None else current.revised(change, "eve", "asked", NOW)


def status(current: GoldenSet, decide: Decision) -> int:
    with pytest.raises(ProblemError) as found:
        decide(current)
    return found.value.status


GOUT, MUMPS = query("gout"), query("mumps")
BASE = declared(GOUT, MUMPS)


def test_edits_stand_over_the_files_and_each_has_a_number() -> None:
    other = query("gout", "gout attack")
    found = edited(edited(BASE, added(query("new"))), changed(other, query_digest(GOUT)))
    found = edited(found, removed("mumps", query_digest(MUMPS)))
    assert found.queries == [other, query("new")]
    assert [(item.number, item.action) for item in found.revisions] == [
        (1, "files-changed"), (2, "added"), (3, "changed"), (4, "removed"),
    ]  # fmt: skip
    assert (found.version, [item.query.id for item in found.removed]) == (4, ["mumps"])
    assert found.items[0].declared == GOUT


def test_what_is_sent_twice_is_one_revision() -> None:
    new = query(id_of("Gout?"), "Gout?", "gout")
    steps = [added(new), changed(query("gout", "x"), query_digest(GOUT)), removed("mumps", query_digest(MUMPS))]
    found = BASE
    for step in steps:
        found = edited(found, step)
        assert edited(found, step) is found


def test_another_edit_in_between_is_a_conflict() -> None:
    found = edited(BASE, changed(query("gout", "first"), query_digest(GOUT)))
    assert status(found, changed(query("gout", "second"), query_digest(GOUT))) == 409
    assert status(found, removed("gout", query_digest(GOUT))) == 409
    assert edited(found, removed("mumps", query_digest(MUMPS))).version == 3  # another query: no conflict


def test_a_query_that_is_there_or_is_not_there_is_refused() -> None:
    assert status(BASE, added(query("gout", "another text"))) == 409
    assert status(BASE, added(query("other", "Care of GOUT"))) == 409
    assert status(BASE, changed(query("gout", "care of mumps"), query_digest(GOUT))) == 409
    assert status(BASE, changed(query("none"), query_digest(GOUT))) == 404
    assert status(BASE, removed("none", query_digest(GOUT))) == 404


def test_a_change_of_the_files_is_a_version_and_edits_stay() -> None:
    found = edited(BASE, changed(query("gout", "gout attack"), query_digest(GOUT)))
    files = file_queries([("golden.jsonl", [query("gout", "third text"), query("rickets")])])
    after = GoldenSet(files, found.revisions)
    assert after.version is None
    assert [item.text for item in numbered(after).queries] == ["gout attack", "care of rickets"]
    assert numbered(after).version == 3


def test_an_exported_set_that_is_the_file_leaves_no_edits() -> None:
    found = edited(edited(BASE, added(query("new"))), removed("mumps", query_digest(MUMPS)))
    exported = GoldenSet(file_queries([("golden.jsonl", found.queries)]), found.revisions)
    assert [item.edit for item in exported.items] == [None, None]
    assert (exported.removed, exported.version) == ([], 3)


def test_what_is_managed_elsewhere_is_as_the_files_and_cannot_be_edited() -> None:
    found = edited(BASE, added(query("new")))
    managed = GoldenSet(found.files, found.revisions, "Git")
    assert managed.queries == [GOUT, MUMPS]
    assert managed.version is None  # another set than the last one that was numbered
    assert status(managed, added(query("other"))) == status(managed, removed("gout", query_digest(GOUT))) == 409


def test_a_query_without_an_id_of_its_own_cannot_be_edited() -> None:
    twice = GoldenSet(file_queries([("a", [query("gout", "a"), query("line-2")]), ("b", [query("gout", "b")])]), ())
    assert [item.editable for item in twice.items] == [False, False, False]
    assert status(twice, changed(query("gout", "c"), query_digest(query("gout", "a")))) == 409
    assert status(twice, removed("line-2", query_digest(query("line-2")))) == 409


def test_files_that_cannot_be_read_cannot_be_edited() -> None:
    assert status(GoldenSet((), (), None, ("golden.jsonl, line 2",)), added(GOUT)) == 409


def test_every_expected_document_must_exist() -> None:
    check_documents(query("a", "a", "gout", "library/mumps.md"), [("library", "gout.md"), ("library", "mumps.md")])
    with pytest.raises(ProblemError, match="no such document") as found:
        check_documents(query("a", "a", "gout", "plague"), [("library", "gout.md")])
    assert (found.value.status, found.value.detail) == (422, "Neither the live nor the newest version has: plague.")


@pytest.mark.parametrize(
    "body",
    [
        {"query": "", "relevant": [{"doc_id": "a"}]},
        {"query": "a", "problem": "b", "relevant": [{"doc_id": "a"}]},
        {"query": "a", "relevant": []},
        {"query": "a", "relevant": [{"doc_id": "a", "grade": 0}]},
        {"query": "a", "relevant": [{"doc_id": "a"}], "id": "a/b"},
    ],
)
def test_a_body_that_is_not_complete_is_refused(body: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        NewGoldenQuery.model_validate(body | {"reason": "why"})
    assert NewGoldenQuery.model_validate({"problem": "a", "relevant": [], "reason": "why"}).golden("x").problem == "a"
