"""The health checks over HTTP: who may read them, and what approval knows with its own rights."""

from typing import Any

import pytest
from nats.js.api import ConsumerConfig

from tests.connected.test_operations import bury_reports, report
from tests.support.stack import Stack

pytestmark = pytest.mark.connected

PATH = "/v1/health/checks"
UNKNOWN = {
    "encryption",
    "permissions",
    "knowledge",
    "alert rules",
    "budgets of endpoints",
    "notifications of the EHR",
}


async def checks(stack: Stack, role: str = "operator") -> dict[str, dict[str, Any]]:
    answer = await stack.call(role, "GET", PATH)
    assert answer.status_code == 200, answer.text
    return {item["name"]: item for item in answer.json()["items"]}


async def test_operators_and_auditors_read_them(stack: Stack) -> None:
    for role, status in {"physician": 403, "supervisor": 403, "ingest": 403, "auditor": 200, "operator": 200}.items():
        assert (await stack.call(role, "GET", PATH)).status_code == status, role
    assert (await stack.http.get(PATH)).status_code == 401
    assert (await stack.call("operator", "GET", f"{PATH}?only=failed")).status_code == 422


async def test_approval_knows_most_of_it_with_its_own_rights(stack: Stack) -> None:
    found = await checks(stack)
    assert {name for name, item in found.items() if item["state"] == "unknown"} == UNKNOWN
    assert all(item["action"] for item in found.values() if item["state"] != "ok")
    fine = ("durability", "version", "clock of NATS", "streams", "consumers", "service approval", "schedules")
    assert {found[name]["state"] for name in (*fine, "dead letters", "decisions in the EHR", "documents")} == {"ok"}
    assert found["service embedder"]["state"] == "failed"  # it does not run here
    assert found["service embedder"]["runbook"].endswith("/alerts.md#laggrows")


async def test_what_has_changed_is_found(stack: Stack) -> None:
    bus = await stack.server.connect("admin")
    try:
        events = (await bus.jetstream.stream_info("EHR")).config
        await bus.jetstream.update_stream(events.evolve(max_age=86_400.0))
        await bus.jetstream.delete_consumer("DISCHARGE", "approval-file")
        await bus.jetstream.add_consumer("DISCHARGE", ConsumerConfig(durable_name="left-behind"))
    finally:
        await bus.close()
    await bury_reports(stack.server, report(1))
    hold = {"held": True, "reason": "after the restore"}
    assert (await stack.call("operator", "PUT", "/v1/ehr-decisions", json=hold)).status_code == 200
    found = await checks(stack)
    states = {name: item["state"] for name, item in found.items()}
    assert states["stream EHR"] == "failed"
    assert states["consumer approval-file"] == "failed"
    assert states["consumer left-behind"] == "warning"
    assert states["dead letters"] == "warning"
    assert found["decisions in the EHR"]["detail"].endswith("after the restore")
    page = (await stack.call("auditor", "GET", "/system")).text
    for name in ("stream EHR", "consumer left-behind", "dead letters", "decisions in the EHR"):
        assert f"<b>{name}</b>" in page
