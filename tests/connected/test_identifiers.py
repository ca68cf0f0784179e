"""Planted identifiers: whatever happens to a case, none of them reaches a subject, an event, an alert or a log."""

import json
import logging
from pathlib import Path
from typing import Any

import pytest

from sandbox_ehr.app import Sandbox
from sandbox_ehr.faults import Fault
from sandbox_ehr.seed import load_bundle
from sandbox_ehr.store import Store
from shared.contracts.errors import PermanentError, TransientError
from shared.messaging.topology import STREAMS
from tests.support.patients import MARKS, write_stays
from tests.support.server import NatsServer
from tests.support.stack import Stack, running, until

pytestmark = pytest.mark.connected


async def everything_on_the_bus(server: NatsServer) -> str:
    """Subjects, headers and bodies of every stream but the artifacts, which exist to hold text."""
    bus = await server.connect("admin")
    found = []
    for stream in STREAMS:
        for item in await bus.direct_get(stream.name, {"seq": 1, "next_by_subj": ">", "batch": 1000}):
            found.append(f"{item.headers} {item.data!r}")
    await bus.close()
    return "\n".join(found)


async def live_through_everything(stack: Stack, encounters: list[str]) -> None:
    """The whole way, a redraft with words, an edit, a model that fails, an EHR that refuses."""
    words = f"Please name {MARKS[0]} and write that she was born {MARKS[3]}."
    case_id = await stack.discharge(encounters[0])
    await stack.reaches(case_id, "awaiting-review")
    await stack.decide(case_id, "reject", action="redraft", reason=words)
    await stack.reaches(case_id, "awaiting-review", events=8)
    await stack.call("physician", "POST", f"/v1/reviews/{case_id}/reassign", json={"to": "x", "reason": words})
    await stack.decide(case_id, "approve", text=f"{await stack.text(case_id)}{words} Signed.\n")
    await stack.reaches(case_id, "filed")
    stack.generator.failures = [TransientError("not ready"), PermanentError("told to fail")]
    await stack.reaches(await stack.discharge(encounters[1]), "awaiting-review")
    stack.ehr.faults.armed.append(Fault(kind="status", type="Patient", method="GET", status=400))
    await stack.reaches(await stack.discharge(encounters[2]), "failed")
    sent: dict[str, Any] = {"encounter_id": "x y", "occurred_at": f"{MARKS[0]} {MARKS[3]}"}
    answer = await stack.call("ingest", "POST", "/v1/encounters/discharged", json=sent)
    assert answer.status_code == 422
    assert not [mark for mark in MARKS if mark in answer.text]


async def test_no_identifier_leaves_the_artifacts_and_the_chart(
    nats: NatsServer, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    stays = tmp_path / "stays"
    stays.mkdir()
    encounters = write_stays(stays, 3)
    store = Store()
    for file in stays.glob("stay-*.json"):
        load_bundle(store, json.loads(file.read_text()))
    await nats.provision()
    with caplog.at_level(logging.DEBUG):
        async with running(nats, Sandbox(store)) as stack:
            await live_through_everything(stack, encounters)

            async def buried() -> bool:
                return "step-failed" in await everything_on_the_bus(nats)

            await until(buried, "the dead letter and its alert")
            assert "Zzyzxfamily" in json.dumps(stack.in_chart("Patient")), "the marks must be there to be found"
            assert MARKS[0] in (await stack.review(await stack.discharge(encounters[0])))["draft"]["text"]
        told = await everything_on_the_bus(nats)
    for mark in MARKS:
        assert mark not in told
        assert mark not in caplog.text
    assert MARKS[0].encode() not in (nats.directory / "nats.log").read_bytes()
