"""Each remedy that docs/alerts.md names is carried out by its command, over HTTP, where there is no `access.json`."""

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from cli.contexts import VARIABLES
from shared.messaging.dead_letter_queue import FailedMessage, dead_letter
from shared.messaging.topology import consumer
from tests.connected.test_not_as_signed import plant, retire
from tests.support.backup import as_user
from tests.support.ehr import stays
from tests.support.serving import run_beside, served
from tests.support.stack import Stack

pytestmark = [pytest.mark.connected, pytest.mark.timeout(120)]

BECAUSE = ("--reason", "the cause is repaired")


@pytest.fixture
async def reached(stack: Stack, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Stack]:
    """A stack of which the commands know addresses and tokens, and nothing else."""
    for name in (*VARIABLES, "COUNTERSIGN_NATS_URL", "COUNTERSIGN_DATA_DIR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.chdir(tmp_path)
    async with served(stack.app) as url:
        for role in ("operator", "auditor", "physician"):
            file = tmp_path / f"{role}.token"
            file.write_text(stack.server.secrets.tokens[role])
            done = await run_beside("context", "add", role, "--url", url, "--token-file", str(file))
            assert done.code == 0, done
        assert (await run_beside("context", "use", "operator")).code == 0
        yield stack
    assert not (tmp_path / ".countersign").exists()


async def said(*words: str, code: int = 0) -> Any:
    """What a command prints as JSON."""
    done = await run_beside(*words, "--json")
    assert done.code == code, done
    return json.loads(done.out)


async def refused(*words: str, code: int) -> str:
    """The sentence with which a command ends."""
    done = await run_beside(*words)
    assert (done.code, done.out) == (code, ""), done
    return done.err


async def fail(stack: Stack, encounter: str) -> str:
    """A case that fails, because the EHR has no such encounter yet; it has one when this returns."""
    case_id = await stack.discharge(encounter)
    await stack.reaches(case_id, "failed")
    found = stack.ehr.store.get("Encounter", stays()[0])
    assert found is not None
    stack.ehr.store.put(found | {"id": encounter})
    return case_id


async def bury(stack: Stack, name: str, subject: str, *bodies: bytes) -> None:
    failed = consumer(name)
    async with as_user(stack.server, failed.service) as bus:
        for number, body in enumerate(bodies, 1):
            await dead_letter(bus, failed, FailedMessage(failed.stream, number, subject, {}, body), "no answer", 3)


async def test_cases_that_stopped_continue(reached: Stack) -> None:
    """Alerts CasesStopped and DeadLetters."""
    case_id = await fail(reached, "late-1")
    (letter,) = await said("dead-letters", "list")
    number = str(letter["sequence"])
    assert (letter["case_id"], letter["reason"]) == (case_id, "the EHR has no such encounter")
    assert (await said("cases", "show", case_id))["state"] == "failed"
    assert "body" not in await said("dead-letters", "show", number)
    assert "--reason" in await refused("dead-letters", "redrive", number, code=2)
    preview = await said("dead-letters", "redrive", number, "--dry-run", *BECAUSE)
    assert preview["done"] == f"case {case_id} would try extract again"
    assert (await said("dead-letters", "redrive", number, *BECAUSE))["done"] == f"case {case_id} tries extract again"
    await reached.reaches(case_id, "awaiting-review")
    assert "was redriven before" in (await said("dead-letters", "redrive", number, *BECAUSE))["done"]
    assert "was redriven before" in await refused("dead-letters", "discard", number, *BECAUSE, code=1)
    assert "no failed step" in await refused("cases", "retry", case_id, code=1)
    assert "no such case" in await refused("cases", "retry", "nobody", code=2)
    other = await fail(reached, "late-2")
    (letter,) = await said("dead-letters", "list")
    assert (
        f"case {other} stays failed"
        in (await said("dead-letters", "discard", str(letter["sequence"]), *BECAUSE))["done"]
    )
    assert (await said("cases", "retry", other))["done"] == f"case {other} tries extract again"
    await reached.reaches(other, "awaiting-review")
    assert await said("dead-letters", "list") == []
    assert [item["by"] for item in await said("dead-letters", "list", "--all")] == ["demo-operator"] * 2


async def test_messages_that_failed_meanwhile_are_redriven_together(reached: Stack) -> None:
    """Alert ChannelFails, and reports of discharges after an outage: each by the service that owns it."""
    encounter = stays()[0]
    subject = f"ehr.encounter.discharged.internal-medicine.{encounter}"
    await bury(reached, "ingest-discharged", subject, json.dumps({"encounter_id": encounter}).encode(), b"junk")
    await bury(reached, "approval-deliver", "notify.c1.e1.k1", b"junk")
    every = ("dead-letters", "redrive", "--all", "--since", "1h")
    preview = await said(*every, "--dry-run", *BECAUSE, code=1)
    assert [item["sequence"] for item in preview["planned"]] == [1]
    assert [item["sequence"] for item in preview["refused"]] == [2, 3]
    assert len(await said("dead-letters", "list")) == 3
    done = await said(*every, "--yes", *BECAUSE, code=1)
    assert (done["done"], [item["sequence"] for item in done["refused"]]) == (1, [2, 3])
    assert all("would fail again" in item["said"] for item in done["refused"])
    rest = await said("dead-letters", "discard", "--all", "--failed-with", "NO ANSWER", "--yes", *BECAUSE)
    assert rest == {"done": 2, "refused": []}
    assert await said("dead-letters", "redrive", "--all", "--consumer", "approval-deliver", "--yes", *BECAUSE) == {
        "done": 0,
        "refused": [],
    }
    (case,) = (await said("cases", "list"))["items"]
    await reached.reaches(case["case_id"], "awaiting-review")


async def test_reviews_documents_and_decisions_of_the_ehr(reached: Stack) -> None:
    """Alerts ReviewNotEscalated and DocumentNotInChart, decisions after a restore, and the access log."""
    case_id = await reached.discharge()
    await reached.reaches(case_id, "awaiting-review")
    plant(reached, case_id, f"{case_id}/final")
    assert (await reached.decide(case_id, "approve")).status_code == 200
    await reached.reaches(case_id, "failed")
    (entry,) = (await said("cases", "unfiled"))["items"]
    assert (entry["case_id"], entry["reason"]) == (case_id, "held")
    retire(reached, "planted")
    assert (await said("cases", "retry", case_id))["done"] == f"case {case_id} tries file again"
    await reached.reaches(case_id, "filed")
    assert (await said("cases", "unfiled"))["items"] == []
    other = await reached.discharge(stays()[1])
    await reached.reaches(other, "awaiting-review")
    assert len((await said("escalations", "preview", other))["items"]) == 3
    moved = await said("cases", "reassign", other, "--to", "Practitioner/DR-IM-002", *BECAUSE)
    assert moved["case_id"] == other
    assert (await said("escalations", "preview", other))["owner"] == "Practitioner/DR-IM-002"
    assert (await said("ehr-decisions", "hold", *BECAUSE))["held"] is True
    assert (await said("ehr-decisions", "show"))["by"] == "demo-operator"
    assert (await said("ehr-decisions", "allow", *BECAUSE))["held"] is False
    assert "not allowed" in await refused("audit", "access", case_id, code=2)
    seen = await said("--context", "auditor", "audit", "access", case_id)
    assert {item["event"] for item in seen["items"]} == {"viewed"}
    theirs = await said("--context", "auditor", "audit", "access", case_id, "--person", seen["items"][0]["subject"])
    assert [item["sequence"] for item in theirs["items"]] == sorted(
        (item["sequence"] for item in theirs["items"]), reverse=True
    )
    assert {item["case_id"] for item in theirs["items"]} == {case_id}
    none = await said("--context", "auditor", "audit", "access", "--since", "2126-01-01")
    assert none == {"items": [], "next": None}
    run = await said("--context", "auditor", "audit", "verify", "--case", other)
    assert (run["state"], run["verified"], run["case_id"]) == ("finished", True, other)
    assert "not allowed" in await refused("audit", "verify", code=2)
    assert "not allowed" in await refused("--context", "physician", "dead-letters", "list", code=2)


async def test_a_refresh_of_the_knowledge_base_is_started_and_followed(reached: Stack) -> None:
    """Alerts KnowledgeWorse and RefreshFailed, as far as ingest serves them."""
    begun = await said("knowledge", "refresh")
    assert (await said("knowledge", "show", begun["refresh"]))["refresh"] == begun["refresh"]
