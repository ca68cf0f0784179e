"""Typed answers about the knowledge base carry exactly what the commands have always read."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from services.evaluator import knowledge_api as evaluator
from services.evaluator.dependencies import EvaluatorDependencies
from services.ingest.dependencies import IngestDependencies
from services.ingest.refresh import api as refreshes
from services.ingest.refresh.service import to_view
from shared.contracts.knowledge import (
    DocumentCounts,
    QueryResult,
    RelevanceThreshold,
    RetrievalMetrics,
    UnreadableDocument,
)
from shared.contracts.refresh import AttemptFailed, Evaluated, Indexed, Planned, RefreshRef, Skipped, Started
from shared.contracts.refresh_state import Refresh
from shared.knowledge.live import LivePointer, VersionRecord
from shared.runtime.authentication import ApiToken, ApiTokens, Authenticator, token_digest
from shared.runtime.dependencies import mount, provide

T0 = datetime(2026, 11, 3, 2, 0, tzinfo=UTC)
METRICS = RetrievalMetrics(queries=3, mrr_at_10=0.75, recall_at_5=1, recall_at_10=1.0, ndcg_at_10=0.8)
COUNTS = DocumentCounts(new=1, changed=2, unreadable=1)
UNREADABLE = (UnreadableDocument(source="s", document="d", reason="no text"),)
STARTED = Started(sources=("s", "t"), target=3, embedder="e", collection="c", fill=False)
PLANNED = Planned(
    target=3, documents=COUNTS, unreadable=UNREADABLE, chunks_new=4, chunks_kept=5, chunks_removed=6, batches=2
)
EVALUATED = Evaluated(
    target=3,
    metrics=METRICS,
    live=METRICS,
    threshold=0.75,
    margin=0.1,
    queries=(QueryResult(id="q", reciprocal_rank=0.5, recall_at_5=1, recall_at_10=1, ndcg_at_10=0.6, found=("d",)),),
    promote=True,
    reason="good enough",
)
REFRESHES = {
    "asked for": Refresh(ref=RefreshRef("s", "r")),
    "running": Refresh(ref=RefreshRef("s", "r"), started=STARTED, planned=PLANNED),
    "to be repeated": Refresh(
        started=STARTED,
        failure=AttemptFailed(step="embed", reason="HTTP 500", attempt=1, again_at=T0),
        reason="HTTP 500",
    ),
    "promoted": Refresh(
        started=STARTED,
        planned=PLANNED,
        indexed=Indexed(target=3, embedder="e", collection="c", points=9, repaired=1),
        evaluated=EVALUATED,
        outcome="promoted",
        reason="good enough",
        times={"requested": T0, "promoted": T0 + timedelta(seconds=61.5)},
    ),
    "skipped": Refresh(
        started=STARTED,
        skipped=Skipped(documents=COUNTS, unreadable=UNREADABLE, reason="nothing changed"),
        outcome="skipped",
        reason="nothing changed",
    ),
}
LIVE = LivePointer(version=2, collection="c", embedder="e", since=T0, by="evaluation")
RECORD = VersionRecord(
    version=3, collection="c", embedder="e", refresh="r", time=T0, decision="held-back", reason="worse",
    relevance=RelevanceThreshold(threshold=0.7, origin="golden", queries=3, precision=1.0),
)  # fmt: skip
STATUSES: dict[str, dict[str, Any]] = {
    "empty": {"live": None, "passages": 0, "newest": None, "refreshing": None, "waiting": [], "paused_until": None}
    | {"file": None, "problem": None},
    "full": {
        "live": LIVE.model_dump(mode="json"),
        "passages": 9,
        "newest": RECORD.model_dump(mode="json", exclude_none=True),
        "refreshing": "r",
        "waiting": ["r2"],
        "paused_until": "2026-11-03T06:00:00+00:00",
        "file": "/k.yaml",
        "problem": "sources: missing",
    },
}


class Scripted:
    """Answers with one value, whatever is asked."""

    def __init__(self, value: dict[str, Any]) -> None:
        self._value = value

    async def status(self) -> dict[str, Any]:
        return self._value

    async def show(self, _: str) -> dict[str, Any]:
        return self._value


def ask(dependencies: object, router: Any, path: str) -> Any:
    app = FastAPI()
    provide(app, dependencies)
    mount(app, router)
    answer = TestClient(app).get(path, headers={"Authorization": "Bearer t"})
    assert answer.status_code == 200, answer.text
    return answer.json()


NOT_ASKED: Any = object()
GUARD = Authenticator(ApiTokens(tokens=(ApiToken(subject="x", role="operator", sha256=token_digest("t")),)))
ABSENT: Any = None


@pytest.mark.parametrize("name", REFRESHES)
def test_a_refresh_is_shown_with_the_same_keys_and_values(name: str) -> None:
    value = to_view("r", REFRESHES[name], 1) | {"live_version": 2}
    scripted: Any = Scripted(value)
    found = ask(
        IngestDependencies(GUARD, ABSENT, ABSENT, ABSENT, scripted, ABSENT, ABSENT),
        refreshes.router,
        "/v1/knowledge/refreshes/r",
    )
    assert json.dumps(found) == json.dumps(json.loads(json.dumps(value)))


@pytest.mark.parametrize("name", STATUSES)
def test_the_status_is_shown_with_the_same_keys_and_values(name: str) -> None:
    scripted: Any = Scripted(STATUSES[name])
    found = ask(EvaluatorDependencies(GUARD, scripted, NOT_ASKED, ABSENT), evaluator.router, "/v1/knowledge")
    assert found == STATUSES[name]


def test_the_documentation_says_what_is_answered() -> None:
    app = FastAPI()
    mount(app, refreshes.router, evaluator.router)
    paths = app.openapi()["paths"]
    for path, name in (("/v1/knowledge", "KnowledgeStatus"), ("/v1/knowledge/refreshes/{id}", "RefreshStatus")):
        schema = paths[path]["get"]["responses"]["200"]["content"]["application/json"]["schema"]
        assert schema == {"$ref": f"#/components/schemas/{name}"}
