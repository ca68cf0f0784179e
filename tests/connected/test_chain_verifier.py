"""The patrol proves whatever case it comes by, filed or not, by its chain and the chart; it goes on where it was."""

import base64
import json
from typing import Any

import pytest

from sandbox_ehr.faults import Fault
from services.approval.audit import chain_verifier as module
from services.approval.audit.chain_verifier import AuditChainVerifier
from shared.clinical.fhir_client import FhirClient
from shared.telemetry import instruments
from tests.support.backup import as_user
from tests.support.corrections import filed
from tests.support.ehr import client, stays
from tests.support.forging import read, write
from tests.support.server import NatsServer
from tests.support.stack import Stack

pytestmark = pytest.mark.connected


async def rounds(server: NatsServer, ehr: FhirClient, count: int = 1) -> None:
    """Each by a process that has just been started."""
    for _ in range(count):
        async with as_user(server, "approval") as bus:
            found = AuditChainVerifier(bus, "", ehr)
            await found.start()
            await found.collect_gauges()


async def broken(server: NatsServer) -> list[dict[str, Any]]:
    async with as_user(server, "admin") as bus:
        query = {"seq": 1, "next_by_subj": "alert.critical.trail-broken", "batch": 10}
        return [json.loads(item.data) for item in await bus.direct_get("ALERTS", query)]


@pytest.fixture
def counted(monkeypatch: pytest.MonkeyPatch) -> dict[str, int]:
    found: dict[str, int] = {}

    def add(name: str, value: int = 1, _: object = None) -> None:
        found[name] = found.get(name, 0) + value

    monkeypatch.setattr(instruments, "increment", add)
    return found


async def test_it_comes_by_every_case_and_goes_on_where_it_was(
    stack: Stack, counted: dict[str, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    await filed(stack)
    await stack.reaches(await stack.discharge(stays(stack.ehr.style)[1]), "awaiting-review")
    monkeypatch.setattr(module, "CASES_PER_RUN", 1)
    verified = []
    for _ in range(4):
        counted.clear()
        await rounds(stack.server, client(stack.ehr))
        verified.append(counted["countersign.trail.verified"])
    assert verified == [6, 4, 0, 6], "one case after the other, the end of the trail, and again"
    assert await broken(stack.server) == []


async def test_a_chart_that_says_something_else_is_told(stack: Stack) -> None:
    case_id = await filed(stack)
    (document,) = stack.in_chart("DocumentReference")
    document["content"][0]["attachment"]["data"] = base64.b64encode(b"NOT WHAT WAS SIGNED").decode()
    stack.ehr.store.put(document)
    await rounds(stack.server, client(stack.ehr))
    (alert,) = await broken(stack.server)
    assert (alert["case"], alert["event"], alert["sequence"]) == (case_id, "filed", 6)
    assert "text/plain" in alert["reason"]


async def test_an_ehr_that_is_away_is_no_broken_trail(stack: Stack) -> None:
    await filed(stack)
    for type in ("Provenance", "DocumentReference"):
        stack.ehr.faults.armed.append(Fault(kind="status", method="GET", type=type, status=503, times=9))
    await rounds(stack.server, client(stack.ehr))
    assert await broken(stack.server) == []


async def test_a_case_that_waits_and_was_changed_is_told(stack: Stack) -> None:
    case_id = await stack.discharge()
    await stack.reaches(case_id, "awaiting-review")
    messages = await read(stack.server)
    await write(stack.server, [*messages[:2], *messages[3:]])
    await rounds(stack.server, client(stack.ehr))
    assert [item["case"] for item in await broken(stack.server)] == [case_id]
