"""Rules behind the pages of the knowledge base: the pin, the diff of passages, golden queries, sources. Pure."""

from datetime import UTC, datetime

import pytest

from services.evaluator.domain import PromotionDecision, apply_pin
from services.evaluator.golden import GoldenQuery, unknown_documents
from services.evaluator.overview import source_states
from services.evaluator.passage_diff import by_document, changed_documents, compare, in_order
from shared.contracts.knowledge import Chunk, DocumentEntry, Fingerprint, Pin
from shared.knowledge.knowledge_file import KnowledgeFile

T0 = datetime(2026, 11, 3, 2, 0, tzinfo=UTC)
GOOD, BAD = PromotionDecision(True, "good"), PromotionDecision(False, "bad")
PIN = Pin(by="eve", since=T0, reason="audit")


def chunk(id: str, document: str = "a.md", path: tuple[str, ...] = (), text: str = "") -> Chunk:
    return Chunk(id=id, source="s", document=document, title="A", path=path, text=text or id)


def entry(document: str, *ids: str, unreadable: str | None = None, source: str = "s") -> DocumentEntry:
    return DocumentEntry(
        source=source, document=document, fingerprint=Fingerprint(), collection="c", target=2, refresh="r",
        change="new", chunks=tuple((id, 1) for id in ids), unreadable=unreadable,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("pin", "live", "target", "promote"),
    [
        (PIN, 1, 2, False),
        (PIN, 1, 1, True),  # the pinned version itself was evaluated again
        (None, 1, 2, True),
        (None, None, 1, True),
    ],
)
def test_a_pin_holds_back_what_would_take_its_place(
    pin: Pin | None, live: int | None, target: int, promote: bool
) -> None:
    assert apply_pin(GOOD, pin, live, target).promote is promote


def test_the_reason_names_who_pinned_and_why_and_a_bad_version_keeps_its_own() -> None:
    reason = apply_pin(GOOD, PIN, 1, 2).reason
    assert reason.startswith("pinned: version 1 stays live until it is unpinned (eve, 2026-11-03 02:00 UTC: audit)")
    assert apply_pin(BAD, PIN, 1, 2) == BAD


def test_documents_that_differ() -> None:
    before = by_document([chunk("1"), chunk("2"), chunk("3", "b.md"), chunk("4", "c.md")])
    after = by_document([chunk("1"), chunk("5"), chunk("3", "b.md"), chunk("6", "d.md")])
    found = [
        (item.document, item.kind, item.added, item.removed, item.kept) for item in changed_documents(before, after)
    ]
    assert found == [("a.md", "changed", 1, 1, 1), ("c.md", "removed", 0, 1, 0), ("d.md", "added", 1, 0, 0)]
    assert changed_documents(before, before) == []


def test_passages_are_in_the_order_of_the_document_and_old_ones_beside_their_headings() -> None:
    chunks = [chunk("z", path=("Care",)), chunk("a", path=("Signs",)), chunk("old", path=("Care",)), chunk("gone")]
    assert [item.id for item in in_order(chunks, entry("a.md", "a", "z"))] == ["a", "old", "z", "gone"]


def test_a_changed_passage_is_compared_word_by_word() -> None:
    before = [chunk("1", path=("Signs",)), chunk("2", path=("Care",), text="rest and water")]
    after = [chunk("1", path=("Signs",)), chunk("3", path=("Care",), text="rest and tea"), chunk("4", path=("New",))]
    rows = compare(before, after)
    assert [row.kind for row in rows] == ["same", "changed", "added"]
    assert [(part.kind, part.text) for part in rows[1].segments] == [
        ("same", "rest and "), ("removed", "water"), ("added", "tea"),
    ]  # fmt: skip
    assert [row.kind for row in compare(before, before[:1])] == ["same", "removed"]
    long = [chunk("5", text="w " * 2000)], [chunk("6", text="v " * 2000)]
    assert [part.kind for part in compare(*long)[0].segments] == ["removed", "added"]


def test_a_document_is_known_by_any_of_its_names() -> None:
    query = GoldenQuery.model_validate(
        {"id": "q", "query": "x", "relevant": ["gout", "s/gout.md", "gout.md", "plague"]}
    )
    assert unknown_documents([query], [("s", "gout.md")]) == [(query, "plague")]


def test_the_state_of_sources_counts_documents_and_names_those_no_longer_declared() -> None:
    file = KnowledgeFile.model_validate({"sources": [{"name": "s", "kind": "guideline", "folder": "docs"}]})
    entries = [entry("a.md", "1"), entry("b.pdf", unreadable="no text"), entry("c.md", "2", source="old")]
    declared, gone = source_states(file, entries)
    assert (declared.documents, declared.unreadable, declared.place, declared.declared) == (1, 1, "folder docs", True)
    assert (gone.name, gone.documents, gone.declared) == ("old", 1, False)
