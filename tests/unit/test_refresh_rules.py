"""Rules of a refresh: what a document means for a version, whose turn it is, when the night comes, the file."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from services.embedder import domain as embedder
from services.ingest.refresh import plan, refresh_queue
from services.ingest.refresh.schedule import next_run
from shared.contracts.errors import PermanentError
from shared.contracts.knowledge import STILL_VALID, Chunk, DocumentEntry, Fingerprint, point_id
from shared.contracts.refresh import AttemptFailed, Indexed, RefreshRef, Started
from shared.contracts.refresh_state import Refresh
from shared.knowledge import knowledge_file
from shared.knowledge.knowledge_file import PeakHours, Schedule
from shared.knowledge.live import QueuedRefresh, RefreshQueue, oldest_retained
from shared.knowledge.vector_store import PointValidity

PRINT = Fingerprint(digest="a")


def target(version: int = 3, *, fill: bool = False, collection: str = "c", head: int = 2) -> plan.TargetVersion:
    started = Started(sources=(), target=version, embedder="e", collection=collection, fill=fill)
    return plan.TargetVersion("r2", started, head)


def chunks(*ids: str) -> list[Chunk]:
    return [Chunk(id=id, source="s", document="d", title="t", text=id) for id in ids]


def entry(*placed: tuple[str, int], retired: tuple[tuple[str, int], ...] = (), version: int = 2) -> DocumentEntry:
    return DocumentEntry(
        source="s", document="d", fingerprint=PRINT, collection="c", target=version, refresh="r1", change="new",
        chunks=placed, retired=retired,
    )  # fmt: skip


def test_what_stays_keeps_its_version_and_only_the_new_is_embedded() -> None:
    found, fresh = plan.updated_entry("s", "d", PRINT, entry(("a", 1), ("b", 2)), chunks("b", "c"), target())
    assert (found.chunks, found.retired, found.change) == ((("b", 2), ("c", 3)), (("a", 1),), "changed")
    assert [item.id for item in fresh] == ["c"]


def test_a_failed_refresh_counts_for_nothing() -> None:
    dirty = entry(("b", 2), ("x", 3), retired=(("a", 1),), version=3)
    found, fresh = plan.updated_entry("s", "d", PRINT, dirty, chunks("a", "b"), target())
    assert (sorted(found.chunks), found.retired, fresh) == ([("a", 1), ("b", 2)], (), [])
    assert sorted(plan.removed_entry(dirty, target()).retired) == [("a", 1), ("b", 2)]


def test_a_filled_collection_takes_nothing_over() -> None:
    found, fresh = plan.updated_entry(
        "s", "d", PRINT, entry(("a", 1)), chunks("a"), target(collection="other", fill=True)
    )
    assert (found.chunks, found.retired, len(fresh)) == ((("a", 3),), (), 1)
    found, fresh = plan.updated_entry("s", "d", PRINT, entry(("a", 1)), chunks("a"), target(fill=True))
    assert (found.chunks, found.retired, len(fresh)) == ((("a", 3),), (("a", 1),), 1)


def test_a_document_that_cannot_be_read_keeps_what_was_there() -> None:
    kept = plan.unreadable_entry("s", "d", PRINT, entry(("a", 1)), "damaged", target())
    assert (kept.chunks, kept.unreadable) == ((("a", 1),), "damaged")
    assert plan.unreadable_entry("s", "d", PRINT, None, "damaged", target()).chunks == ()


def test_the_base_is_made_to_show_what_the_manifest_says() -> None:
    wanted = embedder.ExpectedPoints(3, "c")
    wanted.add(entry(("kept", 1), ("new", 3), ("lost", 3), retired=(("gone", 1),), version=3))
    wanted.add(entry(("other", 3), version=3).model_copy(update={"collection": "elsewhere"}))
    mending = wanted.compare(
        [
            PointValidity(point_id("new", 3), 3, STILL_VALID),
            PointValidity("orphan", 3, STILL_VALID),
            PointValidity(point_id("kept", 1), 1, 3),
        ]
    )
    assert mending.missing == {point_id("lost", 3)}
    assert mending.orphans == ("orphan",)
    assert mending.to_expire == (point_id("gone", 1),)
    assert mending.to_restore == (point_id("kept", 1),)


def refresh(id: str, *, failed: bool = False, sources: tuple[str, ...] = ("s",)) -> Refresh:
    started = Started(sources=sources, target=3, embedder="e", collection="c", fill=False)
    indexed = Indexed(target=3, embedder="e", collection="c", points=1)
    failure = AttemptFailed(step="embed", reason="x", attempt=2)
    return Refresh(
        ref=RefreshRef("s", id),
        started=started,
        indexed=None if failed else indexed,
        failure=failure if failed else None,
    )


def test_refreshes_take_turns() -> None:
    one, two = QueuedRefresh(refresh="1", source="s"), QueuedRefresh(refresh="2", source="s")
    queue = refresh_queue.enqueue(refresh_queue.enqueue(RefreshQueue(head=2), one), two)
    assert (queue.active, queue.waiting) == (one, (two,))
    assert refresh_queue.enqueue(queue, two) == queue
    after = refresh_queue.complete(queue, refresh("1"), "promoted")
    assert (after.active, after.waiting, after.head, after.collection) == (two, (), 3, "c")
    assert refresh_queue.complete(after, refresh("1"), "promoted") == after


def test_what_failed_half_way_is_looked_at_with_whatever_comes_next() -> None:
    queue = refresh_queue.enqueue(RefreshQueue(head=2), QueuedRefresh(refresh="1", source="s"))
    after = refresh_queue.complete(queue, refresh("1", failed=True), "failed")
    assert (after.head, after.dirty, after.active) == (2, ("s",), None)
    assert refresh_queue.sources_to_scan(("t",), after, fill=False) == ("s", "t")
    assert refresh_queue.sources_to_scan(("t",), after, fill=True) == ()
    everything = refresh_queue.complete(queue, refresh("1", failed=True, sources=()), "failed")
    assert refresh_queue.sources_to_scan(("t",), everything, fill=False) == ()


BERLIN = Schedule(time_zone="Europe/Berlin")


@pytest.mark.parametrize(
    ("now", "wanted"),
    [
        ("2026-11-23T00:30:00", "2026-11-23T01:00:00"),
        ("2026-11-23T01:00:00", "2026-11-24T01:00:00"),
        ("2026-03-28T02:00:00", "2026-03-29T01:00:00"),  # 02:00 does not exist that night: 03:00 summer time
        ("2026-03-29T01:00:00", "2026-03-30T00:00:00"),
        ("2026-10-24T12:00:00", "2026-10-25T00:00:00"),  # 02:00 comes twice: the first one
        ("2026-10-25T00:00:00", "2026-10-26T01:00:00"),
    ],
)
def test_the_night_comes_once_a_day_on_the_clock_of_the_wall(now: str, wanted: str) -> None:
    found = next_run(BERLIN, datetime.fromisoformat(now).replace(tzinfo=UTC))
    assert found == datetime.fromisoformat(wanted).replace(tzinfo=UTC)


def peak(start: str, end: str, *days: str) -> PeakHours:
    return PeakHours.model_validate({"from": start, "to": end, "days": days or ["mon"], "time_zone": "Europe/Berlin"})


def test_peak_hours_of_several_departments_are_one_pause() -> None:
    windows = [peak("07:00", "09:00"), peak("08:30", "10:00"), peak("11:00", "12:00")]
    monday = datetime(2026, 11, 23, 7, 15, tzinfo=UTC)  # 08:15 in Berlin
    assert embedder.peak_until(windows, monday) == datetime(2026, 11, 23, 9, 0, tzinfo=UTC)
    assert embedder.peak_until(windows, monday.replace(day=24)) is None
    assert embedder.next_peak(windows, monday) == datetime(2026, 11, 23, 7, 30, tzinfo=UTC)
    assert embedder.next_peak([], monday) is None


@pytest.mark.parametrize(
    ("newest", "live", "keep", "oldest"), [(5, 5, 30, 1), (40, 40, 30, 11), (40, 3, 30, 3), (1, None, 30, 1)]
)
def test_versions_are_kept_and_live_always_is(newest: int, live: int | None, keep: int, oldest: int) -> None:
    assert oldest_retained(newest, live, keep) == oldest


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("sources: [{name: X, kind: guideline, folder: a}]", "sources.0.name"),
        ("sources: [{name: x, kind: guideline}]", "needs either a folder or urls"),
        ("sources: [{name: x, kind: formulary}]", "sources.0.file: is missing"),
        ("sources: [{name: x, kind: other}]", "sources.0"),
        ("sources: [{name: all, kind: formulary, file: a}]", "cannot be called 'all'"),
        ("sources: [{name: x, kind: formulary, file: a}, {name: x, kind: formulary, file: b}]", "same name"),
        ("sources: [{name: x, kind: formulary, file: a, schedule: {time_zone: Mars}}]", "IANA time zone"),
        ("promotion: {mrr: 2}", "promotion.mrr"),
        ("unknown: 1", "unknown: is not known here"),
        ("a: [", "is not YAML, line 1"),
    ],
)
def test_a_broken_declaration_says_where_and_why(tmp_path: Path, text: str, words: str) -> None:
    file = tmp_path / "k.yaml"
    file.write_text(text)
    with pytest.raises(PermanentError) as error:
        knowledge_file.read_knowledge_file(file)
    assert words in error.value.reason


def test_an_unquoted_time_is_the_time_that_was_meant(tmp_path: Path) -> None:
    file = tmp_path / "k.yaml"
    file.write_text("sources: [{name: x, kind: formulary, file: a.csv, schedule: {at: 02:30}}]")
    (source,) = knowledge_file.read_knowledge_file(file).sources
    assert (str(source.schedule), getattr(source, "file", None)) == ("02:30 UTC", tmp_path / "a.csv")
