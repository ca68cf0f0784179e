"""What `docker compose run --rm demo` tells ingest."""

import json
from pathlib import Path

import httpx
import pytest

from cli import client
from cli.container import demo
from cli.errors import CommandError
from sandbox_ehr.seed import demo_encounters


class Ingest:
    """Answers as ingest does; a refresh ends when it has been asked about twice."""

    def __init__(self, refuse: bool = False) -> None:
        self.discharged: list[str] = []
        self.asked = 0
        self._refuse = refuse

    def __call__(self, request: httpx.Request) -> httpx.Response:
        role = request.headers["Authorization"].removeprefix("Bearer ")
        if self._refuse:
            return httpx.Response(403, json={"title": "Forbidden", "detail": "not with this role"})
        if request.url.path == "/v1/encounters/discharged":
            assert role == "of-ingest"
            self.discharged.append(json.loads(request.content)["encounter_id"])
            return httpx.Response(202, json={"case_id": f"case-{len(self.discharged)}"})
        assert role == "of-operator"
        if request.method == "POST":
            return httpx.Response(202, json={"refresh": "r1", "refresh_url": "/v1/knowledge/refreshes/r1"})
        self.asked += 1
        return httpx.Response(200, json={"ended": self.asked > 1, "state": "promoted", "live_version": 1})


@pytest.fixture
def tokens(tmp_path: Path) -> Path:
    for role in ("ingest", "operator"):
        (tmp_path / f"{role}.token").write_text(f"of-{role}\n")
    return tmp_path


def speak_to(ingest: Ingest, monkeypatch: pytest.MonkeyPatch) -> None:
    ordinary = httpx.AsyncClient
    transport = httpx.MockTransport(ingest)
    monkeypatch.setattr(client.httpx, "AsyncClient", lambda **sent: ordinary(**(sent | {"transport": transport})))
    monkeypatch.setattr(demo, "POLL_INTERVAL_S", 0.0)


async def test_the_knowledge_base_is_there_before_patients_leave(
    tokens: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    ingest = Ingest()
    speak_to(ingest, monkeypatch)
    await demo.run("http://ingest", tokens, patients=2, with_knowledge=True)
    assert ingest.discharged == [stay.encounter for stay in demo_encounters()[:2]]
    said = capsys.readouterr().out.splitlines()
    assert said[0] == "knowledge base: promoted, version 1 is live"
    assert [line.rpartition(" ")[2] for line in said[1:]] == ["case-1", "case-2"]


async def test_without_vectors_only_patients_leave(tokens: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ingest = Ingest()
    speak_to(ingest, monkeypatch)
    await demo.run("http://ingest", tokens, patients=1, with_knowledge=False)
    assert (len(ingest.discharged), ingest.asked) == (1, 0)


async def test_a_refusal_is_said(tokens: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    speak_to(Ingest(refuse=True), monkeypatch)
    with pytest.raises(CommandError, match="not with this role"):
        await demo.run("http://ingest", tokens, patients=1, with_knowledge=False)
