"""The knowledge base: a refresh that failed or got worse, and every remedy by its command."""

from typing import Any

import pytest

from tests.support.knowledge import TOPICS
from tests.support.remote import Remote, refused, run_json, run_program

pytestmark = [pytest.mark.connected, pytest.mark.system, pytest.mark.timeout(180), pytest.mark.xdist_group("remedies")]

BECAUSE = ("--reason", "reviewed by hand")


def live() -> int:
    return int(run_json("knowledge", "status")["live"]["version"])


def refresh(*options: str, code: int = 0) -> dict[str, Any]:
    return dict(run_json("knowledge", "refresh", "--wait", *options, code=code))


def test_a_version_that_was_held_back_and_one_that_was_wrong(installation: Remote) -> None:
    """Alerts: KnowledgeWorse, DrafterDrift."""
    library = installation.library
    assert refresh()["state"] == "promoted"
    first = live()
    library.write("gout", "cherries")
    library.ask(("gout", "nowhere"))
    library.declare(promotion={"mrr": 1.0, "margin": 0})
    held = refresh(code=1)
    assert held["state"] == "held-back"
    assert "queries" in str(run_json("knowledge", "show", held["refresh"])["metrics"])
    assert run_json("knowledge", "history")["items"][0]["decision"] == "held-back"
    library.ask(TOPICS)  # the golden file is put right
    library.declare(promotion={"mrr": 0.5, "margin": 0.5})
    assert refresh("--evaluate-only")["state"] == "promoted"
    second = live()
    assert second > first
    library.write("gout", "cherries and rest")
    library.declare(promotion={"mrr": 1.0, "margin": 0})
    library.ask(("gout", "nowhere"))
    third = refresh(code=1)["version"]
    assert run_json("knowledge", "promote", str(third), *BECAUSE)["version"] == third
    assert run_program("knowledge", "rollback", "--to", str(first))["version"] == first
    assert live() == first
    library.ask(TOPICS)
    library.declare(promotion={"mrr": 0.5, "margin": 0.5})
    run_json("knowledge", "pin", *BECAUSE)
    assert "pinned" in refused("knowledge", "rollback", "--to", str(second), code=1)
    run_json("knowledge", "unpin", *BECAUSE)
    assert {item["action"] for item in run_json("knowledge", "live-history")["items"]} >= {
        "rolled-back",
        "promoted",
        "pinned",
    }


def test_a_refresh_that_failed_is_started_again(installation: Remote) -> None:
    """Alerts: RefreshFailed."""
    library = installation.library
    library.declare(sources=[{"name": "library", "kind": "guideline", "folder": "gone"}])
    failed = refresh(code=1)
    assert failed["state"] == "failed"
    assert run_json("knowledge", "show", failed["refresh"])["reason"] == failed["reason"]
    library.declare(sources=[{"name": "library", "kind": "guideline", "folder": "documents"}])
    library.write("stroke", "physiotherapy")
    assert refresh()["state"] == "promoted"
