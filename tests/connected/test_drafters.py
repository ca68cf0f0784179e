"""The registry of drafters on a real server: moves once and in a chain, drafts by what it says, commands and API."""

import asyncio
import json
from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from cli.contexts import VARIABLES
from cli.stack.secrets import write_tokens
from services.approval.verification.drafters import verify_drafters
from services.drafter.configurations import declare_drafters
from services.evaluator.main import build as build_evaluator
from services.evaluator.settings import EvaluatorSettings
from shared.contracts import drafter_states as states
from shared.contracts.cloudevents import event_headers
from shared.contracts.drafters import Added
from shared.contracts.envelope import chain_digest
from shared.contracts.errors import CountersignError, PermanentError
from shared.contracts.events import Drafted
from shared.knowledge.embedded_qdrant import EmbeddedQdrant
from shared.messaging.connection import NatsConnection
from shared.messaging.drafter_registry import STREAM, DrafterRegistry
from shared.messaging.event_store import EventStore, raw_message_of
from shared.messaging.stream_pages import read_stream_pages
from shared.runtime.service import create_app
from tests.support.drafters import CANDIDATE, DECLARED, DOCUMENT, KINDS, LIVE, PROMPT, WHO, add, start_canary
from tests.support.ehr import sandbox, stays
from tests.support.embedder import HashEmbedder
from tests.support.examples import T0
from tests.support.generator import ScriptedGenerator
from tests.support.server import NatsServer
from tests.support.service_settings import make_settings
from tests.support.serving import command_json, run_beside, served
from tests.support.stack import running

pytestmark = [pytest.mark.connected, pytest.mark.timeout(120)]

NEARLY_ALL = 0.999999


async def test_processes_that_start_together_declare_once(nats: NatsServer, drafter: NatsConnection) -> None:
    registries = [DrafterRegistry(drafter, "drafter", lambda: T0) for _ in range(5)]
    await asyncio.gather(*(declare_drafters(item, DECLARED, KINDS) for item in registries))
    await declare_drafters(DrafterRegistry(drafter, "drafter", lambda: T0), DECLARED, KINDS)  # and after a restart
    for kind in KINDS.all:
        assert [item.body.event for item in await registries[0].history(kind)] == ["declared"]
    assert {name: item.live is not None for name, item in (await registries[0].states()).items()} == dict.fromkeys(
        KINDS.all, True
    )


async def test_moves_are_a_chain_and_of_two_at_the_same_time_one_is_decided_again(evaluator: DrafterRegistry) -> None:
    digest = await add(evaluator, CANDIDATE)
    other = await add(evaluator, CANDIDATE.model_copy(update={"policy": "marked"}))
    canary = [
        evaluator.move(DOCUMENT, partial(states.start_canary, digest=item, share=0.5, by=WHO, reason="try it"))
        for item in (digest, other)
    ]
    found = await asyncio.gather(*canary, return_exceptions=True)
    assert sum(isinstance(item, states.TransitionRefusedError) for item in found) == 1
    before = ""
    async for page in read_stream_pages(evaluator._bus, STREAM, f"drafters.{DOCUMENT}.*"):
        for item in map(raw_message_of, page):
            assert item.headers.get("ce-prevdigest", "") == before
            before = chain_digest(item.headers, item.data)
    assert before == (await evaluator.state(DOCUMENT)).head.digest


async def test_a_process_that_dies_after_the_move_makes_it_once(evaluator: DrafterRegistry) -> None:
    digest = await add(evaluator, CANDIDATE)
    move = partial(states.promote, digest=digest, by=WHO, reason="better")

    async def dies(*_: Any) -> Any:
        raise asyncio.CancelledError

    stopped = DrafterRegistry(evaluator._bus, "evaluator", lambda: T0)
    stopped._state_with = dies  # type: ignore[method-assign]
    with pytest.raises(asyncio.CancelledError):
        await stopped.move(DOCUMENT, move)
    state = await evaluator.move(DOCUMENT, move)
    assert state.live is not None
    assert state.live.configuration == digest
    assert [item.body.event for item in await evaluator.history(DOCUMENT)] == ["declared", "added", "promoted"]


async def test_a_configuration_cannot_be_replaced(evaluator: DrafterRegistry, nats: NatsServer) -> None:
    digest = await add(evaluator, CANDIDATE)
    for user in ("evaluator", "drafter"):
        bus = await nats.connect(user)
        with pytest.raises(CountersignError):
            await bus.publish(f"$KV.drafters.{digest}", b"{}", stream="KV_drafters")
        await bus.close()
    assert await evaluator.configuration(digest) == CANDIDATE
    false = "f" * 64
    await evaluator._bus.publish(f"$KV.drafters.{false}", CANDIDATE.stored(), stream="KV_drafters")
    with pytest.raises(PermanentError, match="was changed"):
        await evaluator.configuration(false)


async def test_drafts_are_made_by_what_the_registry_says(nats: NatsServer) -> None:
    await nats.provision()
    generator = ScriptedGenerator()
    async with running(nats, sandbox(), generator=generator) as stack:
        first = await stack.discharge(stays("plain")[0])
        await stack.reaches(first, "awaiting-review")
        bus = await nats.connect("evaluator")
        evaluator = DrafterRegistry(bus, "evaluator", lambda: T0)
        live = (await evaluator.state(DOCUMENT)).live
        assert live is not None
        assert (await drafted(bus, first))["drafter"] == {"configuration": live.configuration, "role": "live"}
        digest = await add(evaluator, CANDIDATE)
        await start_canary(evaluator, digest, NEARLY_ALL)
        second = await stack.discharge(stays("plain")[1])
        await stack.reaches(second, "awaiting-review")
        draft = await drafted(bus, second)
        assert draft["drafter"] == {"configuration": digest, "role": "canary"}
        assert draft["prompt"] == PROMPT.stamp.model_dump()
        assert generator.prompts[-1].startswith("Write about this:\n")
        assert not generator.prompts[0].startswith("Write about this:\n")
        assert await evaluator.configuration(draft["drafter"]["configuration"]) == CANDIDATE
        await bus.close()


async def drafted(bus: NatsConnection, case_id: str) -> dict[str, Any]:
    """The reference of the draft in the case's event."""
    bodies = [item.body for item in await EventStore(bus, "test").find(case_id)]
    return next(item for item in bodies if isinstance(item, Drafted)).draft.model_dump(mode="json")


@pytest.fixture
async def commands(
    nats: NatsServer, evaluator: DrafterRegistry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[None]:
    """An evaluator that commands reach by their context."""
    for name in (*VARIABLES, "COUNTERSIGN_NATS_URL", "COUNTERSIGN_DATA_DIR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.chdir(tmp_path)
    tokens = tmp_path / "tokens.json"
    write_tokens(tokens, nats.secrets.tokens)
    base = EmbeddedQdrant(tmp_path / "qdrant")
    settings = make_settings(
        EvaluatorSettings,
        nats_url=nats.url,
        nats_seed=SecretStr(nats.secrets.seeds["evaluator"]),
        tokens_file=tokens,
    )
    app = create_app([build_evaluator(settings, embedder=HashEmbedder(), base=base)])
    async with app.router.lifespan_context(app), served(app) as url:
        for role in ("physician", "operator"):
            file = tmp_path / f"{role}.token"
            file.write_text(nats.secrets.tokens[role])
            assert (await run_beside("context", "add", role, "--url", url, "--token-file", str(file))).code == 0
        assert (await run_beside("context", "use", "operator")).code == 0
        yield
    await base.close()


async def refused(*words: str, code: int) -> str:
    done = await run_beside("drafters", *words)
    assert (done.code, done.out) == (code, ""), done
    return done.err


@pytest.mark.usefixtures("commands")
async def test_commands_from_a_candidate_to_a_rollback(tmp_path: Path) -> None:
    because = ("--reason", "shorter texts")
    listed = await command_json("drafters", "list")
    assert {(item["document"], item["state"], item["by"]) for item in listed} == {
        (name, "live", "drafter") for name in KINDS.all
    }
    prompt = tmp_path / "shorter.prompt"
    prompt.write_text("version: 1\nmax_tokens: 60\nstop: END\n=====\nShort, please.\n{facts}{words}\n")
    new = ("add", "--document", DOCUMENT, "--prompt", str(prompt), *because)
    candidate = await command_json("drafters", *new)
    digest = candidate["digest"]
    assert (candidate["state"], candidate["prompt"]["name"], candidate["model"]) == ("candidate", "shorter", LIVE.model)
    assert await command_json("drafters", *new) == candidate  # repeated: the same one
    short = digest[:10]
    assert "only a candidate" in await refused("canary", LIVE.digest, "--share", "0.1", *because, code=1)
    started = await command_json("drafters", "canary", short, "--share", "0.25", "--unevaluated", *because)
    assert started["share"] == 0.25
    assert "promote another one" in await refused("retire", short, *because, code=1)
    assert (await command_json("drafters", "promote", short, *because))["state"] == "live"
    assert (await command_json("drafters", "rollback", short, *because))["digest"] == LIVE.digest
    # Repeated: nothing more is rolled back.
    assert (await command_json("drafters", "rollback", short, *because))["digest"] == LIVE.digest
    assert (await command_json("drafters", "retire", short, *because))["state"] == "retired"
    found = await command_json("drafters", "show", short)
    moves = ["added", "canary-started", "promoted", "rolled-back", "retired"]
    assert [item["event"] for item in found["history"]] == moves
    assert {item["by"] for item in found["history"]} == {"demo-operator"}
    shown = await run_beside("drafters", "show", short, "--prompt")
    assert shown.out == "Short, please.\n{facts}{words}\n"
    assert digest in (await run_beside("drafters", "show", short)).out
    assert digest not in {item["digest"] for item in await command_json("drafters", "list")}
    assert digest in {item["digest"] for item in await command_json("drafters", "list", "--all")}
    assert "live" in (await run_beside("drafters", "list")).out
    done = await run_beside("models", "list", "--json")
    models = {(item["document"], item["state"], item["version"]) for item in json.loads(done.out)}
    assert (DOCUMENT, "live", LIVE.digest) in models
    assert len(models) == len(KINDS.all)  # no version of the knowledge base is live here


@pytest.mark.usefixtures("commands")
async def test_what_is_wrong_is_said(tmp_path: Path) -> None:
    because = ("--reason", "x")
    assert "no such drafter configuration" in await refused("show", "0123456789", code=2)
    assert "no such drafter configuration" in await refused("show", LIVE.digest[:3], code=2)
    assert "Give what differs" in await refused("add", "--document", DOCUMENT, *because, code=2)
    assert "has declared" in await refused("add", "--document", "no-such", "--model", "m", *because, code=2)
    assert "of another kind" in await refused(
        *("add", "--document", "death-summary", "--base", LIVE.digest, "--model", "m"), *because, code=1
    )
    file = tmp_path / "wrong.prompt"
    file.write_text("version: 1\n=====\n{facts}\n")
    assert "no line `stop" in await refused("add", "--document", DOCUMENT, "--prompt", str(file), *because, code=2)
    assert (await run_beside("context", "use", "physician")).code == 0
    assert await command_json("drafters", "list")
    assert "role" in await refused("promote", LIVE.digest, *because, code=2)


async def test_an_audit_finds_what_was_written_past_the_registry(evaluator: DrafterRegistry, nats: NatsServer) -> None:
    digest = await add(evaluator, CANDIDATE)
    auditor = await nats.connect("auditor")
    registry = DrafterRegistry(auditor, "auditor", lambda: T0)
    assert await verify_drafters(auditor, registry) == []
    unchained = Added(configuration="f" * 64, by=WHO, reason="by another way").model_dump_json().encode()
    headers = event_headers(id="x", type="countersign.drafters.added.v1", source="x", time=T0, subject=DOCUMENT)
    await evaluator._bus.publish(f"drafters.{DOCUMENT}.added", unchained, stream=STREAM, headers=headers)
    await evaluator._bus.publish(f"drafters.{DOCUMENT}.promoted", b"{}", stream=STREAM)
    said = [item.reason for item in await verify_drafters(auditor, registry)]
    assert ["does not follow" in item for item in said] == [True, False, False], said
    assert "breaks the contract" in said[1]
    assert "is not stored" in said[2] or "breaks the contract" in said[2]
    assert digest[:12] not in " ".join(said)
    await auditor.close()
