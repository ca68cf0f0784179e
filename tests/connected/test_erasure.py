"""The texts of a case are erased: nobody reads them any more, and the trail is proven as before."""

from collections.abc import AsyncIterator
from typing import Any

import pytest

from services.approval.verification.verifier import EventStreamVerifier
from shared.contracts.errors import ErasedError
from shared.messaging.artifacts import Artifacts
from shared.messaging.case_keys import CaseKeys
from shared.messaging.event_store import EventStore
from tests.support.ehr import client, stays
from tests.support.stack import Stack, until

pytestmark = pytest.mark.connected
ASKED = {"ground": "patient-request", "reference": "DSR-7"}


async def filed(stack: Stack, encounter: int = 0) -> str:
    case_id = await stack.discharge(stays(stack.ehr.style)[encounter])
    await stack.reaches(case_id, "awaiting-review")
    assert (await stack.decide(case_id, "approve")).status_code == 200
    await stack.reaches(case_id, "filed")
    return case_id


async def erase(stack: Stack, case_id: str, **body: Any) -> Any:
    return await stack.call("operator", "POST", f"/v1/cases/{case_id}/erasure", json=ASKED | body)


async def erased(stack: Stack, case_id: str, times: int = 1) -> None:
    async def there() -> bool:
        return (await stack.events(case_id)).count("erased") == times

    await until(there, "the texts to be erased")


async def artifacts_of(stack: Stack, case_id: str) -> int:
    bus = await stack.server.connect("admin")
    subject = f"$KV.artifacts.{case_id}.>"
    found = await bus.direct_get("KV_artifacts", {"seq": 1, "next_by_subj": subject, "batch": 100})
    await bus.close()
    return len(found)


@pytest.fixture
async def auditor(stack: Stack) -> AsyncIterator[EventStreamVerifier]:
    bus = await stack.server.connect("auditor")
    yield EventStreamVerifier(bus, client(stack.ehr))
    await bus.close()


async def test_a_filed_case_is_erased_and_still_proven(stack: Stack, auditor: EventStreamVerifier) -> None:
    case_id, other = await filed(stack), await filed(stack, 1)
    assert await artifacts_of(stack, case_id)
    answer = await erase(stack, case_id)
    assert (answer.status_code, answer.json()["event"]) == (202, "erasure-ordered")
    await erased(stack, case_id)
    assert await artifacts_of(stack, case_id) == 0

    gone = await stack.call("physician", "GET", f"/v1/reviews/{case_id}")
    assert (gone.status_code, gone.headers["content-type"]) == (410, "application/problem+json")
    facts = gone.json()["erasure"]
    assert (facts["ground"], facts["reference"], facts["by"]) == ("patient-request", "DSR-7", "demo-operator")
    assert (await stack.call("physician", "GET", f"/v1/cases/{case_id}/document")).status_code == 410
    shown = await stack.call("physician", "GET", f"/reviews/{case_id}", headers={"Accept": "text/html"})
    assert shown.status_code == 410
    assert "The texts of this case were erased" in shown.text
    assert "demo-operator; ground: patient-request, DSR-7" in shown.text
    assert "The signed document is in the chart" in shown.text

    case = await stack.case(case_id)
    assert (case["state"], case["erasure"]["ground"]) == ("filed", "patient-request")
    report = await auditor.all()
    assert (report.verified, report.erased) == (True, 1), report.faults
    assert (await auditor.one(case_id)).erased == 1
    assert (await stack.review(other))["draft"]["text"], "another case keeps its texts"
    listed = (await stack.call("operator", "GET", "/v1/cases")).json()["items"]
    assert {item["case_id"]: item["state"] for item in listed} == {case_id: "filed", other: "filed"}


async def test_the_chart_is_still_compared_after_an_erasure(stack: Stack, auditor: EventStreamVerifier) -> None:
    case_id = await filed(stack)
    await erase(stack, case_id)
    await erased(stack, case_id)
    (document,) = stack.in_chart("DocumentReference")
    document["content"][0]["attachment"]["data"] = "Zm9yZ2Vk"
    stack.ehr.store.put(document)
    assert not (await auditor.one(case_id)).verified


async def test_nobody_erases_what_is_under_review_or_held(stack: Stack) -> None:
    case_id = await stack.discharge()
    await stack.reaches(case_id, "awaiting-review")
    refused = await erase(stack, case_id)
    assert (refused.status_code, refused.json()["title"]) == (409, "This case has not ended")
    hold = {"ground": "litigation", "reference": "L-1"}
    for _ in range(2):  # sent again it is the same hold
        held = await stack.call("operator", "POST", f"/v1/cases/{case_id}/hold", json=hold)
        assert held.status_code == 200, held.text
    assert (await stack.decide(case_id, "approve")).status_code == 200, "a hold stops nobody's work"
    await stack.reaches(case_id, "filed")
    refused = await erase(stack, case_id)
    assert (refused.status_code, refused.json()["title"]) == (409, "The case is on legal hold")
    plan = (await stack.call("operator", "GET", f"/v1/erasures?case={case_id}")).json()["items"]
    assert [(item["held"], "legal hold" in item["obstacle"]) for item in plan] == [(True, True)]
    assert (await stack.call("operator", "POST", f"/v1/cases/{case_id}/hold/release", json={})).status_code == 200
    assert (await erase(stack, case_id)).status_code == 202
    await erased(stack, case_id)
    assert (await stack.events(case_id)).count("hold-placed") == 1


async def test_only_an_operator_erases_and_twice_is_once(stack: Stack) -> None:
    case_id = await filed(stack)
    for role in ("physician", "supervisor", "auditor", "ingest"):
        assert (await stack.call(role, "POST", f"/v1/cases/{case_id}/erasure", json=ASKED)).status_code == 403, role
    for _ in range(3):
        assert (await erase(stack, case_id)).status_code == 202
    await erased(stack, case_id)
    assert (await stack.events(case_id)).count("erasure-ordered") == 1
    for body in ({"ground": "because"}, {"ground": "court-order", "reference": "Jane Roe, born 1950"}):
        answer = await stack.call("operator", "POST", f"/v1/cases/{case_id}/erasure", json=body)
        assert answer.status_code == 422
        assert "Jane" not in answer.text


async def test_every_case_of_a_patient_is_found(stack: Stack) -> None:
    case_id = await filed(stack)
    other = await filed(stack, 1)
    draft = await stack.case(case_id)
    patient = next(item["detail"]["stay"]["patient"] for item in draft["events"] if item["event"] == "drafted")
    found = await stack.call("operator", "GET", f"/v1/erasures?patient={patient.removeprefix('Patient/')}")
    assert [item["case_id"] for item in found.json()["items"]] == [case_id], other
    assert found.json()["items"][0]["texts"] >= 2
    assert (await stack.call("operator", "GET", "/v1/erasures?patient=nobody")).json() == {"items": []}
    assert (await stack.call("operator", "GET", "/v1/erasures")).status_code == 422


async def test_nothing_is_corrected_after_an_erasure(stack: Stack) -> None:
    case_id = await filed(stack)
    seen = (await stack.call("physician", "GET", f"/v1/cases/{case_id}/document")).headers["etag"]
    await erase(stack, case_id)
    await erased(stack, case_id)
    for path, body in (
        ("amendments", {"text": "x", "reason": "y"}),
        ("addenda", {"text": "x", "reason": "y"}),
        ("retraction", {"reason": "y"}),
    ):
        headers = {"If-Match": seen}
        answer = await stack.call("physician", "POST", f"/v1/cases/{case_id}/{path}", headers=headers, json=body)
        assert answer.status_code == 410, (path, answer.text)


async def test_a_withdrawn_case_that_was_erased_begins_again_with_its_next_discharge(stack: Stack) -> None:
    case_id = await stack.discharge()
    await stack.reaches(case_id, "awaiting-review")
    sent = {"encounter_id": stays(stack.ehr.style)[0], "department": "internal-medicine"}
    await stack.call("ingest", "POST", "/v1/encounters/discharge-cancelled", json=sent)
    await stack.reaches(case_id, "withdrawn")
    assert (await erase(stack, case_id, ground="retention")).status_code == 202
    await erased(stack, case_id)
    assert await stack.discharge() == case_id
    await stack.reaches(case_id, "awaiting-review")
    assert (await stack.decide(case_id, "approve")).status_code == 200
    await stack.reaches(case_id, "filed")
    assert (await stack.case(case_id))["erasure"] is None
    assert (await erase(stack, case_id)).status_code == 202
    await erased(stack, case_id, times=2)
    assert await artifacts_of(stack, case_id) == 0


@pytest.mark.parametrize(
    ("at", "after"),
    [
        ("CaseKeys._delete", True),
        ("CaseKeys.destroy", True),
        ("Artifacts._purge", True),
        ("Journal.append_awaited", False),
        ("Journal.append_awaited", True),
    ],
)
async def test_an_erasure_that_is_killed_anywhere_is_done_once(
    stack: Stack, at: str, after: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before, and after, each of its effects: delivered again it comes to its end, and is told once."""
    case_id = await filed(stack)
    owner = {"CaseKeys": CaseKeys, "Artifacts": Artifacts, "Journal": EventStore}[at.partition(".")[0]]
    name, kills = at.partition(".")[2], []
    real = getattr(owner, name)

    async def dies(self: Any, *given: Any, **named: Any) -> Any:
        if kills:
            return await real(self, *given, **named)
        kills.append(at)
        if after:
            await real(self, *given, **named)
        raise ConnectionResetError("killed")

    monkeypatch.setattr(owner, name, dies)
    monkeypatch.setattr("shared.messaging.delivery.Delivery._fail", nak_at_once)
    assert (await erase(stack, case_id)).status_code == 202
    await erased(stack, case_id)
    assert kills, "nothing was killed: the test shows nothing"
    events = await stack.events(case_id)
    assert (events.count("erasure-ordered"), events.count("erased"), events.count("failed")) == (1, 1, 0)
    assert await artifacts_of(stack, case_id) == 0
    bus = await stack.server.connect("approval")
    assert [item.key for item in await Artifacts(bus).keys.generations(case_id)] == [None]
    with pytest.raises(ErasedError):
        await Artifacts(bus).of(case_id, 1).put(b"late")
    await bus.close()


async def nak_at_once(_steps: Any, _target: Any, message: Any, _attempt: int, _failure: Any) -> None:
    """As the server does, once a dead process does not answer."""
    await message.nack()
