"""One case through the real services on a real nats-server: the way, the refusals, the ways back."""

import asyncio
import base64
import json
from typing import Any

import pytest

from cli.audit import verify_stored
from cli.dead_letters import Attribution, redrive
from sandbox_ehr.faults import Fault
from shared.contracts.errors import PermanentError, TransientError
from shared.contracts.retry import RetryPolicy
from shared.contracts.subjects import encounter_subject
from shared.messaging.dead_letters import read_all
from tests.support.ehr import client, stays
from tests.support.physician import approval_body
from tests.support.stack import Stack, until

pytestmark = pytest.mark.connected

TO_REVIEW = ["discharged", "context-extracted", "drafted", "review-requested"]
FILED = [*TO_REVIEW, "approved", "filed"]


async def test_from_discharge_to_a_filed_and_proven_document(stack: Stack) -> None:
    case_id = await stack.discharge()
    await stack.reaches(case_id, "awaiting-review")
    review = await stack.review(case_id)
    assert (await stack.decide(case_id, "approve")).status_code == 200
    case = await stack.reaches(case_id, "filed")
    assert [event["event"] for event in case["events"]] == FILED
    (document,) = stack.in_chart("DocumentReference")
    text = base64.b64decode(document["content"][0]["attachment"]["data"]).decode()
    assert text == review["draft"]["text"]
    assert document["docStatus"] == "final"
    (task,) = stack.in_chart("Task")
    assert task["status"] == "completed"
    assert task["output"][1]["valueReference"] == {"reference": f"DocumentReference/{document['id']}"}
    bus, journal = await stack.journal()
    report = await verify_stored(await journal.stored(f"discharge.*.{case_id}.*"), client(stack.ehr))
    await bus.close()
    assert report.verified
    assert report.events == 6


async def test_nothing_is_in_the_chart_before_somebody_signs(stack: Stack) -> None:
    await stack.reaches(await stack.discharge(), "awaiting-review")
    assert stack.in_chart("DocumentReference") == []
    assert stack.in_chart("Composition") == []
    assert "DISCHARGE SUMMARY" not in json.dumps(stack.in_chart("Task"))


async def test_the_same_discharge_by_three_ways_is_one_case(stack: Stack) -> None:
    encounter = stays()[0]
    bus = await stack.server.connect("ingest")
    subject = encounter_subject("discharged", "internal-medicine", encounter)
    body = json.dumps({"encounter_id": encounter}).encode()
    first, second, *_ = await asyncio.gather(
        stack.discharge(encounter),
        stack.discharge(encounter),
        bus.publish(subject, body, stream="EHR"),
        bus.publish(subject, body, stream="EHR"),
    )
    await bus.close()
    assert first == second
    await stack.reaches(first, "awaiting-review")
    assert await stack.events(first) == TO_REVIEW
    assert len(stack.in_chart("Task")) == 1


async def test_of_racing_decisions_one_stands(stack: Stack) -> None:
    case_id = await stack.discharge()
    await stack.reaches(case_id, "awaiting-review")
    decisions = [stack.decide(case_id, "approve") for _ in range(4)]
    decisions += [stack.decide(case_id, "reject", action="close", reason="no") for _ in range(4)]
    answers = sorted(answer.status_code for answer in await asyncio.gather(*decisions))
    assert answers == [200] * 4 + [409] * 4, "the same decision sent again is the same one"
    case = await stack.case(case_id)
    assert len([event for event in case["events"] if event["event"] in ("approved", "rejected")]) == 1


async def test_one_approves_exactly_what_one_saw(stack: Stack) -> None:
    case_id = await stack.discharge()
    await stack.reaches(case_id, "awaiting-review")
    path = f"/v1/reviews/{case_id}/approve"
    assert (await stack.call("physician", "POST", path)).status_code == 428
    assert (await stack.call("physician", "POST", path, headers={"If-Match": '"f00"'})).status_code == 412
    assert (await stack.call("auditor", "POST", path, headers={"If-Match": '"f00"'})).status_code == 403
    shown = await stack.call("physician", "GET", f"/v1/reviews/{case_id}")
    draft, seen = shown.json()["draft"], {"If-Match": shown.headers["etag"]}
    assert seen["If-Match"] == f'"{draft["digest"]}"'
    assert (await stack.call("physician", "POST", path, headers=seen, json=approval_body(draft))).status_code == 200


async def test_every_open_point_has_to_be_seen(stack: Stack) -> None:
    case_id = await stack.discharge(stays()[2])  # two X-rays contradict each other, no follow-up is recorded
    await stack.reaches(case_id, "awaiting-review")
    draft = (await stack.review(case_id))["draft"]
    assert len(draft["open_points"]) > 1
    assert not any(point["text"] in draft["text"] for point in draft["open_points"] if not point["source"])
    refused = await stack.decide(case_id, "approve", acknowledged=[0])
    assert refused.status_code == 409
    missing = [{"field": "acknowledged", "index": index} for index in range(1, len(draft["open_points"]))]
    assert [error | {"detail": ""} for error in refused.json()["errors"]] == [item | {"detail": ""} for item in missing]
    assert (await stack.decide(case_id, "approve")).status_code == 200
    case = await stack.reaches(case_id, "filed")
    (approved,) = [event for event in case["events"] if event["event"] == "approved"]
    assert approved["detail"]["edits"]["distance"] == 0


async def test_edits_are_what_is_filed(stack: Stack) -> None:
    case_id = await stack.discharge()
    await stack.reaches(case_id, "awaiting-review")
    text = await stack.text(case_id) + "My own words.\n"
    assert (await stack.decide(case_id, "approve", text=text)).status_code == 200
    await stack.reaches(case_id, "filed")
    (document,) = stack.in_chart("DocumentReference")
    assert base64.b64decode(document["content"][0]["attachment"]["data"]).decode() == text


async def test_what_the_physician_writes_is_held_against_the_record_too(stack: Stack) -> None:
    case_id = await stack.discharge()
    await stack.reaches(case_id, "awaiting-review")
    text = f"{await stack.text(case_id)}She was given warfarin 5 mg.\n"
    refused = await stack.decide(case_id, "approve", text=text, written=[])
    assert refused.status_code == 409
    (asked,) = refused.json()["errors"]
    assert asked["field"] == "written"
    assert "warfarin" not in refused.text, "no text in an error"
    assert (await stack.decide(case_id, "approve", text=text, written=[asked["digest"]])).status_code == 200
    case = await stack.reaches(case_id, "filed")
    (approved,) = [event for event in case["events"] if event["event"] == "approved"]
    assert [item["digest"] for item in approved["detail"]["written"]] == [asked["digest"]]
    assert approved["detail"]["written"][0]["label"] in ("contradicted", "not-in-record")


async def test_a_rejection_with_words_leads_to_another_draft(stack: Stack) -> None:
    case_id = await stack.discharge()
    await stack.reaches(case_id, "awaiting-review")
    answer = await stack.decide(case_id, "reject", action="redraft", reason="Mention the stairs.")
    assert answer.json()["state"] == "drafting"
    case = await stack.reaches(case_id, "awaiting-review", events=8)
    assert [event["event"] for event in case["events"]] == [
        *TO_REVIEW,
        "rejected",
        "redraft-requested",
        "drafted",
        "review-requested",
    ]
    assert (await stack.review(case_id))["draft"]["number"] == 2
    assert "Mention the stairs." in stack.generator.prompts[-1]
    first, second = sorted(task["status"] for task in stack.in_chart("Task"))
    assert first == "completed"
    assert second in ("requested", "in-progress"), "it may show by now that it was looked at"
    assert (await stack.decide(case_id, "approve")).status_code == 200
    await stack.reaches(case_id, "filed")


async def test_a_rejection_may_end_the_case(stack: Stack) -> None:
    case_id = await stack.discharge()
    await stack.reaches(case_id, "awaiting-review")
    await stack.decide(case_id, "reject", action="close", reason="I write it myself.")
    case = await stack.reaches(case_id, "closed", events=6)
    assert case["events"][-1]["event"] == "closed"
    assert stack.in_chart("DocumentReference") == []
    listed = (await stack.call("physician", "GET", "/v1/reviews")).json()
    assert listed["items"] == []


async def test_a_review_may_be_given_to_somebody_else(stack: Stack) -> None:
    case_id = await stack.discharge()
    await stack.reaches(case_id, "awaiting-review")
    sent = {"to": "Practitioner/DR-IM-002", "reason": "I am on leave."}
    answer = await stack.call("supervisor", "POST", f"/v1/reviews/{case_id}/reassign", json=sent)
    assert answer.status_code == 200

    async def owned() -> Any:
        (task,) = stack.in_chart("Task")
        return task["owner"]["reference"] == "Practitioner/DR-IM-002"

    await until(owned, "the Task's owner")
    listed = (await stack.call("physician", "GET", "/v1/reviews?department=internal-medicine")).json()
    assert [item["owner"] for item in listed["items"]] == ["Practitioner/DR-IM-002"]


async def test_an_undischarge_before_the_signature_withdraws_the_case_and_a_new_discharge_opens_it_again(
    stack: Stack,
) -> None:
    case_id = await stack.discharge()
    await stack.reaches(case_id, "awaiting-review")
    sent = {"encounter_id": stays()[0], "department": "internal-medicine"}
    answer = await stack.call("ingest", "POST", "/v1/encounters/discharge-cancelled", json=sent)
    assert answer.status_code == 202
    await stack.reaches(case_id, "withdrawn")

    async def cancelled() -> Any:
        return [task["status"] for task in stack.in_chart("Task")] == ["cancelled"]

    await until(cancelled, "the Task to be cancelled")
    assert await stack.discharge() == case_id
    await stack.reaches(case_id, "awaiting-review", events=9)


async def test_nobody_signs_for_a_stay_that_goes_on(stack: Stack) -> None:
    case_id = await stack.discharge()
    await stack.reaches(case_id, "awaiting-review")
    encounter = stack.ehr.store.get("Encounter", stays()[0])
    assert encounter is not None
    stack.ehr.store.put(encounter | {"status": "in-progress"})
    assert (await stack.decide(case_id, "approve")).status_code == 409
    assert (await stack.case(case_id))["state"] == "withdrawn"


async def test_a_late_copy_of_a_discharge_leads_to_no_signature_for_a_stay_that_goes_on(stack: Stack) -> None:
    """Discharged, taken back, and the first message once more by another way."""
    case_id = await stack.discharge()
    await stack.reaches(case_id, "awaiting-review")
    encounter = stack.ehr.store.get("Encounter", stays()[0])
    assert encounter is not None
    stack.ehr.store.put(encounter | {"status": "in-progress"})
    sent = {"encounter_id": stays()[0], "department": "internal-medicine"}
    await stack.call("ingest", "POST", "/v1/encounters/discharge-cancelled", json=sent)
    await stack.reaches(case_id, "withdrawn")
    await stack.discharge(occurred_at="2026-11-20T10:00:00Z")
    await stack.reaches(case_id, "awaiting-review")
    assert (await stack.decide(case_id, "approve")).status_code == 409
    assert (await stack.case(case_id))["state"] == "withdrawn"
    assert stack.in_chart("DocumentReference") == []


async def test_an_undischarge_after_the_signature_tells_a_person_and_changes_nothing(stack: Stack) -> None:
    case_id = await stack.discharge()
    await stack.reaches(case_id, "awaiting-review")
    await stack.decide(case_id, "approve")
    await stack.reaches(case_id, "filed")
    sent = {"encounter_id": stays()[0], "department": "internal-medicine"}
    await stack.call("ingest", "POST", "/v1/encounters/discharge-cancelled", json=sent)
    bus = await stack.server.connect("operator")

    async def told() -> Any:
        found = await bus.direct_get("ALERTS", {"seq": 1, "next_by_subj": "alert.>", "batch": 10})
        return any(b"discharge-cancelled" in str(item.headers).encode() for item in found)

    await until(told, "the alert")
    await bus.close()
    assert (await stack.case(case_id))["state"] == "filed"


async def test_a_model_that_fails_leaves_a_draft_that_is_composed_from_the_record(stack: Stack) -> None:
    stack.generator.failures = [PermanentError("told to fail")]
    case_id = await stack.discharge()
    await stack.reaches(case_id, "awaiting-review")
    draft = (await stack.review(case_id))["draft"]
    assert draft["model_silent"] == "the model failed"
    assert {item["origin"] for item in draft["sentences"]} == {"rules"}
    assert all(item["supported"] for item in draft["sentences"])
    for text in ("", "Written by hand."):
        refused = await stack.decide(case_id, "approve", text=text or " ")
        assert (refused.status_code, refused.json()["errors"][0]["field"]) == (422, "text")
    assert (await stack.decide(case_id, "approve")).status_code == 200


async def test_a_model_that_answers_nonsense_leaves_a_draft_too(stack: Stack) -> None:
    stack.generator.text = "banana " * 50
    case_id = await stack.discharge()
    await stack.reaches(case_id, "awaiting-review")
    assert "too short" in (await stack.review(case_id))["draft"]["model_silent"]


async def test_a_failed_step_is_a_dead_letter_and_a_redrive_brings_the_case_back(stack: Stack) -> None:
    case_id = await stack.discharge("not-there-yet")
    case = await stack.reaches(case_id, "failed")
    assert case["events"][-1]["detail"]["reason"] == "the EHR has no such encounter"
    encounter = stack.ehr.store.get("Encounter", stays()[0])
    assert encounter is not None
    stack.ehr.store.put(encounter | {"id": "not-there-yet"})
    bus = await stack.server.connect("operator")
    letters = await read_all(bus)
    ((letter, _, _),) = letters.values()
    assert (letter.consumer, letter.reason, letter.attempts) == (
        "drafter-extract",
        "the EHR has no such encounter",
        1,
    )
    await redrive(bus, letters, letter.sequence, Attribution("operator"))
    with pytest.raises(PermanentError, match="was redriven before"):
        await redrive(bus, letters, letter.sequence, Attribution("operator"))
    await bus.close()
    await stack.reaches(case_id, "awaiting-review")
    assert (await stack.events(case_id)).count("retried") == 1


@pytest.mark.parametrize(
    ("subject", "body"),
    [
        ("ehr.encounter.discharged.internal-medicine.e1", b"junk"),
        ("ehr.encounter.discharged.internal-medicine.e1", b'{"encounter_id": "other"}'),
        ("ehr.encounter.discharged.BAD.e1", b'{"encounter_id": "e1"}'),
    ],
)
async def test_what_an_engine_sends_wrong_is_a_dead_letter_with_the_reason(
    stack: Stack, subject: str, body: bytes
) -> None:
    bus = await stack.server.connect("admin")
    await bus.publish(subject, body, stream="EHR")

    async def buried() -> Any:
        return list((await read_all(bus)).values())

    ((letter, data, _),) = await until(buried, "the dead letter")
    await bus.close()
    assert (letter.consumer, data) == ("ingest-discharged", body)
    assert letter.reason


@pytest.mark.parametrize(
    ("type", "method", "fault"),
    [
        ("DocumentReference", "POST", {"kind": "lost-response"}),
        ("DocumentReference", "POST", {"kind": "racing-create"}),
        ("Provenance", "POST", {"kind": "lost-response"}),
        ("DocumentReference", "POST", {"kind": "status", "status": 503}),
        ("DocumentReference", "POST", {"kind": "status", "status": 401}),
        ("Provenance", "POST", {"kind": "status", "status": 403}),
        ("Task", "PUT", {"kind": "status", "status": 403}),
        ("Task", "PUT", {"kind": "lost-response"}),
        ("Task", "POST", {"kind": "lost-response"}),
    ],
)
async def test_filed_exactly_once_whatever_the_ehr_does(
    stack: Stack, monkeypatch: pytest.MonkeyPatch, type: str, method: str, fault: dict[str, Any]
) -> None:
    monkeypatch.setattr(RetryPolicy, "wait", lambda row, attempt: 0.05)
    stack.ehr.faults.armed.append(Fault(type=type, method=method, **fault))
    case_id = await stack.discharge()
    await stack.reaches(case_id, "awaiting-review")
    await stack.decide(case_id, "approve")
    case = await stack.reaches(case_id, "filed")
    assert [event["event"] for event in case["events"]] == FILED
    documents = [item for item in stack.in_chart("DocumentReference") if item["status"] == "current"]
    assert [item["id"] for item in documents] == [case["document_reference"]]
    assert len([item for item in stack.in_chart("Provenance") if "entity" in item]) == 1
    assert [item["status"] for item in stack.in_chart("Task")] == ["completed"]


@pytest.mark.parametrize(("status", "type"), [(503, "Encounter"), (401, "Encounter"), (409, "Task"), (401, "Task")])
async def test_a_case_outlasts_an_ehr_that_is_away_for_many_attempts_without_an_operator(
    stack: Stack, monkeypatch: pytest.MonkeyPatch, status: int, type: str
) -> None:
    monkeypatch.setattr(RetryPolicy, "wait", lambda row, attempt: 0.05)
    stack.ehr.faults.armed.append(Fault(kind="status", type=type, status=status, times=12))
    case_id = await stack.discharge()
    case = await stack.reaches(case_id, "awaiting-review")
    assert [event["event"] for event in case["events"]] == TO_REVIEW
    assert len(stack.in_chart("Task")) == 1


async def test_an_ehr_that_takes_no_task_does_not_stop_a_review(stack: Stack) -> None:
    stack.ehr.faults.armed.append(Fault(kind="status", type="Task", status=403, times=99))
    case_id = await stack.discharge()
    await stack.reaches(case_id, "awaiting-review")
    assert (await stack.decide(case_id, "approve")).status_code == 200
    await stack.reaches(case_id, "filed")


async def test_a_model_that_is_away_for_a_moment_is_waited_for(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(RetryPolicy, "wait", lambda row, attempt: 0.05)
    stack.generator.failures = [TransientError("not ready")]
    case_id = await stack.discharge()
    await stack.reaches(case_id, "awaiting-review")
    assert (await stack.review(case_id))["draft"]["by_hand"] is None
    assert len(stack.generator.prompts) == 2
