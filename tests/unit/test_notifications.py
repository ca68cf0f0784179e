"""Notifications as servers send them, and the facts they become."""

from typing import Any

import pytest

from services.ingest.notifications import SubscriptionReport, parse_notification, parse_status, tasks_in
from shared.contracts.ehr import TaskChanged, parse_task_changed
from shared.contracts.errors import PermanentError
from shared.contracts.subjects import updated_subject

TASK = {"resourceType": "Task", "id": "t1", "meta": {"versionId": "3"}, "status": "completed"}
STATUS = {"resourceType": "SubscriptionStatus", "notificationEvent": [{"focus": {"reference": "Task/t1"}}]}


def parameters(kind: str, *focus: str) -> dict[str, Any]:
    """The first entry of an R4 backport notification."""
    events = [
        {
            "name": "notification-event",
            "part": [
                {"name": "event-number", "valueString": str(number)},
                {"name": "focus", "valueReference": {"reference": reference}},
            ],
        }
        for number, reference in enumerate(focus, start=1)
    ]
    return {"resourceType": "Parameters", "parameter": [{"name": "type", "valueCode": kind}, *events]}


def bundle(*entries: dict[str, Any]) -> dict[str, Any]:
    return {"resourceType": "Bundle", "type": "history", "entry": list(entries)}


@pytest.mark.parametrize(
    ("body", "wanted"),
    [
        (TASK, [("t1", "3")]),
        (TASK | {"meta": {}}, [("t1", None)]),
        (bundle({"resource": parameters("handshake")}), []),
        (bundle({"resource": parameters("heartbeat")}), []),
        (
            bundle({"resource": parameters("event-notification", "https://ehr.example/fhir/Task/t1", "Task/t2")}),
            [("t1", None), ("t2", None)],
        ),
        (bundle({"resource": parameters("event-notification", "Task/t1")}, {"resource": TASK}), [("t1", "3")]),
        (bundle({"resource": TASK}, {"resource": parameters("event-notification", "Task/t1")}), [("t1", "3")]),
        (bundle({"fullUrl": "https://ehr.example/fhir/Task/t1/_history/9"}), [("t1", "9")]),
        (bundle({"resource": STATUS}), [("t1", None)]),
        (bundle({"resource": parameters("event-notification", "Encounter/e1", "urn:uuid:x", "Task/a b")}), []),
        ({"resourceType": "Patient", "id": "p1"}, []),
        ({}, []),
        (bundle() | {"entry": ["junk", {"resource": None}, {"resource": "x"}, {"resource": {"resourceType": []}}]}, []),
        (TASK | {"id": "../x"}, []),
        (TASK | {"meta": "junk"}, [("t1", None)]),
        ({"resourceType": "Parameters", "parameter": {"name": "notification-event"}}, []),
    ],
)
def test_what_a_notification_is_about(body: dict[str, Any], wanted: list[tuple[str, str | None]]) -> None:
    assert [(fact.task_id, fact.version) for fact in tasks_in(body)] == wanted


def test_a_fact_comes_back_as_it_was_told() -> None:
    fact = TaskChanged(task_id="t.1", version="v2")
    subject = updated_subject("task", fact.task_id)
    assert subject == "ehr.task.updated.t%2E1"
    assert parse_task_changed(subject, fact.model_dump_json().encode()) == fact


@pytest.mark.parametrize(
    ("subject", "body", "word"),
    [
        ("ehr.task.updated.t1", b"junk", "body"),
        ("ehr.task.updated.t1", b'{"task_id": "Jane Doe"}', "task_id"),
        ("ehr.task.updated.t1", b'{"task_id": "t2"}', "subject"),
        ("ehr.task.created.t1", b'{"task_id": "t1"}', "subject"),
    ],
)
def test_a_fact_that_breaks_the_contract_is_refused_without_its_value(subject: str, body: bytes, word: str) -> None:
    with pytest.raises(PermanentError, match=word) as refused:
        parse_task_changed(subject, body)
    assert "Jane" not in refused.value.reason


def backport_status(id: str, *more: dict[str, Any]) -> dict[str, Any]:
    """A status of the R4 backport, as `$status` answers it."""
    reference = {"name": "subscription", "valueReference": {"reference": f"https://ehr.example/fhir/Subscription/{id}"}}
    return {"resource": {"resourceType": "Parameters", "parameter": [reference, *more]}}


def status_of_r5(id: str, **more: Any) -> dict[str, Any]:
    return {
        "resource": {"resourceType": "SubscriptionStatus", "subscription": {"reference": f"Subscription/{id}"}} | more
    }


ACTIVE = {"name": "status", "valueCode": "active"}
FAILED = {"coding": [{"code": "unreachable"}], "text": "Zzyzxfamily"}


@pytest.mark.parametrize(
    ("entries", "wanted"),
    [
        ([backport_status("s1", ACTIVE)], SubscriptionReport("active")),
        (
            [backport_status("s1", ACTIVE, {"name": "events-since-subscription-start", "valueString": "42"})],
            SubscriptionReport("active", 42),
        ),
        (
            [backport_status("s1", {"name": "events-since-subscription-start", "valueUnsignedInt": 310})],
            SubscriptionReport(None, 310),
        ),
        (
            [backport_status("s1", {"name": "error", "valueCodeableConcept": FAILED})],
            SubscriptionReport(None, None, "unreachable"),
        ),
        (
            [status_of_r5("s1", status="error", eventsSinceSubscriptionStart="7", error=[FAILED])],
            SubscriptionReport("error", 7, "unreachable"),
        ),
        # All Subscriptions of the client, though one was asked for.
        ([status_of_r5("s2", status="off"), status_of_r5("s1", status="active")], SubscriptionReport("active")),
        ([status_of_r5("s2", status="off"), status_of_r5("s3", status="off")], None),
        ([backport_status("s1", {"name": "status", "valueCode": "Zzyzxfamily"})], SubscriptionReport(None)),
        ([status_of_r5("s1", error=[{"coding": [{"code": "Zzyzxfamily"}]}])], SubscriptionReport(None)),
        ([{"resource": TASK}], None),
        ([], None),
    ],
)
def test_what_a_server_says_of_a_subscription(entries: list[dict[str, Any]], wanted: SubscriptionReport | None) -> None:
    assert parse_status(bundle(*entries), "s1") == wanted


def test_event_numbers_of_the_first_versions_of_the_backport_are_read() -> None:
    so_far = {"name": "events-since-subscription-start", "valueUnsignedInt": 310}
    assert parse_notification(bundle(backport_status("s1", so_far))).events == (310,)
