"""Events of a refresh: they come back as they were sent, what was recorded stays readable, what breaks is refused."""

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from shared.contracts.errors import PermanentError
from shared.contracts.knowledge import (
    Chunk,
    DocumentCounts,
    DocumentEntry,
    Fingerprint,
    QueryResult,
    RetrievalMetrics,
    UnreadableDocument,
)
from shared.contracts.refresh import (
    REFRESH_EVENT_TYPES,
    AttemptFailed,
    BatchIndexed,
    BatchReady,
    Embedded,
    Evaluated,
    HeldBack,
    Indexed,
    Planned,
    Promoted,
    RecordedRefreshEvent,
    RefreshEvent,
    RefreshRef,
    Requested,
    Resumed,
    Skipped,
    Started,
    parse_refresh_subject,
)
from shared.contracts.refresh_state import fold_refresh
from shared.messaging.refreshes import decode_refresh

RECORDED = Path(__file__).parents[1] / "contracts" / "knowledge"
REF = RefreshRef("all", "4d1c2c4e-5d0f-5a43-9a3e-3f1f5a0c7f11")
T0 = datetime(2026, 11, 23, 2, 0, tzinfo=UTC)
CHUNK = Chunk(id="c1", source="s", document="d.md", title="t", path=("a",), text="words", url="http://x/")
ENTRY = DocumentEntry(
    source="s",
    document="d.md",
    fingerprint=Fingerprint(digest="f" * 64, size=3, mtime_ns=4, etag='"e"', last_modified="then"),
    collection="knowledge-embedder",
    target=2,
    refresh=REF.id,
    change="changed",
    chunks=(("c1", 2),),
    retired=(("c0", 1),),
    unreadable="it is empty",
)
COUNTS = DocumentCounts(new=1, changed=2, removed=3, unchanged=4, unreadable=1)
UNREADABLE = (UnreadableDocument(source="s", document="x.pdf", reason="it is a scan"),)
METRICS = RetrievalMetrics(queries=3, mrr_at_10=0.9, recall_at_5=0.8, recall_at_10=0.85, ndcg_at_10=0.88)
RESULT = QueryResult(id="q", reciprocal_rank=0.5, recall_at_5=1, recall_at_10=1, ndcg_at_10=0.6, found=("d.md",))
EVENTS: tuple[RefreshEvent, ...] = (
    Requested(sources=("s",), by="demo-operator", full=True, judge=False),
    Started(sources=("s",), target=2, embedder="embedder", collection="knowledge-embedder", fill=False),
    Skipped(documents=COUNTS, unreadable=UNREADABLE, reason="nothing has changed"),
    BatchReady(
        number=7,
        last=True,
        target=2,
        embedder="embedder",
        collection="knowledge-embedder",
        chunks=(CHUNK,),
        entries=(ENTRY,),
    ),
    Planned(
        target=2,
        documents=COUNTS,
        unreadable=UNREADABLE,
        chunks_new=1,
        chunks_kept=2,
        chunks_removed=3,
        batches=7,
    ),
    BatchIndexed(number=7, done=7, batches=7),
    Embedded(target=2, batches=7),
    Indexed(target=2, embedder="embedder", collection="knowledge-embedder", points=9, repaired=1),
    Evaluated(
        target=2,
        metrics=METRICS,
        live=METRICS,
        live_version=1,
        threshold=0.75,
        margin=0.02,
        queries=(RESULT,),
        promote=True,
        reason="good",
    ),
    Promoted(target=2, previous=1),
    HeldBack(target=2, reason="worse"),
    AttemptFailed(step="embed", reason="model error", attempt=1, again_at=T0),
    Resumed(attempt=2),
)


def number_of(body: RefreshEvent) -> int | None:
    return body.number if isinstance(body, BatchReady | BatchIndexed) else None


def sent(body: RefreshEvent) -> tuple[str, dict[str, str], bytes]:
    headers = {"ce-id": "id-1", "ce-time": T0.isoformat()}
    return REF.subject(body.event, number_of(body)), headers, body.model_dump_json(exclude_none=True).encode()


def test_examples_cover_every_event_type() -> None:
    assert {type(body) for body in EVENTS} == set(REFRESH_EVENT_TYPES)


@pytest.mark.parametrize("body", EVENTS, ids=lambda body: body.event)
def test_every_event_comes_back_as_it_was_sent(body: RefreshEvent) -> None:
    found = decode_refresh(*sent(body), 5)
    assert (found.body, found.ref, found.id, found.time, found.sequence) == (body, REF, "id-1", T0, 5)


@pytest.mark.parametrize("body", EVENTS, ids=lambda body: body.event)
def test_every_event_is_recorded_and_the_recording_still_decodes(body: RefreshEvent) -> None:
    recorded = json.loads((RECORDED / f"{body.event}.v{body.version}.json").read_text())
    found = decode_refresh(recorded["subject"], recorded["headers"], recorded["data"].encode(), 1)
    assert found.body.event == body.event


@pytest.mark.parametrize(
    "subject",
    ["knowledge.all.r1", "knowledge.UPPER.r1.started", "knowledge.all.r1.batch-ready.x", "discharge.a.b.c", "x"],
)
def test_other_subjects_are_refused(subject: str) -> None:
    with pytest.raises(PermanentError):
        parse_refresh_subject(subject)


def test_what_breaks_the_contract_is_refused() -> None:
    subject, headers, data = sent(EVENTS[3])
    for broken in (
        (subject, {}, data),
        (subject, headers, b"junk"),
        (REF.subject("batch-ready", 8), headers, data),
        (REF.subject("started"), headers, data),
    ):
        with pytest.raises(PermanentError):
            decode_refresh(*broken, 1)


def folded(*names: str) -> str | None:
    bodies = [next(body for body in EVENTS if body.event == name) for name in names]
    records = [RecordedRefreshEvent(REF, "i", T0, index, body) for index, body in enumerate(bodies)]
    return fold_refresh(records).awaits


def test_a_refresh_awaits_one_step_at_a_time() -> None:
    assert folded("requested") is None
    assert folded("requested", "started") == "prepare"
    assert folded("requested", "started", "planned") == "embed"
    assert folded("requested", "started", "embedded") == "prepare"
    assert folded("requested", "started", "embedded", "planned") == "settle"
    assert folded("requested", "started", "planned", "embedded", "indexed") == "judge"
    assert folded("requested", "started", "planned", "failed") == "embed"
    for end in ("promoted", "held-back", "skipped"):
        assert folded("requested", "started", end) is None
