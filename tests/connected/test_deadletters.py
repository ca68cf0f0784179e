"""Dead letters as operators deal with them: once, by somebody, for a reason, whatever is killed in between."""

import asyncio
import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime

import pytest
from typer.testing import CliRunner

from cli import dead_letters
from cli.commands.dead_letters import app
from cli.dead_letters import Attribution
from cli.errors import CommandError
from shared.contracts.errors import CountersignError, PermanentError, TransientError
from shared.messaging import operator_requests
from shared.messaging.connection import NatsConnection
from shared.messaging.dead_letter_queue import FailedMessage, dead_letter
from shared.messaging.dead_letters import STREAM, DeadLetter, DeadLetters, read_all
from shared.messaging.event_store import EventStore
from shared.messaging.topology import consumer
from tests.support.backup import set_environment
from tests.support.ehr import stays
from tests.support.redriving import operator_requests as served
from tests.support.server import NatsServer
from tests.support.stack import Stack

pytestmark = pytest.mark.connected

AT = datetime(2026, 11, 24, 3, 0, tzinfo=UTC)
DEED = Attribution("kim", "the export was broken that night")


@pytest.fixture
async def operator(nats: NatsServer) -> AsyncIterator[NatsConnection]:
    await nats.provision()
    bus = await nats.connect("operator")
    async with served(nats, AT):
        yield bus
    await bus.close()


def fact(number: int) -> bytes:
    return json.dumps({"encounter_id": f"e{number}"}).encode()


async def dead_letter_facts(nats: NatsServer, count: int) -> None:
    """Discharges that ingest could not handle."""
    bus = await nats.connect("ingest")
    for number in range(1, count + 1):
        original = FailedMessage(
            "EHR", number, f"ehr.encounter.discharged.x.e{number}", {"ce-id": f"f{number}"}, fact(number)
        )
        await dead_letter(bus, consumer("ingest-discharged"), original, "the fact breaks the contract", 1)
    await bus.close()


async def letter(bus: NatsConnection, sequence: int) -> DeadLetter:
    return (await read_all(bus))[sequence][0]


async def test_a_dead_letter_is_discarded_once_and_says_by_whom_and_why(
    nats: NatsServer, operator: NatsConnection
) -> None:
    await dead_letter_facts(nats, 2)
    done = await dead_letters.discard(operator, await read_all(operator), 1, DEED)
    assert done == "discarded dead letter 1"
    found = await letter(operator, 1)
    assert (found.state, found.by, found.why, found.at) == (
        "discarded",
        "kim",
        DEED.reason,
        "2026-11-24T03:00:00+00:00",
    )
    assert (await letter(operator, 2)).waits
    for again in (dead_letters.discard, dead_letters.redrive):
        with pytest.raises(PermanentError, match="was discarded before, by kim"):
            await again(operator, await read_all(operator), 1, DEED)


async def test_a_redriven_letter_is_published_again_and_cannot_be_discarded(
    nats: NatsServer, operator: NatsConnection
) -> None:
    await dead_letter_facts(nats, 1)
    done = await dead_letters.redrive(operator, await read_all(operator), 1, DEED)
    assert done == "published again on ehr.encounter.discharged.x.e1"
    (found,) = await operator.direct_get("EHR", {"seq": 1, "next_by_subj": "ehr.>", "batch": 9})
    assert (found.data, dict(found.headers or {})["ce-id"]) == (fact(1), "f1")
    assert ((await letter(operator, 1)).state, (await letter(operator, 1)).by) == ("redriven", "kim")
    with pytest.raises(PermanentError, match="was redriven before, by kim"):
        await dead_letters.discard(operator, await read_all(operator), 1, DEED)


async def test_of_two_operators_at_once_one_is_told_so(nats: NatsServer, operator: NatsConnection) -> None:
    await dead_letter_facts(nats, 1)
    seen = await read_all(operator)
    deeds = [dead_letters.discard(operator, seen, 1, Attribution(name, "w")) for name in ("kim", "lee", "max")]
    results = await asyncio.gather(*deeds, return_exceptions=True)
    assert sorted(type(item).__name__ for item in results) == ["PermanentError", "PermanentError", "str"]


async def test_a_redrive_that_was_killed_before_it_was_recorded_is_run_again(
    stack: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    case_id = await stack.discharge("not-there-yet")
    await stack.reaches(case_id, "failed")
    encounter = stack.ehr.store.get("Encounter", stays()[0])
    assert encounter is not None
    stack.ehr.store.put(encounter | {"id": "not-there-yet"})
    bus = await stack.server.connect("operator")

    async def dies(*_: object) -> None:
        raise TransientError("killed")

    with monkeypatch.context() as patch:
        patch.setattr(operator_requests, "resolve", dies)
        with pytest.raises(TransientError):
            await dead_letters.redrive(bus, await read_all(bus), 1, DEED)
    assert (await letter(bus, 1)).waits
    await stack.reaches(case_id, "awaiting-review")
    assert "was retried before" in await dead_letters.redrive(bus, await read_all(bus), 1, DEED)
    assert (await letter(bus, 1)).state == "redriven"
    assert (await stack.events(case_id)).count("retried") == 1
    (retried,) = [item for item in await EventStore(bus, "x").find(case_id) if item.name == "retried"]
    assert retried.actor == "kim"
    await bus.close()


async def test_a_discard_leaves_the_case_failed_and_it_can_still_be_tried_again(stack: Stack) -> None:
    case_id = await stack.discharge("not-there-yet")
    await stack.reaches(case_id, "failed")
    bus = await stack.server.connect("operator")
    said = await dead_letters.discard(bus, await read_all(bus), 1, DEED)
    assert f"case {case_id} stays failed and open" in said
    assert (await stack.case(case_id))["state"] == "failed"
    encounter = stack.ehr.store.get("Encounter", stays()[0])
    assert encounter is not None
    stack.ehr.store.put(encounter | {"id": "not-there-yet"})
    assert await dead_letters.retry_case(bus, case_id, DEED) == f"case {case_id} tries extract again"
    await stack.reaches(case_id, "awaiting-review")
    assert "it is awaiting-review" in await dead_letters.retry_case(bus, case_id, DEED)
    assert (await stack.events(case_id)).count("retried") == 1
    with pytest.raises(CountersignError, match="no such case"):
        await dead_letters.retry_case(bus, "nobody", DEED)
    await bus.close()


async def test_a_refreshs_letter_is_only_discarded(nats: NatsServer, operator: NatsConnection) -> None:
    bus = await nats.connect("embedder")
    original = FailedMessage("KNOWLEDGE", 1, "knowledge.all.r1.batch-ready.1", {}, b"{}")
    await dead_letter(bus, consumer("embedder-embed"), original, "the model refused", 5)
    await bus.close()
    with pytest.raises(PermanentError, match="knowledge refresh"):
        await dead_letters.redrive(operator, await read_all(operator), 1, DEED)
    await dead_letters.discard(operator, await read_all(operator), 1, DEED)


def unresolved(letters: DeadLetters) -> list[int]:
    return [number for number, (letter, _, _) in letters.items() if letter.waits]


async def test_many_are_dealt_with_in_a_row_and_the_rest_after_a_kill(
    nats: NatsServer, operator: NatsConnection
) -> None:
    await dead_letter_facts(nats, 5)
    seen = await read_all(operator)
    which = unresolved(seen)
    assert which == [1, 2, 3, 4, 5]
    for number in which[:2]:
        assert await dead_letters.redrive(operator, seen, number, DEED)  # then killed
    seen = await read_all(operator)
    left = unresolved(seen)
    assert left == [3, 4, 5]
    await dead_letters.discard(operator, seen, 4, DEED)  # somebody else, meanwhile
    results = [
        (number, ok)
        async for number, _, ok in dead_letters.resolve_each(operator, seen, left, dead_letters.redrive, DEED)
    ]
    assert results == [(3, True), (4, False), (5, True)]
    assert unresolved(await read_all(operator)) == []


async def test_records_of_earlier_versions_are_read(nats: NatsServer, operator: NatsConnection) -> None:
    await dead_letter_facts(nats, 1)
    admin = await nats.connect("admin")
    await admin.publish("deadletter.redriven.1", b"", stream=STREAM)
    await admin.close()
    assert ((await letter(operator, 1)).state, (await letter(operator, 1)).by) == ("redriven", None)


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        (["discard", "1"], "--reason"),
        (["redrive"], "--all --consumer NAME"),
        (["redrive", "--all"], "--all --consumer NAME"),
        (["redrive", "1", "--all", "--consumer", "x"], "--all --consumer NAME"),
        (["discard", "1", "--consumer", "x", "--reason", "w"], "--all --consumer NAME"),
    ],
)
def test_what_is_not_said_clearly_is_not_done(asked: list[str], words: str) -> None:
    done = CliRunner().invoke(app, asked)
    assert isinstance(done.exception, CommandError)
    assert words in str(done.exception)


def test_the_letters_of_a_stack_that_is_spread_over_machines_are_reached(
    nats: NatsServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    asyncio.run(nats.provision())
    set_environment(monkeypatch, nats, "operator")
    listed = CliRunner().invoke(app, ["list", "--json"])
    assert (listed.exit_code, listed.stdout.strip()) == (0, "[]"), listed.output
