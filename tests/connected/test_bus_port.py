"""What the journal relies on, asked of the real server and of the bus in memory that stands for it in unit tests."""

import asyncio
import os
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

import pytest

from shared.contracts.envelope import CHAIN_START, sha256_hex
from shared.contracts.errors import ErasedError, PermanentError, TransientError
from shared.messaging.artifacts import Artifacts
from shared.messaging.buckets import Bucket
from shared.messaging.connection import WrongSequenceError
from shared.messaging.declared_buckets import BUCKETS
from shared.messaging.event_store import EventStore, WrongExpectedVersionError
from shared.messaging.provision import provision
from shared.messaging.timers import Timers
from shared.messaging.topology import STREAMS, all_consumers
from tests.support.examples import CASE, T0, event
from tests.support.memory import MemoryBus
from tests.support.server import NatsServer

pytestmark = pytest.mark.connected


@pytest.fixture(params=["memory", "server"])
async def bus(request: pytest.FixtureRequest) -> AsyncIterator[Any]:
    if request.param == "memory":
        yield MemoryBus()
        return
    server: NatsServer = request.getfixturevalue("nats")
    await server.provision()
    found = await server.connect("admin")
    yield found
    await found.close()


def expecting(sequence: int) -> dict[str, str]:
    return {
        "Nats-Expected-Last-Subject-Sequence": str(sequence),
        "Nats-Expected-Last-Subject-Sequence-Subject": CASE.filter,
    }


async def test_compare_and_set_over_all_subjects_of_a_case(bus: Any) -> None:
    first = await bus.publish(CASE.subject("a"), b"1", stream="DISCHARGE", headers=expecting(0))
    with pytest.raises(WrongSequenceError):
        await bus.publish(CASE.subject("b"), b"2", stream="DISCHARGE", headers=expecting(0))
    second = await bus.publish(CASE.subject("b"), b"2", stream="DISCHARGE", headers=expecting(first.seq))
    assert second.seq > first.seq


async def test_a_repeated_id_is_stored_once(bus: Any) -> None:
    acks = [await bus.publish("alert.info.x", b"1", stream="ALERTS", id="same") for _ in range(3)]
    assert [bool(ack.duplicate) for ack in acks] == [False, True, True]
    assert len(await bus.direct_get("ALERTS", {"seq": 1, "next_by_subj": "alert.>", "batch": 10})) == 1


async def test_direct_get_in_order_by_filter_and_by_sequence(bus: Any) -> None:
    for index in range(5):
        await bus.publish(f"alert.info.{'ab'[index % 2]}", str(index).encode(), stream="ALERTS")
    found = await bus.direct_get("ALERTS", {"seq": 1, "next_by_subj": "alert.info.a", "batch": 10})
    assert [item.data for item in found] == [b"0", b"2", b"4"]
    assert [item.data for item in await bus.direct_get("ALERTS", {"seq": 3})] == [b"2"]
    assert await bus.direct_get("ALERTS", {"seq": 1, "next_by_subj": "alert.none.>", "batch": 10}) == []


async def test_the_journal_appends_reads_back_and_says_who_was_first(bus: Any) -> None:
    journal = EventStore(bus, "ingest")
    head = await journal.append(CASE, event("discharged"), after=CHAIN_START, id="1", time=T0)
    assert await journal.append(CASE, event("discharged"), after=CHAIN_START, id="1", time=T0) == head
    with pytest.raises(WrongExpectedVersionError) as conflict:
        await journal.append(CASE, event("withdrawn"), after=CHAIN_START, id="2", time=T0)
    assert [item.id for item in conflict.value.history] == ["1"]
    await journal.append(CASE, event("context-extracted"), after=head, id="3", time=T0)
    history = await journal.history(CASE)
    assert [item.body for item in history] == [event("discharged"), event("context-extracted")]
    assert history[1].prevdigest == history[0].head.digest
    assert await journal.find("nobody") == []


async def test_more_events_than_one_page_are_all_read(bus: Any) -> None:
    for index in range(530):
        await bus.publish(f"alert.info.x{index % 3}", b"", stream="ALERTS")
    journal = EventStore(bus, "x")
    head = CHAIN_START
    for index in range(520):
        head = await journal.append(CASE, event("escalated"), after=head, id=f"e{index}", time=T0)
    assert len(await journal.history(CASE)) == 520


async def test_provisioning_is_idempotent_and_mends_what_differs(nats: NatsServer) -> None:
    bus = await nats.connect("admin")
    first = await provision(bus)
    assert {change.action for change in first} == {"created"}
    assert len(first) == len(STREAMS) + len(BUCKETS) + len(all_consumers())
    assert {change.action for change in await provision(bus)} == {"unchanged"}
    info = await bus.jetstream.stream_info("EHR")
    await bus.jetstream.update_stream(info.config.evolve(max_age=3600))
    changed = [change for change in await provision(bus) if change.action != "unchanged"]
    assert [(change.what, change.action, change.differs) for change in changed] == [
        ("stream EHR", "updated", ("max_age",))
    ]
    await bus.close()


async def test_text_is_kept_under_its_digest(bus: Any) -> None:
    artifacts = Artifacts(bus).of(CASE.id, 7)
    key, other = await artifacts.put(b"text"), await artifacts.put(b"other")
    assert await artifacts.put(b"text") == key
    assert await artifacts.get(key) == b"text"
    assert await artifacts.get_many([key, other, "0" * 64]) == {key: b"text", other: b"other"}
    with pytest.raises(TransientError, match="is not there"):
        await Artifacts(bus).of("another").get(key)


async def test_text_from_before_cases_had_keys_is_read(bus: Any) -> None:
    key = sha256_hex(b"old")
    await bus.publish(f"$KV.artifacts.{key}", b"old", stream="KV_artifacts")
    artifacts = Artifacts(bus)
    assert await artifacts.of(CASE.id).get(key) == b"old"
    await artifacts.erase(CASE.id, [key])
    with pytest.raises(ErasedError):
        await artifacts.of(CASE.id).get(key)
    assert not await bus.direct_get("KV_artifacts", {"last_by_subj": f"$KV.artifacts.{key}"})


async def test_two_processes_seal_with_one_key(bus: Any) -> None:
    one, other = Artifacts(bus), Artifacts(bus)
    keys = await asyncio.gather(*(item.of(CASE.id, 1).put(data) for item in (one, other) for data in (b"a", b"b")))
    for item in (one, other, Artifacts(bus)):
        assert set(await item.of(CASE.id).get_many(keys)) == {sha256_hex(b"a"), sha256_hex(b"b")}
    assert len(await one.keys.generations(CASE.id)) == 1


async def test_what_is_stored_opens_with_the_key_of_its_case_alone(bus: Any) -> None:
    artifacts = Artifacts(bus)
    key = await artifacts.of(CASE.id, 1).put(b"text")
    other = await artifacts.of("another", 1).put(b"text")
    values = {}
    for case in (CASE.id, "another"):
        (stored,) = await bus.direct_get("KV_artifacts", {"last_by_subj": f"$KV.artifacts.{case}.{key}"})
        assert b"text" not in stored.data
        values[case] = stored.data
    assert (key, len(set(values.values()))) == (other, 2)
    await artifacts.erase_case(CASE.id, 5, [key])
    assert await artifacts.of("another").get(key) == b"text", "the same words of another case"


async def test_an_erased_case_is_erased_for_everybody_and_takes_no_text(bus: Any) -> None:
    artifacts, writer = Artifacts(bus), Artifacts(bus)
    key = await writer.of(CASE.id, 3).put(b"text")
    (before,) = await bus.direct_get("KV_artifacts", {"last_by_subj": f"$KV.artifacts.{CASE.id}.{key}"})
    for _ in range(2):  # twice is once
        await artifacts.erase_case(CASE.id, 9, [key])
    for reader in (artifacts, writer, Artifacts(bus)):
        with pytest.raises(ErasedError):
            await reader.of(CASE.id).get(key)
    with pytest.raises(ErasedError):
        await Artifacts(bus).of(CASE.id, 8).put(b"late")
    # A copy of what was sealed, of a backup or of a disk, opens no more.
    await bus.publish(f"$KV.artifacts.{CASE.id}.{key}", before.data, stream="KV_artifacts")
    with pytest.raises(ErasedError):
        await Artifacts(bus).of(CASE.id).get(key)


async def test_a_case_that_is_reopened_after_an_erasure_has_another_key(bus: Any) -> None:
    drafter = Artifacts(bus)  # which goes on from before the erasure to after it
    await drafter.of(CASE.id, 3).put(b"first")
    await Artifacts(bus).erase_case(CASE.id, 9, [])
    again = await drafter.of(CASE.id, 12).put(b"second")
    assert await Artifacts(bus).of(CASE.id).get(again) == b"second"
    await Artifacts(bus).erase_case(CASE.id, 9, [])  # delivered once more
    assert [item.number for item in await Artifacts(bus).keys.generations(CASE.id)] == [0, 9]
    assert await Artifacts(bus).keys.erased(CASE.id) is False
    await Artifacts(bus).erase_case(CASE.id, 20, [again])
    with pytest.raises(ErasedError):
        await Artifacts(bus).of(CASE.id, 20).put(b"third")


@pytest.mark.parametrize("reopened", [False, True])
async def test_an_erasure_that_is_killed_between_its_steps_is_ended_by_the_next(bus: Any, reopened: bool) -> None:
    """Killed after the key was deleted, before its marker: a late writer must not get the case a key that stays."""
    if reopened:
        await Artifacts(bus).of(CASE.id, 1).put(b"text")
        await Artifacts(bus).erase_case(CASE.id, 2, [])
    key = await Artifacts(bus).of(CASE.id, 3).put(b"text")
    (generation,) = [item for item in await Artifacts(bus).keys.generations(CASE.id) if item.key is not None]
    await bus.jetstream.delete_msg("KV_keys", generation.sequence)
    await Artifacts(bus).of(CASE.id, 4).put(b"late")
    await Artifacts(bus).erase_case(CASE.id, 9, [key])
    found = await Artifacts(bus).keys.generations(CASE.id)
    assert [item.key for item in found] == [None] * (1 + reopened)
    assert found[-1].ended == 9
    with pytest.raises(ErasedError):
        await Artifacts(bus).of(CASE.id, 9).put(b"too late")


async def test_a_key_is_kept_under_the_master_key_and_opens_with_no_other(bus: Any) -> None:
    plain = await Artifacts(bus).of("before", 1).put(b"text")
    bus.master_keys = (b"m" * 32,)
    key = await Artifacts(bus).of(CASE.id, 1).put(b"text")
    assert await Artifacts(bus).of(CASE.id).get(key) == b"text"
    assert await Artifacts(bus).of("before").get(plain) == b"text", "from before there was one"
    bus.master_keys = (b"n" * 32, b"m" * 32)
    assert await Artifacts(bus).of(CASE.id).get(key) == b"text", "by an older key of the file"
    newer = await Artifacts(bus).of("newer", 1).put(b"text")
    bus.master_keys = (b"n" * 32,)
    assert await Artifacts(bus).of("newer").get(newer) == b"text"
    for others in ((b"o" * 32, b"n" * 32), ()):
        bus.master_keys = others
        with pytest.raises(PermanentError, match=r"master key|MASTER_KEY"):
            await Artifacts(bus).of(CASE.id).get(key)
    await Artifacts(bus).erase_case(CASE.id, 9, [key])  # which a restore does without it
    with pytest.raises(ErasedError):
        await Artifacts(bus).of(CASE.id).get(key)


async def test_a_bucket_forgets_what_is_deleted_and_takes_a_value_over_the_revision_that_is_named(bus: Any) -> None:
    bucket = Bucket(bus, "working")
    assert await bucket.get("case.a") is None
    first = await bucket.put("case.a", b"1", revision=0)
    with pytest.raises(WrongSequenceError):
        await bucket.put("case.a", b"2", revision=0)
    await bucket.put("case.a", b"3", revision=first)
    await bucket.put("case.b", b"4", ttl=60)
    found = await bucket.get("case.a")
    assert found is not None
    assert found.value == b"3"
    await bucket.delete("case.a")
    assert await bucket.get("case.a") is None
    assert await bucket.put("case.b", b"5") > first


async def test_timers_are_taken_back_one_by_one_and_all_of_a_case(bus: Any) -> None:
    timers = Timers(bus)
    late = datetime(2099, 1, 1, tzinfo=UTC)

    async def waiting() -> list[str]:
        found = await bus.direct_get("TIMERS", {"seq": 1, "next_by_subj": "timers.escalation.>", "batch": 9})
        return [item.headers["Nats-Subject"].rpartition(".")[2] for item in found]

    sequence = await timers.schedule(CASE, "c1", 1, late)
    await timers.schedule(CASE, "c1", 2, late)
    await timers.cancel_exactly(CASE, 1, sequence - 1)
    assert await waiting() == ["1", "2"]
    await timers.cancel_exactly(CASE, 1, sequence)
    assert await waiting() == ["2"]
    await timers.cancel(CASE.id)
    assert await waiting() == []


async def test_text_that_is_missing_or_not_what_its_digest_says_is_not_given(bus: Any) -> None:
    artifacts, key = Artifacts(bus).of(CASE.id), sha256_hex(b"text")
    with pytest.raises(TransientError, match="is not there"):  # yet: the copy that was read may be behind
        await artifacts.get(key)
    await bus.publish(f"$KV.artifacts.{key}", b"another text", stream="KV_artifacts")
    with pytest.raises(PermanentError, match="not what its digest says"):
        await artifacts.get(key)


async def test_the_record_of_a_long_stay_is_kept_and_what_is_too_large_is_said_to_be(nats: NatsServer) -> None:
    await nats.provision()
    bus = await nats.connect("drafter")
    artifacts = Artifacts(bus).of(CASE.id)
    long = os.urandom(7 * 2**20)
    assert await artifacts.get(await artifacts.put(long)) == long
    with pytest.raises(PermanentError, match="max_payload"):
        await artifacts.put(os.urandom(9 * 2**20))
    await bus.close()


async def test_text_that_cannot_be_read_now_is_asked_for_again(nats: NatsServer) -> None:
    await nats.provision()
    bus = await nats.connect("drafter")
    artifacts = Artifacts(bus).of(CASE.id)
    admin = await nats.connect("admin")
    await admin.jetstream.delete_stream("KV_artifacts")
    with pytest.raises(TransientError):
        await artifacts.get(sha256_hex(b"text"))
    await admin.close()
    await bus.close()


def stored_bytes(server: NatsServer) -> bytes:
    return b"".join(file.read_bytes() for file in (server.directory / "nats").rglob("*") if file.is_file())


async def test_what_is_stored_is_encrypted(nats: NatsServer) -> None:
    await nats.provision()
    bus = await nats.connect("drafter")
    await Artifacts(bus).of(CASE.id).put(b"a text that nobody may read on the disk")
    await bus.close()
    assert b"nobody may read" not in stored_bytes(nats)
