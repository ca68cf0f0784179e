"""Least rights that are least: no header and no write of one service reaches what is another's."""

from datetime import UTC, datetime, timedelta

import pytest

from shared.contracts.envelope import sha256_hex
from shared.contracts.errors import CountersignError
from shared.contracts.subjects import CaseRef, fill_wildcards, subject_matches
from shared.messaging.artifacts import Artifacts
from shared.messaging.declared_buckets import BUCKETS
from shared.messaging.permissions import permissions
from shared.messaging.provision import provision
from shared.messaging.stream_pages import read_stream_pages
from shared.messaging.timers import REFRESHES, Timers
from shared.messaging.topology import SERVICES, STREAMS
from tests.support.earlier_versions import installed_before
from tests.support.server import NatsServer

pytestmark = pytest.mark.connected

HEADERS = (
    {"Nats-Rollup": "all"},
    {"Nats-Rollup": "sub"},
    {"KV-Operation": "DEL"},
    {"KV-Operation": "PURGE", "Nats-Rollup": "sub"},
    {"KV-Operation": "PURGE", "Nats-Rollup": "all"},
    {"Nats-TTL": "1s"},
    {"Nats-Schedule": "@at 2020-01-01T00:00:00Z", "Nats-Schedule-Target": "timers.due.escalation.kept.1"},
    {"Nats-Schedule": "@at 2020-01-01T00:00:00Z", "Nats-Schedule-Target": "$KV.artifacts.kept"},
    {"Nats-Schedule": "@at 2020-01-01T00:00:00Z", "Nats-Schedule-Target": "discharge.x.kept.approved"},
)


def written_by(service: str) -> list[str]:
    """What a service may publish into streams, with one word for each wildcard."""
    return [right for right in permissions(service).publish if not right.startswith(("$JS.", "_INBOX_", "mend."))]


def stream_of(subject: str) -> str:
    streams = [(item.name, item.subjects) for item in STREAMS]
    streams += [(f"KV_{name}", (f"$KV.{name}.>",)) for name in BUCKETS]
    return next(name for name, subjects in streams if any(subject_matches(item, subject) for item in subjects))


@pytest.mark.parametrize("attacker", SERVICES)
async def test_no_header_of_a_service_touches_what_is_anothers(
    nats: NatsServer, attacker: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    await nats.provision()
    admin, bus = await nats.connect("admin"), await nats.connect(attacker)
    own = written_by(attacker)
    kept = {
        subject
        for service in SERVICES
        for subject in (fill_wildcards(right, "kept") for right in written_by(service))
        if not any(subject_matches(right, subject) for right in own)
    }
    # The knowledge base's services share their timers: no patient waits for them, and each start sets them again.
    kept = {subject for subject in kept if stream_of(subject) != REFRESHES}
    sequences = {subject: (await admin.publish(subject, b"kept", stream=stream_of(subject))).seq for subject in kept}
    assert len(kept) > 20
    monkeypatch.setattr("shared.messaging.connection.REQUEST_TIMEOUT", 1.0)
    for right in own:
        subject = fill_wildcards(right, "attacked")
        for header in HEADERS:
            try:
                await bus.publish(subject, b"", stream=stream_of(subject), headers=header)
            except CountersignError:
                continue
    for subject, sequence in sequences.items():
        found = await admin.direct_get(stream_of(subject), {"last_by_subj": subject})
        assert [(item.headers or {})["Nats-Sequence"] for item in found] == [str(sequence)], subject
    await bus.close()
    await admin.close()


async def test_what_an_artifact_says_stands_for_ever(nats: NatsServer) -> None:
    """Also against the services that may write artifacts."""
    await nats.provision()
    for user in ("drafter", "approval"):
        bus = await nats.connect(user)
        artifacts = Artifacts(bus).of("c1")
        key = await artifacts.put(b"what was signed")
        for header in ({}, *HEADERS):
            with pytest.raises(CountersignError):
                await bus.publish(f"$KV.artifacts.c1.{key}", b"", stream="KV_artifacts", headers=header)
            with pytest.raises(CountersignError):
                await bus.publish("$KV.keys.c1.0", b"", stream="KV_keys", headers=header)
        assert await artifacts.get(key) == b"what was signed"
        assert await artifacts.put(b"what was signed") == key, "again changes nothing"
        await bus.close()


async def test_an_artifact_that_cannot_be_stored_is_not_called_stored(
    nats: NatsServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    await nats.provision()
    admin, bus = await nats.connect("admin"), await nats.connect("drafter")
    key = sha256_hex(b"text")
    await admin.publish(f"$KV.artifacts.c1.{key}", b"another text", stream="KV_artifacts")
    with pytest.raises(CountersignError):
        await Artifacts(bus).of("c1").put(b"text")
    await admin.jetstream.delete_stream("KV_artifacts")
    monkeypatch.setattr("shared.messaging.connection.REQUEST_TIMEOUT", 0.3)
    with pytest.raises(CountersignError):
        await Artifacts(bus).of("c1").put(b"more text")
    await bus.close()
    await admin.close()


async def test_a_page_that_the_server_cuts_short_is_not_the_last(nats: NatsServer) -> None:
    """It sends no more than 64 MB at once."""
    await nats.provision()
    bus = await nats.connect("admin")
    for number in range(80):
        await bus.publish(f"$KV.sources.big.{number}", b"x" * 1_000_000, stream="KV_sources")
    read = [page async for page in read_stream_pages(bus, "KV_sources", "$KV.sources.big.>", size=256)]
    assert len(read) > 1, "the server has cut none short: the test shows nothing"
    assert sum(len(page) for page in read) == 80
    assert [page async for page in read_stream_pages(bus, "KV_sources", "$KV.sources.none.>")] == []
    await bus.close()


async def test_provisioning_an_installation_of_before_loses_no_clock(nats: NatsServer) -> None:
    admin = await nats.connect("admin")
    await installed_before(admin)
    due = datetime.now(UTC) + timedelta(seconds=1)
    await Timers(admin).schedule(CaseRef("cardiology", "c1"), "clock", 1, due)
    key = sha256_hex(b"text")  # in plain, as it was before cases had keys
    await admin.publish(f"$KV.artifacts.{key}", b"text", stream="KV_artifacts")
    changes = {change.what: change.action for change in await provision(admin)}
    assert changes["consumer ingest-schedule of TIMERS"] == "removed"
    assert changes["consumer ingest-schedule"] == "created"
    assert changes["stream TIMERS"] == changes["stream KV_artifacts"] == "updated"
    assert {change.action for change in await provision(admin)} == {"unchanged"}
    subscription = await admin.jetstream.pull_subscribe_bind("approval-escalate", "TIMERS")
    (message,) = await subscription.fetch(1, timeout=10)
    assert message.subject == "timers.due.escalation.c1.1"
    assert await Artifacts(admin).of("c1").get(key) == b"text"
    await admin.close()
