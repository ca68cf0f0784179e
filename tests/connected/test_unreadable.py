"""What an administrator of the server wrote to the trail and is no event: each list names it, none stops at it."""

import json
from typing import Any

import pytest
from typer.testing import CliRunner

from cli.commands import cases
from shared.contracts.envelope import CHAIN_START, encode
from shared.contracts.events import Withdrawn
from shared.contracts.subjects import CaseRef
from shared.messaging.event_store import STREAM
from tests.support.backup import as_user
from tests.support.corrections import filed
from tests.support.ehr import stays
from tests.support.examples import T0, event
from tests.support.forging import append, audit
from tests.support.stack import Stack, until

pytestmark = pytest.mark.connected


def forged(case: CaseRef, name: str, **change: Any) -> tuple[str, bytes, dict[str, str]]:
    """An event as ours are, but for what `change` says."""
    body = event("withdrawn") if name not in ("retried", "approved", "escalated", "review-requested") else event(name)
    headers, data = encode(case, body, id=f"forged-{name}", source="admin", time=T0, after=CHAIN_START)
    return case.subject(name), change.pop("data", data), headers | change


def nonsense(open_case: CaseRef) -> list[tuple[str, bytes, dict[str, str]]]:
    """Each wrong in its own way."""
    nobody = CaseRef(open_case.department, "nobody")
    large = json.dumps({"event": "retried", "words": "x" * 900_000}).encode()
    other = CaseRef(open_case.department, "another")
    naive = {"ce-time": "2026-11-24T10:00:00"}
    due = json.loads(event("review-requested").model_dump_json())
    return [
        (open_case.subject("retried"), b"junk", {}),
        forged(open_case, "escalated", data=b"{"),
        forged(open_case, "retried", data=large),
        forged(open_case, "approved", data=b'{"event": "approved", "version": 99}'),
        forged(nobody, "review-requested", **naive),
        forged(nobody, "review-requested", data=json.dumps(due | {"deadlines": ["2026-11-24T10:00:00"]}).encode()),
        forged(nobody, "review-requested", data=b"[" * 50_000),
        (other.subject("withdrawn"), *forged(nobody, "withdrawn")[1:]),
        (nobody.subject("exploded"), b"{}", {}),
        ("discharge.No_Such-.%2e%2e.filed", b"\xff\xfe", {"ce-time": "never"}),
    ]


async def alerts(stack: Stack) -> list[dict[str, Any]]:
    async with as_user(stack.server, "admin") as bus:
        query = {"seq": 1, "next_by_subj": "alert.*.event-unreadable", "batch": 50}
        return [json.loads(item.data) for item in await bus.direct_get("ALERTS", query)]


async def test_what_is_no_event_blinds_no_list_and_is_told_once(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
    done = await filed(stack)
    waits = await stack.discharge(stays(stack.ehr.style)[1])
    await stack.reaches(waits, "awaiting-review")
    wrong = nonsense(CaseRef("internal-medicine", waits))
    async with as_user(stack.server, "admin") as bus:
        first = (await bus.jetstream.stream_info(STREAM)).state.last_seq + 1
        for subject, data, headers in wrong:
            await bus.publish(subject, data, stream=STREAM, headers=headers)
    sequences = set(range(first, first + len(wrong)))

    async def found_them() -> dict[str, Any] | None:
        answer = await stack.call("auditor", "GET", "/v1/cases")
        assert answer.status_code == 200, answer.text
        listed: dict[str, Any] = answer.json()
        return listed if len(listed["unreadable"]) >= len(wrong) else None

    found = await until(found_them, "each message that is no event")
    assert {item["case_id"]: item["state"] for item in found["items"]} == {done: "filed", waits: "awaiting-review"}
    assert {item["sequence"] for item in found["unreadable"]} == sequences
    assert all(item["reason"] for item in found["unreadable"])

    monkeypatch.setattr(cases, "_get", lambda *_: found)
    said = CliRunner().invoke(cases.app, ["list"], env={"COLUMNS": "200"}).output
    assert done in said
    assert all(f"sequence {number}: " in said for number in sequences)

    case = await stack.case(waits)
    assert (case["state"], len(case["unreadable"])) == ("awaiting-review", 4)

    async def told() -> bool:
        return {item["sequence"] for item in await alerts(stack)} == sequences

    await until(told, "an alert about each")
    page = await stack.call("operator", "GET", "/cases")
    assert f"{len(wrong)} messages in the event stream cannot be read" in page.text
    assert "These are the latest 5." in page.text
    page = await stack.call("operator", "GET", f"/cases/{waits}")
    assert "Messages of this case cannot be read as events" in page.text
    page = await stack.call("physician", "GET", "/")
    assert page.status_code == 200
    assert f"/reviews/{waits}" in page.text
    assert f"{len(wrong)} events that cannot be read" in page.text
    assert [item["case_id"] for item in (await stack.call("physician", "GET", "/v1/reviews")).json()["items"]] == [
        waits
    ]

    report = await audit(stack.server, stack.ehr)
    assert not report.verified
    assert sequences <= {fault.sequence for fault in report.faults}
    assert not [fault for fault in report.faults if fault.case == done]


async def test_a_list_tells_the_state_that_the_history_gives(stack: Stack) -> None:
    """Not the one that the last event claims: it does not fit, and has no effect."""
    done = await filed(stack)
    await append(stack.server, "admin", done, Withdrawn(reason="discharge-cancelled"))
    assert (await stack.case(done))["state"] == "filed"
    (line,) = (await stack.call("auditor", "GET", "/v1/cases")).json()["items"]
    assert (line["state"], line["last_event"]) == ("filed", "withdrawn")
