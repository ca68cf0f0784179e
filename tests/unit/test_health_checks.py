"""The rules of the health checks: settings, models, what a broker reports, and pages of the runbook."""

import asyncio
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from services.approval.health.broker import broker_findings
from services.approval.health.checks import RUNBOOKS, health_check, model_findings, not_by_approval
from services.approval.health.connections import KEPT_S, ConnectionChecks
from services.approval.health.rules import assess_dead_letters, assess_secret_files, assess_settings, assess_unfiled
from services.approval.operations.outcomes import DOCS
from shared.messaging.broker_status import BrokerStatus, ConsumerStatus, ServerReport, StreamStatus, merged
from shared.messaging.provision import StreamStorage, consumer_config, stream_configs
from shared.messaging.replica_status import ReplicaStatus
from shared.messaging.topology import all_consumers
from shared.runtime.checks.findings import Finding, Group
from shared.runtime.preflight import SecretFile
from tests.unit.test_doctor import NOW, SAFE

ROOT = Path(__file__).parents[2]


def stream(config: Any) -> StreamStatus:
    return StreamStatus(str(config.name), 1, 9, NOW, 1, "", last_seq=1, config=config)


def served(item: Any) -> ConsumerStatus:
    return ConsumerStatus(item.name, item.stream, 0, 0, 0, 1, False, False, NOW, consumer_config(item))


WHOLE = BrokerStatus(
    (ServerReport("n1", SAFE),),
    tuple(map(stream, stream_configs(StreamStorage()))),
    tuple(map(served, all_consumers())),
    (),
)


def attention(status: BrokerStatus) -> list[tuple[str, str, str]]:
    return [(item.level, item.what, item.says) for item in broker_findings(status, NOW) if item.level != "ok"]


def test_a_broker_as_the_topology_wants_it_is_fine() -> None:
    assert attention(WHOLE) == []
    assert {item.group for item in broker_findings(WHOLE, NOW)} == {"server", "streams", "work"}


def test_replicas_are_the_choice_of_whoever_provisions() -> None:
    three = tuple(stream(item) for item in stream_configs(StreamStorage(3)))
    assert attention(replace(WHOLE, streams=three)) == []


def test_what_is_missing_differs_or_is_strange_is_named() -> None:
    events = next(item for item in WHOLE.streams if item.name == "EHR")
    assert events.config is not None
    wrong = replace(events, config=events.config.evolve(max_age=60.0))
    rest = tuple(item for item in WHOLE.streams if item.name not in ("EHR", "ALERTS"))
    consumers = tuple(item for item in WHOLE.consumers if item.name != "approval-file")
    found = replace(WHOLE, streams=(*rest, wrong), consumers=consumers, strange=(("DISCHARGE", "old"),))
    assert attention(found) == [
        ("fault", "stream ALERTS", "it is missing"),
        ("fault", "stream EHR", "max_age is 60.0, expected 2592000.0"),
        ("fault", "consumer approval-file", "it is missing"),
        ("warning", "consumer old", "unknown durable consumer on DISCHARGE"),
    ]


def test_what_a_server_that_does_not_report_may_have_is_not_missing() -> None:
    part = ServerReport("n1", replace(SAFE, servers=3))
    led_elsewhere = replace(WHOLE.consumers[0], follower=True, waiting=0)
    found = replace(WHOLE, servers=(part,), streams=WHOLE.streams[1:], consumers=(led_elsewhere, *WHOLE.consumers[2:]))
    assert [(level, what) for level, what, _ in attention(found)] == [
        ("warning", "cluster"),
        ("unknown", "streams"),
        ("unknown", "consumers"),
        ("unknown", "consumers"),
    ]
    hidden = replace(WHOLE, streams=tuple(replace(item, config=None) for item in WHOLE.streams))
    assert ("unknown", "streams", "the monitoring endpoint does not show their configuration") in attention(hidden)


def test_servers_of_a_cluster_are_told_apart_and_late_replicas_named() -> None:
    servers = tuple(ServerReport(name, replace(SAFE, servers=2)) for name in ("n1", "n2"))
    late = replace(WHOLE.streams[0], copies=ReplicaStatus(WHOLE.streams[0].name, 2, ("n1", "n2"), ("n2",), 5))
    found = replace(merged([replace(WHOLE, servers=servers)]), servers=servers, streams=(late, *WHOLE.streams[1:]))
    assert attention(found) == [("warning", "server n2", f"it has not caught up on {late.name}")]
    assert {"server n1", "server n2"} <= {item.group for item in broker_findings(found, NOW)}


def test_settings_are_judged_as_production_does() -> None:
    levels = {}
    for production in (True, False):
        assess_settings(group := Group("settings"), ["NATS is plain", "the EHR is plain"], production=production)
        levels[production] = [item.level for item in group.found]
    assert levels == {True: ["fault", "fault"], False: ["ok"]}
    assess_settings(fine := Group("settings"), [], production=True)
    assert [item.level for item in fine.found] == ["ok"]


def test_a_file_that_others_read_is_named_without_its_content() -> None:
    files = [SecretFile("COUNTERSIGN_TOKENS_FILE", "/run/tokens", 0o644), SecretFile("X", "/run/x", 0o640)]
    assess_secret_files(group := Group("settings"), files, 2)
    assert [(item.level, item.what, item.do) for item in group.found] == [
        ("warning", "file of COUNTERSIGN_TOKENS_FILE", "chmod o= /run/tokens"),
        ("ok", "master keys", ""),
    ]


def test_work_that_waits_is_counted() -> None:
    assess_dead_letters(group := Group("work"), ["b", "a", "b"], complete=False)
    assess_unfiled(group, 1)
    assert [(item.level, item.says) for item in group.found] == [
        ("warning", "3 or more unresolved, of a, b"),
        ("warning", "1 signed document not in the chart yet"),
    ]


@pytest.mark.parametrize(
    ("firing", "ready", "levels"),
    [
        (None, {}, {"model server": "unknown", "budgets of endpoints": "unknown"}),
        (None, {"triton": False}, {"model server: triton": "fault", "budgets of endpoints": "unknown"}),
        (frozenset(), {}, {"model server": "ok", "budgets of endpoints": "ok"}),
        (
            frozenset({"TritonNotReady", "EndpointBudgetNearLimit"}),
            {},
            {"model server": "fault", "budgets of endpoints": "warning"},
        ),
    ],
)
def test_models_are_known_by_their_services_or_their_alerts(
    firing: frozenset[str] | None, ready: dict[str, bool], levels: dict[str, str]
) -> None:
    assert {item.what: item.level for item in model_findings(firing, ready)} == levels


def test_what_is_not_known_says_who_can() -> None:
    for finding in not_by_approval():
        assert "countersign " in finding.do or "docs/" in finding.do, finding


def test_runbook_pages_are_there() -> None:
    for start, page in RUNBOOKS:
        file, _, anchor = page.partition("#")
        text = (ROOT / "docs" / file).read_text()
        titles = {
            re.sub(r"[^\w -]", "", item).replace(" ", "-").lower() for item in re.findall(r"^##+ (.+)$", text, re.M)
        }
        assert not anchor or anchor in titles, (start, page)
    assert health_check(Finding("server", "durability", "ok", "synced")).runbook == ""
    assert health_check(Finding("x", "EHR scopes", "warning", "s", "d")).runbook == f"{DOCS}/how-to/connect-your-ehr.md"
    assert health_check(Finding("x", "other", "fault", "s", "d")).state == "failed"


async def test_other_servers_are_asked_once_for_all_and_not_waited_for_without_end(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked, answer, now = [], asyncio.Event(), 0.0

    def of(name: str) -> Any:
        async def check(_: ConnectionChecks) -> Group:
            asked.append(name)
            await answer.wait()
            group = Group("connections")
            group.ok(name, "it answers")
            return group

        return check

    for name in ("_ehr", "_sign_on", "_addresses"):
        monkeypatch.setattr(ConnectionChecks, name, of(name))
    nothing: Any = None
    made = ConnectionChecks(nothing, lambda: now)
    assert [(item.what, item.level) for item in await made.findings(0.01)] == [
        ("EHR", "unknown"),
        ("identity provider", "unknown"),
        ("receiver of documents and collector", "unknown"),
    ]
    answer.set()
    assert [item.what for item in await made.findings(5)] == ["_ehr", "_sign_on", "_addresses"]
    assert asked == ["_ehr", "_sign_on", "_addresses"]
    now = KEPT_S
    await made.findings(5)
    assert asked[3:] == ["_ehr", "_addresses"]  # the identity provider is asked less often
    await made.close()


async def test_a_check_that_fails_itself_leaves_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    async def fine(_: ConnectionChecks) -> Group:
        return Group("connections")

    async def broken(_: ConnectionChecks) -> Group:
        raise RuntimeError

    for name, check in (("_ehr", broken), ("_sign_on", fine), ("_addresses", fine)):
        monkeypatch.setattr(ConnectionChecks, name, check)
    nothing: Any = None
    found = await ConnectionChecks(nothing).findings(5)
    assert [(item.what, item.level, item.says) for item in found] == [
        ("EHR", "unknown", "its check failed (RuntimeError)")
    ]
