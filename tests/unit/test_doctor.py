"""What the doctor makes of what it finds. Pure."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from cli.doctor import users
from services.approval.ehr_tasks.watermark import Watermark
from services.approval.health.rules import assess_watermark
from shared.messaging.permissions import Permissions, permissions
from shared.messaging.placement import read_placement
from shared.messaging.provision import StreamStorage, consumer_config, stream_configs
from shared.messaging.replica_status import ReplicaStatus
from shared.messaging.server_status import ServerStatus
from shared.messaging.topology import consumer
from shared.runtime.checks import consumers, nats_server, streams
from shared.runtime.checks.consumers import ConsumerHealth
from shared.runtime.checks.findings import Group
from tests.support.examples import T0

NOW = datetime(2026, 11, 24, 3, tzinfo=UTC)
SAFE = ServerStatus(True, True, 1, (), "2.15.1", NOW, 10**9, 10**11)
WANTED = {str(item.name): item for item in stream_configs(StreamStorage())}


def faults(group: Group) -> list[str]:
    return [f"{item.what}: {item.says}" for item in group.found if item.level == "fault"]


@pytest.fixture
def group() -> Group:
    return Group("x")


def test_a_stream_as_wanted_is_fine(group: Group) -> None:
    streams.compare(group, "stream", WANTED, WANTED, "provision")
    assert [(item.level, item.says) for item in group.found] == [("ok", f"{len(WANTED)} as expected")]


def test_what_is_missing_or_differs_is_named_with_both(group: Group) -> None:
    found = dict(WANTED)
    del found["ALERTS"]
    found["EHR"] = found["EHR"].evolve(max_age=60.0, subjects=["ehr.>", "other"])
    streams.compare(group, "stream", WANTED, found, "provision")
    assert faults(group) == [
        "stream ALERTS: it is missing",
        "stream EHR: subjects is ehr.>, other, expected ehr.>, max_age is 60.0, expected 2592000.0",
    ]
    assert not [item for item in group.found if item.level == "ok"]
    assert {item.do for item in group.found} == {"provision"}


def test_a_stream_that_may_be_elsewhere_is_named_with_where_it_should_be(group: Group) -> None:
    wanted = {
        str(item.name): item for item in stream_configs(StreamStorage(1, read_placement("region:eu,KNOWLEDGE=*")))
    }
    placed = wanted["KNOWLEDGE"].evolve(placement=wanted["EHR"].placement)
    found = wanted | {"EHR": WANTED["EHR"], "KNOWLEDGE": placed}
    streams.compare(group, "stream", wanted, found, "provision")
    assert faults(group) == [
        "stream EHR: placement is none, expected region:eu",
        "stream KNOWLEDGE: placement is region:eu, expected none",
    ]


def test_a_stream_on_its_way_and_a_server_that_lags_are_named(group: Group) -> None:
    moving = ReplicaStatus("DISCHARGE", 2, ("a", "b", "c"), ("c",), 7)
    streams.assess_replicas(
        group, [ReplicaStatus("EHR", 2, ("a", "b"), (), 0), moving, ReplicaStatus("ACCESS", 2, ("a", "c"), ("c",), 1)]
    )
    assert [(item.level, item.what, item.says) for item in group.found] == [
        ("warning", "placement", "moving to other servers: DISCHARGE"),
        ("warning", "server c", "it has not caught up on ACCESS, DISCHARGE"),
    ]


@pytest.mark.parametrize(
    ("mark", "found"),
    [
        (Watermark(), []),
        (Watermark(failed=2), []),
        (Watermark(failed=3), [("warning", "the EHR could not be read 3 times; none read yet")]),
        (Watermark(seen=T0), [("ok", "read up to 2026-11-23 09:00 UTC")]),
        (Watermark(seen=T0, behind=True), [("warning", "read up to 2026-11-23 09:00 UTC, more remain")]),
    ],
)
def test_how_far_the_ehrs_tasks_are_known_is_told(group: Group, mark: Watermark, found: list[tuple[str, str]]) -> None:
    assess_watermark(group, mark)
    assert [(item.level, item.says) for item in group.found] == found


def test_an_unknown_durable_is_a_warning(group: Group) -> None:
    target = consumer("drafter-draft")
    wanted = {target.name: consumer_config(target)}
    streams.compare(group, "consumer", wanted, wanted | {"old": wanted[target.name]}, "p", of="DISCHARGE")
    assert [item.level for item in group.found] == ["ok", "warning"]


@pytest.mark.parametrize(
    ("found", "what"),
    [
        (replace(SAFE, sync_always=False), "durability"),
        (replace(SAFE, auth_required=False), "authentication"),
        (replace(SAFE, servers=3, single=("DISCHARGE",)), "replicas"),
        (replace(SAFE, version="2.11.4"), "version"),
        (replace(SAFE, stored=10**11 - 1), "stream storage"),
        (replace(SAFE, now=NOW + timedelta(minutes=1)), "clock of NATS"),
        (replace(SAFE, certificate_ends=NOW), "certificate"),
    ],
)
def test_a_server_that_is_not_safe_is_a_fault(group: Group, found: ServerStatus, what: str) -> None:
    nats_server.assess_durability(group, found, NOW)
    (fault,) = faults(group)
    assert fault.startswith(f"{what}: ")
    nats_server.assess_durability(healthy := Group("y"), replace(SAFE, version="2.15.0-RC.1"), NOW)
    assert faults(healthy) == []


@pytest.mark.parametrize(("days", "level"), [(29, "warning"), (30, "ok")])
def test_a_certificate_is_to_be_renewed_a_month_before_its_end(group: Group, days: int, level: str) -> None:
    nats_server.assess_certificate(group, timedelta(days=days))
    assert [(item.level, item.says) for item in group.found] == [(level, f"it expires in {days} days")]


@pytest.mark.parametrize(
    ("free", "total", "level"),
    [(50, 100, "ok"), (12, 100, "ok"), (9, 100, "warning"), (30, 10_000, "ok"), (1, 100, "fault"), (0, 1, "fault")],
)
def test_room_in_gigabytes(group: Group, free: int, total: int, level: str) -> None:
    nats_server.assess_free_space(group, "disk", int((free - 0.5) * 10**9) if free else 0, total * 10**9)
    assert group.found[0].level == level


def test_rights_are_tried_by_subjects_that_they_cover() -> None:
    for service in ("drafter", "approval"):
        owned = permissions(service)
        may, must_not = users.publish_subjects(owned)
        assert len(may) == len(set(may)) == len(set(owned.publish))
        assert not set(may) & set(must_not)
        assert "discharge.doctor.doctor.approved" in (may if service == "approval" else must_not)
        assert "$JS.API.STREAM.DELETE.DOCTOR" in must_not
        assert not [subject for subject in may + must_not if "*" in subject or ">" in subject]


def test_what_the_server_refuses_is_held_against_what_it_should(group: Group) -> None:
    owned = Permissions(publish=("discharge.*.*.Drafted",), subscribe=())
    may, _ = users.publish_subjects(owned)
    users.assess_user(group, "x", may, ["a.b", "c.d"], {"a.b", "c.d"})
    assert [item.level for item in group.found] == ["ok"]
    users.assess_user(group, "x", may, ["a.b", "c.d"], {"discharge.doctor.doctor.drafted", "a.b"})
    assert faults(group) == [
        "user x: permissions are missing: discharge.*.*.Drafted",
        "user x: permissions are too broad: c.d",
    ]


def load(name: str, **more: int | bool) -> ConsumerHealth:
    facts = {"waiting": 1, "pending": 0, "unanswered": 0, "redelivered": 0} | more
    return ConsumerHealth(consumer(name), **facts)  # type: ignore[arg-type]


def test_a_service_whose_consumers_nobody_serves_is_named_once(group: Group) -> None:
    loads = [load("drafter-extract", waiting=0, pending=3), load("drafter-draft", waiting=0), load("approval-file")]
    consumers.assess_consumers(group, loads)
    assert faults(group) == ["service drafter: no process takes its messages; 3 pending"]


def test_a_consumer_that_is_left_alone_stuck_or_behind_is_named(group: Group) -> None:
    loads = [
        load("approval-file", unanswered=40, redelivered=40),
        load("approval-settle", waiting=0, pending=2),
        load("approval-request", waiting=0, unanswered=32, pending=5000),
        load("embedder-embed", waiting=0, pending=7, paused=True),
        load("embedder-settle"),
    ]
    consumers.assess_consumers(group, loads)
    assert faults(group) == ["consumer approval-settle: no process takes its messages; 2 pending"]
    assert {item.what for item in group.found if item.level == "warning"} == {
        "consumer approval-file",
        "consumer approval-request",
    }
    assert "paused (peak hours)" in next(item.says for item in group.found if item.what == "consumer embedder-embed")


def test_a_server_that_takes_no_long_record_is_named(group: Group) -> None:
    nats_server.assess_payload(group, 2**20)
    assert [(item.level, item.what) for item in group.found] == [("warning", "size of messages")]
    nats_server.assess_payload(enough := Group("y"), 8 * 2**20)
    assert not enough.found
