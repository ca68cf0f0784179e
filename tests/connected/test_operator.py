"""The operator's key writes nothing: it asks, and whoever is asked looks at everything before it is put back."""

import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

import pytest

from cli.dead_letters import Attribution, discard, redrive
from shared.contracts.errors import CountersignError, PermanentError, TransientError
from shared.contracts.subjects import fill_wildcards
from shared.messaging.connection import NatsConnection
from shared.messaging.dead_letters import read_all
from shared.messaging.declared_buckets import BUCKETS
from shared.messaging.permissions import inbox, permissions
from shared.messaging.requests import CaseRequest, DeadLetterRequest, OperatorReply, ask
from shared.messaging.topology import SERVICES, STREAMS
from tests.support.backup import as_user
from tests.support.redriving import operator_requests
from tests.support.server import NatsServer

pytestmark = pytest.mark.connected

AT = datetime(2026, 11, 28, 3, 0, tzinfo=UTC)
KIM = Attribution("kim", "the cause is mended")
FACT = json.dumps({"encounter_id": "e1"}).encode()
DISCHARGED = "ehr.encounter.discharged.x.e1"
HEADERS = (
    {},
    {"Nats-Rollup": "all"},
    {"KV-Operation": "PURGE", "Nats-Rollup": "sub"},
    {"Nats-Schedule": "@at 2020-01-01T00:00:00Z", "Nats-Schedule-Target": "timers.due.escalation.c1.1"},
)
CALLS = (
    "STREAM.CREATE.X",
    "STREAM.DELETE.{}",
    "STREAM.PURGE.{}",
    "STREAM.MSG.DELETE.{}",
    "STREAM.UPDATE.{}",
    "CONSUMER.CREATE.{}",
    "CONSUMER.DELETE.{}.approval-file",
    "CONSUMER.MSG.NEXT.{}.approval-file",
)


@pytest.fixture
async def operator(nats: NatsServer) -> AsyncIterator[NatsConnection]:
    await nats.provision()
    bus = await nats.connect("operator")
    async with operator_requests(nats, AT):
        yield bus
    await bus.close()


async def put_letter(nats: NatsServer, consumer: str, subject: str, stream: str, body: bytes, **headers: str) -> None:
    """A dead letter as only an administrator could make it."""
    sent = {"countersign-subject": subject, "countersign-stream": stream, "countersign-attempts": "1", "ce-id": "f1"}
    async with as_user(nats, "admin") as admin:
        service = consumer.partition("-")[0]
        await admin.publish(f"deadletter.{service}.{consumer}", body, stream="DEADLETTER", headers=sent | headers)


async def stored(nats: NatsServer, stream: str) -> int:
    async with as_user(nats, "admin") as admin:
        return int((await admin.jetstream.stream_info(stream)).state.messages)


def every_subject() -> list[str]:
    """One of each that any service may write, and of each that anybody is told of."""
    rights = [right for service in SERVICES for right in permissions(service).publish]
    rights += [subject for stream in STREAMS for subject in stream.subjects] + [f"$KV.{name}.>" for name in BUCKETS]
    written = [right for right in rights if not right.startswith(("$JS.", "_INBOX_"))]
    written += ["discharge.*.*.retried", "deadletter.redriven.*", "timers.due.escalation.c1.1", "ehr.encounter.>"]
    return sorted({fill_wildcards(right, "1") for right in written})


async def test_the_operators_key_stores_nothing_anywhere(nats: NatsServer) -> None:
    """No event, timer, dead letter, fact, notice, nor a key of a bucket; with no header, and by no call of the API."""
    await nats.provision()
    names = [item.name for item in STREAMS] + [f"KV_{name}" for name in BUCKETS]
    async with as_user(nats, "admin") as admin:
        await admin.publish("alert.info.kept", b"kept", stream="ALERTS")
        before = {name: (await admin.jetstream.stream_info(name)).state.last_seq for name in names}
        async with as_user(nats, "operator") as bus:
            for subject in every_subject():
                for header in HEADERS:
                    await bus.client.publish(subject, b"{}", headers=header or None)
            for call in CALLS:
                for name in names:
                    await bus.client.publish(f"$JS.API.{call.format(name)}", b"")
            await bus.client.flush()
            await bus.client.flush()
        after = {name: (await admin.jetstream.stream_info(name)).state.last_seq for name in names}
        assert after == before
        assert (await admin.jetstream.stream_info("ALERTS")).state.messages == 1


async def test_what_a_letter_holds_is_put_back_as_it_is_and_once(nats: NatsServer, operator: NatsConnection) -> None:
    await put_letter(nats, "ingest-discharged", DISCHARGED, "EHR", FACT, **{"KV-Operation": "DEL", "Own": "x"})
    letters = await read_all(operator)
    assert await redrive(operator, letters, 1, KIM) == f"published again on {DISCHARGED}"
    with pytest.raises(PermanentError, match="was redriven before, by kim at 2026-11-28T03:00:00"):
        await redrive(operator, letters, 1, KIM)
    (fact,) = await operator.direct_get("EHR", {"seq": 1, "next_by_subj": "ehr.>", "batch": 9})
    assert fact.data == FACT
    assert {"KV-Operation", "Own"}.isdisjoint(fact.headers or {})


MALFORMED: list[tuple[str, tuple[str, str, str, bytes], str]] = [
    ("no JSON", ("ingest-discharged", DISCHARGED, "EHR", b"junk"), "would fail again: the payload breaks the contract"),
    ("empty", ("ingest-discharged", DISCHARGED, "EHR", b""), "would fail again"),
    ("deep", ("ingest-discharged", DISCHARGED, "EHR", b"[" * 100_000), "would fail again"),
    ("another's", ("ingest-discharged", "ehr.encounter.discharged.x.e2", "EHR", FACT), "is not the subject's"),
    ("oversized", ("ingest-discharged", DISCHARGED, "EHR", FACT + b" " * 300_000), "at most 262144 are redriven"),
    ("another fact", ("ingest-discharged", "ehr.encounter.other.x.e1", "EHR", FACT), "cannot be from a consumer"),
    ("unknown consumer", ("ingest-nothing", DISCHARGED, "EHR", FACT), "cannot be from a consumer"),
    ("wrong stream", ("ingest-discharged", DISCHARGED, "TIMERS", FACT), "cannot be from a consumer"),
    ("an event", ("ingest-discharged", "discharge.x.c1.approved", "DISCHARGE", FACT), "cannot be from a consumer"),
    ("unknown event", ("drafter-draft", "discharge.x.c1.nonsense", "DISCHARGE", b"{}"), "cannot be from a consumer"),
    ("unknown case", ("drafter-draft", "discharge.x.c1.retried", "DISCHARGE", b"{}"), "There is no case c1"),
    ("no case id", ("drafter-draft", "discharge.x.*.retried", "DISCHARGE", b"{}"), "cannot be from a consumer"),
    ("every case", ("drafter-draft", "discharge.x.>.retried", "DISCHARGE", b"{}"), "cannot be from a consumer"),
    ("Task", ("approval-ehr-task", "ehr.task.updated.t1", "EHR", b'{"task_id": "t2"}'), "is not the subject's"),
    ("notice", ("approval-deliver", "notify.c1.e1.k1", "NOTIFY", b'{"version": 99}'), "would fail again"),
    ("timer", ("approval-escalate", "timers.due.escalation.c1.1", "TIMERS", b"{}"), "A timer is not redriven"),
    ("refresh", ("embedder-embed", "knowledge.all.r1.batch-ready.1", "KNOWLEDGE", b"{}"), "knowledge refresh"),
]


async def test_what_no_consumer_could_handle_is_not_put_back(nats: NatsServer, operator: NatsConnection) -> None:
    for _, letter, _ in MALFORMED:
        await put_letter(nats, *letter)
    letters = await read_all(operator)
    for number, (what, _, words) in enumerate(MALFORMED, 1):
        with pytest.raises(PermanentError) as refused:
            await redrive(operator, letters, number, KIM)
        assert words in refused.value.reason, what
    assert [await stored(nats, name) for name in ("EHR", "DISCHARGE", "NOTIFY", "TIMERS")] == [0, 0, 0, 0]
    letters = await read_all(operator)
    assert all(letter.waits for letter, _, _ in letters.values())
    for number in letters:
        assert (await discard(operator, letters, number, KIM)).startswith(f"discarded dead letter {number}")


REQUESTS: list[tuple[str, Any, str]] = [
    ("redrive", "junk", "not valid at: body"),
    ("redrive", {"sequence": 1}, "not valid at: by"),
    ("redrive", {"sequence": 1, "by": "  "}, "not valid at: by"),
    ("redrive", {"sequence": 1, "by": "kim\nNats-Rollup: all"}, "not valid at: by"),
    ("redrive", {"sequence": "1; drop", "by": "kim"}, "not valid at: sequence"),
    ("redrive", {"sequence": 1, "by": "kim", "body": {"event": "approved"}}, "not valid at: body"),
    ("redrive", {"sequence": 7, "by": "kim"}, "There is no dead letter 7"),
    ("discard", {"sequence": 1, "by": "kim", "why": " "}, "Say why"),
    ("discard", {"sequence": 1, "by": "kim", "why": "x" * 5000}, "not valid at: why"),
    ("discard", {"sequence": 1, "by": "kim", "why": "x" * 70_000}, "at most 65536 are taken"),
    ("retry", {"case_id": "c1", "by": "kim"}, "there is no such case"),
    ("retry", {"case_id": "*", "by": "kim"}, "not valid at: case_id"),
    ("retry", {"case_id": "x.c1.approved", "by": "kim"}, "not valid at: case_id"),
    ("publish", {"subject": "discharge.x.c1.approved"}, "does not know how to publish"),
]


async def test_what_is_no_request_is_refused_with_a_sentence(nats: NatsServer, operator: NatsConnection) -> None:
    await put_letter(nats, "ingest-discharged", DISCHARGED, "EHR", FACT)
    for verb, asked, words in REQUESTS:
        sent = asked.encode() if isinstance(asked, str) else json.dumps(asked).encode()
        answer = OperatorReply.read(await operator.request(f"mend.approval.{verb}", sent, timeout_s=5))
        assert answer.done is None
        assert words in (answer.refused or ""), (verb, asked)
    assert (await read_all(operator))[1][0].waits


async def test_nobody_but_the_operator_may_ask(
    nats: NatsServer, operator: NatsConnection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("shared.messaging.requests.REPLY_TIMEOUT", 0.5)
    await put_letter(nats, "ingest-discharged", DISCHARGED, "EHR", FACT)
    letters = await read_all(operator)
    for user in ("ingest", "drafter", "embedder", "evaluator", "auditor", "backup"):
        async with as_user(nats, user) as bus:
            with pytest.raises(CountersignError):
                await redrive(bus, letters, 1, KIM)
    assert (await read_all(operator))[1][0].waits


async def test_approval_asks_ingest_about_dead_letters_and_for_nothing_else(
    nats: NatsServer, operator: NatsConnection
) -> None:
    await put_letter(nats, "ingest-discharged", DISCHARGED, "EHR", FACT)
    letter, case = DeadLetterRequest(sequence=1, by="kim", why="w"), CaseRequest(case_id="c1", by="kim")
    refused = [("ingest", "discard", letter), ("ingest", "retry", case), ("approval", "redrive", letter)]
    async with as_user(nats, "approval") as bus:
        for service, verb, request in refused:
            with pytest.raises(TransientError):
                await ask(bus, service, verb, request, timeout_s=0.3)
        assert (await read_all(operator))[1][0].waits
        assert await ask(bus, "ingest", "check", letter) == f"would be published again on {DISCHARGED}"
        assert (await read_all(operator))[1][0].waits
        assert await ask(bus, "ingest", "redrive", letter) == f"published again on {DISCHARGED}"
    assert (await read_all(operator))[1][0].by == "kim"


async def test_ingest_cannot_forge_what_jetstream_answers_approval(nats: NatsServer) -> None:
    await nats.provision()
    arrived: list[str] = []

    async def note(message: Any) -> None:
        arrived.append(message.subject)

    async with as_user(nats, "approval") as approval, as_user(nats, "ingest") as ingest:
        await approval.client.subscribe(f"{inbox('approval')}.>", cb=note)
        await approval.client.flush()
        for subject in ("_INBOX_approval.x.1", "_INBOX_approval.mend.x", "_INBOX_approval.mend.x.1"):
            await ingest.client.publish(subject, b"{}")
        await ingest.client.flush()
        await approval.client.flush()
    assert arrived == ["_INBOX_approval.mend.x.1"]


async def test_what_ingest_could_not_handle_is_redriven_by_ingest(nats: NatsServer, operator: NatsConnection) -> None:
    """Not only reports of encounters: visits of HL7 messages too."""
    visit = {"event": "a03", "sender": "adt", "key": "a" * 64, "recorded_at": "2026-11-28T03:00:00Z"}
    subject = f"ehr.visit.a03.{'b' * 32}"
    await put_letter(nats, "ingest-visits", subject, "EHR", json.dumps(visit).encode())
    assert await redrive(operator, await read_all(operator), 1, KIM) == f"published again on {subject}"


async def test_where_nobody_serves_the_command_says_so_at_once(nats: NatsServer) -> None:
    await nats.provision()
    async with as_user(nats, "operator") as bus:
        with pytest.raises(TransientError, match="approval service does not answer: is it running"):
            await ask(bus, "approval", "retry", CaseRequest(case_id="c1", by="kim"))


async def test_what_is_no_dead_letter_hides_no_other(nats: NatsServer, operator: NatsConnection) -> None:
    await put_letter(nats, "ingest-discharged", DISCHARGED, "EHR", FACT)
    async with as_user(nats, "admin") as admin:
        for subject in ("deadletter.x", "deadletter.redriven.none", "deadletter.a.b.c.d", "deadletter.redriven.99999"):
            await admin.publish(subject, b"\xff{", stream="DEADLETTER", headers={"countersign-attempts": "many"})
        await admin.publish("deadletter.redriven.1", b"[]", stream="DEADLETTER")
    letters = await read_all(operator)
    assert letters.keys() == {1, 2, 3, 4}
    assert (letters[1][0].state, letters[1][0].by) == ("redriven", None)
    assert all("cannot be read" in letters[number][0].reason for number in (2, 3, 4))
    with pytest.raises(PermanentError, match="it is not redriven"):
        await ask(operator, "approval", "redrive", DeadLetterRequest(sequence=2, by="kim"))
    assert await discard(operator, letters, 2, KIM) == "discarded dead letter 2"
