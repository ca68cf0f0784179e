"""Services and servers: one that is stopped, a backlog, a feed, and what the commands show of them."""

import json
from pathlib import Path

import pytest

from shared.messaging.topology import consumer
from tests.support.hl7 import adt
from tests.support.remote import Remote, refused, run_json, run_program, until
from tests.support.serving import run_command

pytestmark = [pytest.mark.connected, pytest.mark.system, pytest.mark.timeout(180), pytest.mark.xdist_group("remedies")]


# Of approval in the installation of these tests, which has no Prometheus.
NOT_BY_APPROVAL = {
    "encryption",
    "permissions",
    "alert rules",
    "model server",
    "budgets of endpoints",
    "notifications of the EHR",
}


def state_of(name: str) -> str:
    found = run_json("topology", "--service", consumer(name).service)["consumers"]
    (item,) = [item for item in found if item["name"] == name]
    return str(item["state"])


def test_a_backlog_is_worked_off_by_another_process(installation: Remote) -> None:
    """Alerts: LagGrows."""
    installation.parts["drafter"].kill()
    case_id = installation.discharge(installation.stay("waits-for-a-process"))
    until(lambda: state_of("drafter-extract") == "unserved", "the topology to say that nobody works")
    assert (
        "<b>service drafter</b>: no process takes its messages" in installation.call("operator", "GET", "/system").text
    )
    installation.parts["drafter"].start()
    installation.parts["drafter"].wait()
    installation.reaches(case_id, "awaiting-review")
    assert state_of("drafter-extract") in ("served", "busy")


def test_a_server_that_does_not_sync_is_restarted_with_its_configuration(installation: Remote) -> None:
    """Alerts: NatsNotSyncing."""
    for interval, synced in (("2m", False), ("always", True)):
        installation.server.kill()
        installation.server.start(interval)
        until(lambda: run_command("topology").code == 0, "approval to be connected again")
        assert [item["sync_always"] for item in run_json("topology")["servers"]] == [synced]
        assert levels()["durability"] == ("ok" if synced else "fault")


def levels() -> dict[str, str]:
    """What `countersign doctor` finds by an address and a token; it ends with 1 where something has a fault."""
    done = run_command("doctor", "-o", "json")
    found = json.loads(done.out)
    assert (done.code, found["healthy"]) == ((1, False) if found["faults"] else (0, True)), done
    return {item["what"]: item["level"] for item in found["findings"]}


def test_the_doctor_sees_from_anywhere_what_approval_and_the_evaluator_know(installation: Remote) -> None:
    until(lambda: "fault" not in levels().values(), "everything to work")
    found = levels()
    known = ("durability", "streams", "consumers", "service drafter", "EHR", "write-back", "schedules", "knowledge")
    assert {found[name] for name in known} <= {"ok", "warning"}, found
    assert {name for name, level in found.items() if level == "unknown"} == NOT_BY_APPROVAL
    installation.parts["drafter"].kill()
    until(lambda: levels()["service drafter"] == "fault", "doctor to say that nobody drafts")
    table = run_command("doctor")
    assert (table.code, "service drafter: no process takes its messages" in table.out) == (1, True), table
    assert "→ start drafter" in table.out
    installation.parts["drafter"].start()
    installation.parts["drafter"].wait()
    until(lambda: levels()["service drafter"] == "ok", "doctor to find the drafter")
    assert run_command("--context", "auditor", "doctor").code == 0
    assert "not allowed" in refused("--context", "physician", "doctor", code=2)


def test_work_continues_when_there_is_room_again(installation: Remote) -> None:
    """Alerts: NatsStorageFills."""
    room, no_room = '"jetstream": "enabled"', '"jetstream": {"max_file": 1000, "max_mem": 0}'
    stay = {"encounter_id": installation.stay("no-room"), "department": "internal-medicine"}

    def report() -> int:
        path = "/v1/encounters/discharged"
        return installation.call("ingest", "POST", path, "ingest", json=stay).status_code

    installation.server.reload(lambda text: text.replace(room, no_room))
    until(lambda: report() == 503, "writes to be refused")
    assert all(item["bytes"] >= 0 for item in run_json("topology")["streams"])
    installation.server.reload(lambda text: text.replace(no_room, room))
    until(lambda: report() == 202, "writes to be accepted")


def test_a_service_works_on_with_the_permissions_of_its_version(installation: Remote) -> None:
    """Alerts: NatsRefuses."""
    present, older = '"discharge.*.*.context-extracted"', '"discharge.*.*.something-else"'
    log = installation.parts["drafter"].log
    installation.server.reload(lambda text: text.replace(present, older))
    case_id = installation.discharge(installation.stay("refused-by-nats"))
    until(lambda: "permissions violation" in log.read_text().lower(), "the log to name the subject")
    installation.server.reload(lambda text: text.replace(older, present))
    installation.reaches(case_id, "awaiting-review")


def test_jobs_are_listed_and_a_feed_is_tried_by_the_command(installation: Remote, tmp_path: Path) -> None:
    """Alerts: PollFails, FeedSilent."""
    assert run_json("document-kinds", "list")
    address = {
        "COUNTERSIGN_URL": installation.urls["approval"],
        "COUNTERSIGN_TOKEN_FILE": str(installation.directory / "operator.token"),
    }
    jobs = {item["job"]: item for item in run_program("schedules", environment=address)}
    assert jobs["poll"]["state"] == "scheduled"
    message = tmp_path / "message.hl7"
    message.write_bytes(adt("A08"))
    assert "AA" in str(run_json("hl7", "send", str(message), "--port", str(installation.hl7_port)))


def test_alerts_that_are_not_connected_are_not_no_alerts(installation: Remote) -> None:
    assert "COUNTERSIGN_PROMETHEUS_URL is not set" in refused("alerts", "list", code=2)
    page = installation.call("operator", "GET", "/alerts")
    assert (page.status_code, "Alerts are not connected" in page.text, "No alert fires" in page.text) == (
        200,
        True,
        False,
    )
