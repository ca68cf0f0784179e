"""`countersign erase`: says what it would do, does it when told to, and names what it leaves."""

import json
from contextlib import asynccontextmanager
from typing import Any

import pytest
from typer.testing import CliRunner

from cli import client
from cli.errors import CommandError
from cli.main import app

READY = {
    "case_id": "c1",
    "department": "cardiology",
    "state": "filed",
    "texts": 4,
    "held": False,
    "erased_at": None,
    "obstacle": None,
}
HELD = READY | {
    "case_id": "c2",
    "held": True,
    "obstacle": "A legal hold keeps the texts of this case: release it first.",
}


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Any, ...]]:
    found: list[tuple[Any, ...]] = []

    @asynccontextmanager
    async def api(*_: Any) -> Any:
        async def call(method: str, path: str, **sent: Any) -> Any:
            found.append((method, path, sent))
            return {"items": [READY, HELD]} if method == "GET" else {"case_id": "c1", "state": "filed"}

        yield call

    monkeypatch.setattr(client, "open_api", api)
    return found


def test_without_yes_nothing_is_erased(asked: list[tuple[Any, ...]]) -> None:
    done = CliRunner().invoke(app, ["erase", "--patient", "Patient/p1"])
    assert done.exit_code == 0, done.output
    assert asked == [("GET", "/v1/erasures", {"params": {"patient": "p1"}})]
    assert "would be erased" in done.output
    assert "1 of them" in done.output


def test_with_yes_what_can_be_is_erased_and_what_cannot_is_named(asked: list[tuple[Any, ...]]) -> None:
    sent = ["--patient", "p1", "--ground", "court-order", "--reference", "R-1", "--yes", "--json"]
    done = CliRunner().invoke(app, ["erase", *sent])
    assert done.exit_code == 1, "one of the two is held"
    assert asked[1:] == [("POST", "/v1/cases/c1/erasure", {"json": {"ground": "court-order", "reference": "R-1"}})]
    said = json.loads(done.output)
    assert (said["ordered"], said["items"][1]["obstacle"]) == (["c1"], HELD["obstacle"])


@pytest.mark.parametrize("sent", [[], ["--case", "c", "--patient", "p"], ["--case", "c", "--yes"]])
def test_what_is_meant_has_to_be_said(sent: list[str], asked: list[tuple[Any, ...]]) -> None:
    done = CliRunner().invoke(app, ["erase", *sent])
    assert isinstance(done.exception, CommandError)
    assert asked == []
