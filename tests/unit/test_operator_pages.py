"""The rules behind the operator's pages: groups of dead letters, outcomes, consumers, schedules, NATS's figures."""

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from services.approval.health.rules import assess_schedules
from services.approval.operations.groups import from_ranges, grouped, literal_of, pattern_of, to_ranges
from services.approval.operations.outcomes import outcome_of, runbook_of, summary_of
from services.approval.operations.service import ActionResult
from services.approval.system import rules
from services.approval.system.schedules import JOBS, Schedule, read_timer, schedules
from services.approval.web.dead_letter_filters import Filters
from shared.contracts.errors import TransientError
from shared.messaging.broker_status import ConsumerStatus, addresses, broker_status, merged, parse_time
from shared.messaging.dead_letters import DeadLetter
from shared.messaging.descriptions import CONSUMER_DESCRIPTIONS, STREAM_DESCRIPTIONS
from shared.messaging.topology import STREAMS, all_consumers
from shared.runtime.checks.findings import Group
from shared.runtime.problems import ProblemError

NOW = datetime(2026, 11, 29, 3, 0, tzinfo=UTC)
CASE = "discharge.surgery.case-1.failed"


def letter(sequence: int, reason: str = "no JSON", consumer: str = "ingest-discharged", **more: Any) -> DeadLetter:
    more = {"failed_at": f"2026-11-29T02:00:{sequence:02}Z"} | more
    return DeadLetter(sequence, consumer, "ehr.x", reason, 3, "EHR", **more)


def test_letters_are_grouped_by_consumer_and_reason_without_ids() -> None:
    assert pattern_of("Encounter/e1 of ward 1 is gone: HTTP 404.") == "… of ward 1 is gone: HTTP 404."
    groups = grouped([letter(n, f"Encounter/e{n} gone: HTTP {status}") for n, status in ((1, 404), (2, 404), (3, 503))])
    assert [(group.count, group.reason) for group in groups] == [(2, "… gone: HTTP 404"), (1, "… gone: HTTP 503")]
    assert (groups[0].oldest, groups[0].newest) == ("2026-11-29T02:00:01Z", "2026-11-29T02:00:02Z")


@pytest.mark.parametrize(
    ("reason", "literal"),
    [
        ("Encounter/e1 is not in the EHR", "is not in the EHR"),
        ("e1 gone", ""),  # too short to select by
        ("two  spaces e1", ""),  # the filter would not find it
        ("x" * 300, "x" * 200),
    ],
)
def test_a_group_is_filtered_by_words_that_its_letters_contain(reason: str, literal: str) -> None:
    assert literal_of(reason) == literal
    assert literal in reason


def test_sequences_are_written_as_ranges_and_read_back() -> None:
    assert to_ranges([7, 1, 2, 3, 3]) == "1-3,7"
    assert from_ranges("1-3,7", 4) == [1, 2, 3, 7]
    for text, most in (("1-4", 3), ("1-9999999999", 200), ("0", 9), ("x", 9), ("3-1", 9), ("-1", 9), ("1,2,3", 2)):
        with pytest.raises(ValueError, match="sequences"):
            from_ranges(text, most)


def test_a_preview_counts_consumers_and_cases() -> None:
    case = replace(letter(1, consumer="drafter-draft"), stream="DISCHARGE", subject=CASE)
    summary = summary_of([case, replace(case, sequence=2), letter(3)])
    assert (summary.consumers, summary.cases) == ((("drafter-draft", 2), ("ingest-discharged", 1)), 1)
    assert summary.oldest == "2026-11-29T02:00:01Z"


def test_a_result_says_what_is_recorded() -> None:
    done = replace(letter(1), state="redriven", by="ann")
    assert outcome_of(done, "redrive", None).words == "Redriven by ann"
    assert outcome_of(done, "discard", None).words == "Not discarded: it was redriven before by ann"
    refused = ActionResult(sequence=1, outcome="refused", detail="it would fail again")
    assert outcome_of(letter(1), "redrive", refused).words == "Not redriven: it would fail again"
    planned = ActionResult(sequence=1, outcome="planned", detail="would be published")
    left = outcome_of(letter(1), "redrive", planned)
    assert (left.state, left.words.partition(".")[0]) == ("left", "Not redriven yet")


def test_every_consumer_has_words_and_a_runbook_page() -> None:
    assert CONSUMER_DESCRIPTIONS.keys() == {item.name for item in all_consumers()}
    assert STREAM_DESCRIPTIONS.keys() == {item.name for item in STREAMS}
    assert {runbook_of(item.name)[0] for item in all_consumers()} >= {"DeadLetters", "ChannelFails"}


def test_filters_are_local_times_and_keep_themselves_in_links() -> None:
    zone = datetime.fromisoformat("2026-01-01T00:00+02:00").tzinfo
    filters = Filters(since="2026-11-29T04:00", consumer="approval-file")
    assert filters.selection(zone).since == datetime(2026, 11, 29, 2, 0, tzinfo=UTC)
    assert filters.query(after=7) == "state=waiting&consumer=approval-file&since=2026-11-29T04%3A00&after=7"
    for wrong in (Filters(state="x"), Filters(since="soon"), Filters(reason="x" * 201)):
        with pytest.raises(ProblemError):
            wrong.selection(zone)


def status(name: str = "approval-deliver", **more: Any) -> ConsumerStatus:
    known = dict.fromkeys(("pending", "in_flight", "redelivered"), 0) | {"waiting": 1, "paused": False}
    return ConsumerStatus(
        **({"name": name, "stream": "NOTIFY", "follower": False, "last_delivered_at": None} | known | more)
    )


@pytest.mark.parametrize(
    ("more", "state"),
    [
        ({}, "served"),
        ({"in_flight": 2, "waiting": 0}, "busy"),
        ({"waiting": 0}, "unserved"),
        ({"waiting": 0, "paused": True}, "paused"),
        ({"waiting": 0, "follower": True}, "unknown"),
        ({"in_flight": 16, "redelivered": 16}, "retrying"),
        ({"pending": 1001}, "backlog"),
    ],
)
def test_the_state_of_a_consumer(more: dict[str, Any], state: str) -> None:
    assert rules.state_of(status(**more)) == state


def stream(name: str, created: str, consumers: list[dict[str, Any]]) -> dict[str, Any]:
    state = {"messages": 2, "bytes": 9, "last_ts": "2026-11-29T02:00:00.123456789Z"}
    return {"name": name, "created": created, "state": state, "consumer_detail": consumers}


def jsz(*accounts: list[dict[str, Any]]) -> dict[str, Any]:
    return {"account_details": [{"name": f"H{n}", "stream_detail": found} for n, found in enumerate(accounts)]}


SERVER = {"server_name": "n1", "now": "2026-11-29T03:00:00Z", "version": "2.14.0"}


def test_only_our_account_of_a_shared_server_is_read() -> None:
    ours, theirs = "2026-11-01T00:00:00.123456789Z", "2026-11-02T00:00:00Z"
    known: dict[str, Any] = {"name": "approval-file", "stream_name": "DISCHARGE", "num_pending": 4}
    known["cluster"] = {"leader": "n2"}
    unknown = {"name": "temporary", "stream_name": "DISCHARGE"}
    store = jsz([stream("DISCHARGE", theirs, [])], [stream("DISCHARGE", ours, [known, unknown])])
    found = broker_status(SERVER, store, parse_time(ours))
    assert found is not None
    (consumer,) = found.consumers
    assert (consumer.name, consumer.pending, consumer.follower) == ("approval-file", 4, True)
    assert [item.name for item in found.streams] == ["DISCHARGE"]
    assert "approval-deliver" in found.missing
    known["cluster"]["leader"] = "n1"
    for more, follower in (({}, False), ({"server_id": "other"}, True)):
        again = broker_status(SERVER | more, store, parse_time(ours))
        assert again is not None
        assert again.consumers[0].follower is follower
    assert broker_status(SERVER, store, NOW) is None
    with pytest.raises(TransientError, match="does not have"):
        merged([None])


def test_of_each_consumer_the_leader_is_believed() -> None:
    created = "2026-11-01T00:00:00Z"
    reports = []
    for name, pending in (("n1", 1), ("n2", 2), ("n3", 3)):
        item = {"name": "approval-file", "stream_name": "DISCHARGE", "num_pending": pending}
        store = jsz([stream("DISCHARGE", created, [item | {"cluster": {"leader": "n2"}}])])
        reports.append(broker_status(SERVER | {"server_name": name}, store, parse_time(created)))
    whole = merged([*reports, None])
    assert [(item.pending, item.follower) for item in whole.consumers] == [(2, False)]
    assert [item.name for item in whole.servers] == ["n1", "n2", "n3"]
    assert "approval-file" not in whole.missing
    part = merged([reports[0], reports[2]])  # the leader does not report
    assert [(item.pending, item.follower) for item in part.consumers] == [(1, True)]


async def test_every_address_of_the_endpoint_is_a_server(monkeypatch: pytest.MonkeyPatch) -> None:
    assert await addresses("http://127.0.0.1:8222") == ["http://127.0.0.1:8222"]
    assert await addresses("https://nats:8222") == ["https://nats:8222"]  # its certificate is for the name
    found = [(2, 1, 6, "", (host, 8222)) for host in ("10.0.0.2", "10.0.0.1", "10.0.0.2", "fd00::1")]

    async def resolve(*_: Any, **__: Any) -> Any:
        return found

    monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", resolve, raising=False)
    assert await addresses("http://nats:8222") == [
        "http://10.0.0.1:8222",
        "http://10.0.0.2:8222",
        "http://[fd00::1]:8222",
    ]


def timer(subject: str, due: datetime, **more: str) -> dict[str, str]:
    at = {"Nats-Subject": subject, "Nats-Time-Stamp": "2026-11-29T02:55:00Z", "countersign-due": due.isoformat()}
    return at | {name.replace("_", "-"): value for name, value in more.items()}


def found_schedules(*headers: dict[str, str]) -> dict[str, Schedule]:
    return {item.job: item for item in schedules(filter(None, map(read_timer, headers)))}


def test_jobs_of_approval_are_listed_without_a_timer_too() -> None:
    found = found_schedules()
    assert found.keys() == JOBS.keys()
    assert {item.state(NOW) for item in found.values()} == {"off"}


def test_schedules_say_when_a_job_runs_next_and_whether_it_is_late() -> None:
    soon, late = NOW + timedelta(minutes=3), NOW - timedelta(minutes=11)
    found = found_schedules(
        timer("timers.reconcile.tasks", soon, countersign_every="0:05:00"),
        timer("timers.due.reconcile.checkpoint", NOW - timedelta(minutes=2)),
        timer("timers.due.reconcile.retention", late),
        timer("timers.reconcile.preparations", soon),
        timer("timers.due.reconcile.preparations", late),
        timer("timers.census.surgery", late, countersign_schedule="at 02:00"),
        timer("timers.escalation.case-1.2", soon),
    )
    states = {job: item.state(NOW) for job, item in found.items()}
    assert states == {
        "tasks": "scheduled",
        "checkpoint": "due",
        "retention": "late",
        "preparations": "running",
        "census": "late",
    }
    tasks, census = found["tasks"], found["census"]
    assert (tasks.next_at, tasks.interval, tasks.service) == (soon, "5 min", "approval")
    assert (census.name, census.every, census.interval, census.service) == ("surgery", "at 02:00", "", "ingest")
    assess_schedules(group := Group("work"), found.values(), NOW)
    assert [(item.level, item.what) for item in group.found] == [
        ("warning", "schedule Retention"),
        ("warning", "schedule Nightly census: surgery"),
    ]
    assess_schedules(fine := Group("work"), [tasks], NOW)
    assert [(item.level, item.says) for item in fine.found] == [("ok", "1 set, none late")]
