"""Configurations of the drafter: candidates, canaries, shadows and drift, and every remedy by its command."""

import asyncio
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import pytest

from shared.contracts.draft import DrafterRole, DrafterStamp
from shared.contracts.envelope import CHAIN_START
from shared.contracts.events import Drafted
from shared.contracts.subjects import CaseRef, evaluation_subject
from shared.messaging.event_store import EventStore
from tests.connected.test_canary import decision
from tests.support.backup import as_user
from tests.support.examples import STAY, draft_ref
from tests.support.remote import Remote, bury, refused, run_json, run_program, until
from tests.support.serving import run_command

pytestmark = [pytest.mark.connected, pytest.mark.system, pytest.mark.timeout(180), pytest.mark.xdist_group("remedies")]

BECAUSE = ("--reason", "what physicians did with its drafts")
DOCUMENT = "discharge-summary"
SIGNED, EDITED = 200, 40  # decisions of a baseline, and those after it


def live() -> str:
    (found,) = [
        item for item in run_json("drafters", "list") if item["document"] == DOCUMENT and item["state"] == "live"
    ]
    return str(found["digest"])


def candidate(**changes: str) -> str:
    options = [word for name, value in changes.items() for word in (f"--{name}", value)]
    return str(run_json("drafters", "add", "--document", DOCUMENT, *options, *BECAUSE)["digest"])


def take_back(configuration: str) -> None:
    run_json("drafters", "rollback", configuration, *BECAUSE)
    assert run_json("drafters", "show", configuration)["state"] == "candidate"


async def decide(installation: Remote, configuration: str, decisions: list[str], role: DrafterRole = "live") -> None:
    """Cases in the event stream, each with a draft of the configuration and a decision about it."""
    async with as_user(installation.server, "admin") as bus:
        events = EventStore(bus, "test")

        async def take(decided: str) -> None:
            stamp = DrafterStamp(configuration=configuration, role=role)
            draft = draft_ref().model_copy(update={"drafter": stamp})
            drafted = Drafted(stay=STAY, draft=draft, sentences=4, unsupported=0, encounter_status="finished")
            case, head = CaseRef("planted", str(uuid4())), CHAIN_START
            for event in (drafted, decision(draft, decided)):
                head = await events.append(case, event, after=head, id=str(uuid4()), time=datetime.now(UTC))

        for start in range(0, len(decisions), 20):
            await asyncio.gather(*map(take, decisions[start : start + 20]))


def give_up_a_stay(installation: Remote, configuration: str) -> None:
    """One whose message failed for good: it is not redriven, and the evaluation is begun again without its case."""
    case_id = installation.sign(installation.stay("given-up"))
    installation.reaches(case_id, "filed")
    asyncio.run(bury(installation, "drafter-evaluate", evaluation_subject("e1", "item-ready", 1), b"{}"))
    (letter,) = run_json("dead-letters", "list", "--consumer", "drafter-evaluate")
    number = str(letter["sequence"])
    assert "Evaluate again without its case" in refused("dead-letters", "redrive", number, *BECAUSE, code=1)
    run_json("dead-letters", "discard", number, *BECAUSE)
    again = run_json(
        "drafters", "evaluate", configuration, "--without", case_id, "--limit", "1", "--wait", *BECAUSE, code=1
    )
    assert again["judged"] == 1


def test_evaluations_shadows_and_canaries_are_ended_and_begun(installation: Remote) -> None:
    """Alerts: CanaryRolledBack, EvaluationUnfinished, ShadowNotProgressing, EndpointBudgetNearLimit."""
    installation.reaches(installation.sign(installation.stay("evaluated")), "filed")
    tried = candidate(policy="marked")
    judged = run_json("drafters", "evaluate", tried, "--limit", "1", "--wait", *BECAUSE, code=1)  # too few for the gate
    assert judged["judged"] == 1
    assert len(run_json("drafters", "evaluations", tried)) == 1
    give_up_a_stay(installation, tried)
    assert run_json("drafters", "shadow", tried, *BECAUSE)["state"] == "shadow"
    take_back(tried)
    for share in ("0.5", "0.1"):
        assert run_json("drafters", "canary", tried, "--share", share, "--unevaluated", *BECAUSE)["state"] == "canary"
        asyncio.run(decide(installation, tried, ["signed"], role="canary"))
        until(lambda: run_command("drafters", "compare", tried).code == 0, "the decision to be compared")
        assert run_json("drafters", "compare", tried)["canary"]["decisions"] >= 1
        take_back(tried)
    assert run_json("drafters", "retire", tried, *BECAUSE)["state"] == "retired"


def test_a_live_configuration_that_drifts_is_accepted_or_taken_back(installation: Remote) -> None:
    """Alerts: DrafterDrift."""
    before = live()
    promoted = candidate(policy="marked", seed="7")
    run_json("drafters", "canary", promoted, "--share", "0.5", "--unevaluated", *BECAUSE)
    run_json("drafters", "promote", promoted, "--unevaluated", *BECAUSE)
    assert live() == promoted
    asyncio.run(decide(installation, promoted, ["signed"] * SIGNED))
    asyncio.run(decide(installation, promoted, ["edited"] * EDITED))

    def drifted() -> dict[str, Any] | None:
        found = run_json("drafters", "show", promoted)
        return dict(run_json("drafters", "drift", promoted)) if found["drifted"] else None

    assert run_json("models", "list")
    assert until(drifted, "the drift")["drifted"]["signal"] in ("replaced", "changed")
    assert run_json("drafters", "reset-baseline", promoted, *BECAUSE)["state"] == "live"
    assert "has not drifted" in refused("drafters", "reset-baseline", promoted, *BECAUSE, code=1)
    run_program("drafters", "rollback", promoted, *BECAUSE)
    assert live() == before
