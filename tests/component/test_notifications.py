"""The endpoint for FHIR notifications, with NATS in memory, and the sandbox EHR as the server that notifies."""

import asyncio
import hashlib
import hmac
import itertools
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, get_args

import httpx
import pytest
from fastapi import FastAPI

from sandbox_ehr.notifications import BUNDLES, Shape, SubscriptionNotifier, request
from services.ingest.dependencies import IngestDependencies
from services.ingest.encounters.poll_timer import PollTimer
from services.ingest.notification_service import NotificationService
from services.ingest.notifications_api import router
from services.ingest.publishers import NotificationPublisher
from services.ingest.subscription_state import SubscriptionState, SubscriptionStates
from services.ingest.subscriptions import Subscription, Subscriptions
from shared.clinical.fhir_client import etag_of
from shared.runtime import problems
from shared.runtime.authentication import ApiToken, ApiTokens, Authenticator, token_digest
from shared.runtime.dependencies import mount, provide
from tests.support.ehr import client, sandbox, stays
from tests.support.memory import MemoryBus
from tests.support.stack import until
from tests.unit.test_notifications import TASK, bundle, parameters

PATH = "/v1/fhir/notifications"
NOW = datetime(2026, 11, 28, 12, tzinfo=UTC)
BUNDLE_ANSWER = {"resourceType": "Bundle", "type": "transaction-response"}
ENCOUNTER = {"resourceType": "Encounter", "id": "e1", "meta": {"versionId": "7", "lastUpdated": "2026-11-28T11:00:00Z"}}
SECRETS = (b"the-secret-of-today-0123", b"the-secret-of-before-0123")
SHAPES = [shape for shape in get_args(Shape) if shape != "empty"]


class NotificationClient:
    """A client of the endpoint, and what was published."""

    def __init__(self, subscriptions: Subscriptions = Subscriptions()) -> None:  # noqa: B008 - frozen
        self.bus: Any = MemoryBus()
        ids = itertools.count()
        publisher = NotificationPublisher(self.bus, lambda: f"id-{next(ids)}")
        timer = PollTimer(self.bus, timedelta(minutes=5), lambda: NOW)
        states = SubscriptionStates(self.bus, lambda: NOW)
        service = NotificationService(publisher, subscriptions, states, timer)
        roles = ("ingest", "physician", "operator")
        grants = tuple(ApiToken(sha256=token_digest(role), subject=role, role=role) for role in roles)
        app = FastAPI()
        problems.install_error_handlers(app)
        absent: Any = None  # the other routes' dependencies
        keys = Authenticator(ApiTokens(tokens=grants))
        provide(app, IngestDependencies(keys, absent, absent, service, absent, absent, absent))
        mount(app, router)
        self.http = httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://countersign.test")

    async def send(self, body: Any, role: str = "ingest", method: str = "POST", path: str = PATH) -> httpx.Response:
        headers = {"Authorization": f"Bearer {role}", "Content-Type": "application/fhir+json"}
        return await self.http.request(method, path, content=json.dumps(body), headers=headers)

    @property
    def subjects(self) -> list[str]:
        return [item.subject for item in self.bus.kept if item.stream == "EHR"]

    @property
    def polls(self) -> list[str]:
        """The times at which the poll was asked for."""
        return [item.headers["countersign-due"] for item in self.bus.kept if item.stream == "REFRESH_TIMERS"]


@pytest.fixture
def endpoint() -> NotificationClient:
    return NotificationClient()


async def test_a_notification_reaches_the_stream_with_ids_only(endpoint: NotificationClient) -> None:
    named = TASK | {"for": {"display": "Zzyzxfamily"}, "description": "Zzyzxfamily"}
    answer = await endpoint.send(bundle({"resource": parameters("event-notification", "Task/t1")}, {"resource": named}))
    assert (answer.status_code, answer.json()) == (200, BUNDLE_ANSWER)
    assert answer.headers["content-type"] == "application/fhir+json"
    (kept,) = endpoint.bus.kept
    assert (kept.stream, kept.subject) == ("EHR", "ehr.task.updated.t1")
    assert json.loads(kept.data) == {"task_id": "t1", "version": "3"}
    assert "Zzyzxfamily" not in str(kept)


async def test_the_same_version_counts_once_however_often_it_is_sent(endpoint: NotificationClient) -> None:
    for _ in range(19):  # as one server did
        assert (await endpoint.send(TASK)).status_code == 200
    await endpoint.send(TASK | {"meta": {"versionId": "4"}})
    assert endpoint.subjects == ["ehr.task.updated.t1"] * 2


async def test_a_handshake_and_a_heartbeat_are_answered_and_tell_nothing(endpoint: NotificationClient) -> None:
    for kind in ("handshake", "heartbeat"):
        answer = await endpoint.send(bundle({"resource": parameters(kind)}))
        assert (answer.status_code, answer.json()) == (200, BUNDLE_ANSWER)
    assert (endpoint.subjects, endpoint.polls) == ([], [])


async def test_a_server_may_put_the_resource_below_the_endpoint(endpoint: NotificationClient) -> None:
    for body, path in ((TASK, "Task/t1"), ({}, "Task/t.2")):
        answer = await endpoint.send(body, method="PUT", path=f"{PATH}/{path}")
        assert (answer.status_code, answer.json()["resourceType"]) == (200, "OperationOutcome")
    assert endpoint.subjects == ["ehr.task.updated.t1", "ehr.task.updated.t%2E2"]
    assert (await endpoint.send({}, method="PUT", path=f"{PATH}/Task/a*b")).status_code == 422


@pytest.mark.parametrize(("role", "status"), [("physician", 403), ("operator", 403), ("nobody", 401)])
async def test_only_the_ehr_may_notify(endpoint: NotificationClient, role: str, status: int) -> None:
    assert (await endpoint.send(TASK, role)).status_code == status
    assert endpoint.subjects == []


@pytest.mark.parametrize("body", ["junk", [], 1, None])
async def test_what_is_no_resource_is_refused(endpoint: NotificationClient, body: Any) -> None:
    answer = await endpoint.send(body)
    assert answer.status_code == 422
    assert answer.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize("shape", SHAPES)
async def test_every_shape_of_every_server_reaches_the_stream_once(endpoint: NotificationClient, shape: Shape) -> None:
    for number in (1, 2, 2):  # repeated by the server, and as another event
        sent = request(shape, PATH, ENCOUNTER, number, token="ingest")
        answer = await endpoint.http.request(**sent)
        kind = "OperationOutcome" if shape in ("put", "medplum") else "Bundle"
        assert (answer.status_code, answer.json()["resourceType"]) == (200, kind)
    bodies = {item.data for item in endpoint.bus.kept}
    versioned = shape in ("put", "medplum")
    assert endpoint.subjects == ["ehr.encounter.updated.e1"] * (1 if versioned else 3)
    assert bodies == {b'{"encounter_id":"e1","version":"7"}' if versioned else b'{"encounter_id":"e1"}'}
    assert endpoint.polls == []


@pytest.mark.parametrize("shape", BUNDLES)
async def test_every_content_of_a_bundle_is_taken(endpoint: NotificationClient, shape: Shape) -> None:
    """A whole resource is named once, with its version; a Bundle that names nothing asks for a poll."""
    for number in (1, 2):
        sent = request(shape, PATH, ENCOUNTER, number, content="full-resource", token="ingest")
        assert (await endpoint.http.request(**sent)).status_code == 200
    assert endpoint.subjects == ["ehr.encounter.updated.e1"]
    assert {item.data for item in endpoint.bus.kept} == {b'{"encounter_id":"e1","version":"7"}'}
    assert endpoint.polls == []
    sent = request(shape, PATH, ENCOUNTER, 3, content="empty", token="ingest")
    assert (await endpoint.http.request(**sent)).status_code == 200
    assert endpoint.subjects == ["ehr.encounter.updated.e1"]
    assert len(endpoint.polls) == 1


async def test_one_version_counts_once_in_whatever_shape_it_is_sent(endpoint: NotificationClient) -> None:
    full = {"fullUrl": "https://ehr.example/fhir/Encounter/e1", "resource": ENCOUNTER}
    for body in (ENCOUNTER, bundle({"resource": parameters("event-notification", "Encounter/e1")}, full)):
        await endpoint.send(body)
    await endpoint.send(bundle({"fullUrl": "https://ehr.example/fhir/Encounter/e1/_history/7"}))
    await endpoint.send(ENCOUNTER, method="PUT", path=f"{PATH}/Encounter/e1")
    assert endpoint.subjects == ["ehr.encounter.updated.e1"]


async def test_a_notification_without_names_asks_for_a_poll(endpoint: NotificationClient) -> None:
    for _ in range(3):
        sent = request("empty", PATH, ENCOUNTER, 1, token="ingest")
        assert (await endpoint.http.request(**sent)).json()["resourceType"] == "OperationOutcome"
    await endpoint.send(bundle({"resource": parameters("event-notification")}))
    assert endpoint.subjects == []
    assert endpoint.polls == ["2026-11-28T12:00:02.000Z"] * 4, "requests of the same moment share one run"


async def test_a_deleted_encounter_is_told_as_deleted(endpoint: NotificationClient) -> None:
    headers = {"Authorization": "Bearer ingest"}
    assert (await endpoint.http.delete(f"{PATH}/Encounter/e1", headers=headers)).status_code == 200
    await endpoint.send(bundle({"request": {"method": "DELETE", "url": "Encounter/e2"}}))
    assert [json.loads(item.data) for item in endpoint.bus.kept] == [
        {"encounter_id": "e1", "deleted": True},
        {"encounter_id": "e2", "deleted": True},
    ]
    assert (await endpoint.http.delete(f"{PATH}/Patient/p1", headers=headers)).status_code == 422


@pytest.fixture
def signed(tmp_path: Path) -> NotificationClient:
    files = [tmp_path / "now", tmp_path / "before"]
    for file, secret in zip(files, SECRETS, strict=True):
        file.write_bytes(secret + b"\n")
    return NotificationClient(Subscriptions(subscriptions=(Subscription(name="clinic", secret_files=tuple(files)),)))


@pytest.mark.parametrize("secret", SECRETS)
@pytest.mark.parametrize("shape", ["medplum", "athena"])
async def test_a_signature_over_the_raw_body_is_enough(signed: NotificationClient, shape: Shape, secret: bytes) -> None:
    sent = request(shape, PATH, ENCOUNTER, 1, secret=secret)
    assert (await signed.http.request(**sent)).status_code == 200
    assert signed.subjects == ["ehr.encounter.updated.e1"]


async def test_a_wrong_signature_is_refused_and_nothing_is_stored(signed: NotificationClient) -> None:
    sent = request("athena", PATH, ENCOUNTER, 1, secret=b"a-secret-of-nobody-0123")
    assert (await signed.http.request(**sent)).status_code == 401
    right = request("medplum", PATH, ENCOUNTER, 1, secret=SECRETS[0])
    right["content"] = right["content"].replace(b": ", b":")  # as re-serialised JSON
    assert (await signed.http.request(**right)).status_code == 401
    unsigned = {"X-Signature": hmac.new(b"", b"", hashlib.sha256).hexdigest()}
    assert (await signed.http.post(PATH, content=b"", headers=unsigned)).status_code == 401
    assert (await signed.http.post(PATH, content=b"", headers={"X-Signature": "junk"})).status_code == 401
    assert (signed.subjects, signed.polls) == ([], [])


async def test_a_signature_counts_for_nobody_where_no_secret_is_declared(endpoint: NotificationClient) -> None:
    sent = request("medplum", PATH, ENCOUNTER, 1, secret=SECRETS[0])
    assert (await endpoint.http.request(**sent)).status_code == 401


@pytest.mark.parametrize(("numbered", "missing"), [(True, 2), (False, None)])
async def test_a_gap_in_the_event_numbers_is_noted_and_polled_for(numbered: bool, missing: int | None) -> None:
    gaps = NotificationClient(Subscriptions(subscriptions=(Subscription(name="ingest", numbered=numbered),)))
    for number in (1, 4, 5):
        await gaps.http.request(**request("r4b", PATH, ENCOUNTER, number, token="ingest"))
    entry = [item for item in gaps.bus.kept if item.stream == "KV_reconciled"][-1]
    assert entry.subject == "$KV.reconciled.subscriptions.ingest"
    state = SubscriptionState.read(entry.data)
    assert (state.missing, state.received_at) == (missing, NOW)
    assert bool(gaps.polls) is numbered


async def test_the_sandbox_tells_its_subscriber_of_tasks_that_ended_and_of_nothing_else(
    endpoint: NotificationClient,
) -> None:
    of = sandbox()
    of.subscriber = SubscriptionNotifier(endpoint.http, PATH, "ingest")
    ehr = client(of)
    encounter = await ehr.read("Encounter", stays()[0])
    made = (await ehr.create({"resourceType": "Task", "status": "requested", "intent": "order"})).resource
    await ehr.update(made | {"status": "completed"}, if_match=etag_of(made))
    await ehr.update(encounter, if_match=etag_of(encounter))

    async def told() -> bool:
        return of.subscriber is not None and of.subscriber.delivered == 1

    await until(told, "the notification")
    assert endpoint.subjects == [f"ehr.task.updated.{made['id']}"]


async def test_a_subscriber_that_is_away_does_not_stop_the_ehr() -> None:
    asked: list[str] = []

    def away(request: httpx.Request) -> httpx.Response:
        asked.append(str(request.url))
        raise httpx.ConnectError("away")

    of = sandbox()
    http = httpx.AsyncClient(transport=httpx.MockTransport(away), base_url="http://countersign.test")
    of.subscriber = SubscriptionNotifier(http, PATH)
    await client(of).create({"resourceType": "Task", "status": "completed", "intent": "order"})

    async def gave_up() -> bool:
        await asyncio.sleep(0)
        return len(asked) == 3

    await until(gave_up, "three tries")
    assert of.subscriber.delivered == 0


@pytest.mark.parametrize("style", ["plain", "opaque"])
async def test_tasks_are_found_by_what_a_reconciling_search_asks(style: Any) -> None:
    ehr = client(sandbox(style))
    code = {"coding": [{"system": "http://hl7.org/fhir/CodeSystem/task-code", "code": "approve"}]}
    base = {"resourceType": "Task", "intent": "order", "code": code, "identifier": [{"system": "urn:s", "value": "1"}]}
    made = [(await ehr.create(base | {"status": status})).resource for status in ("requested", "completed", "rejected")]
    asked = {"code": "http://hl7.org/fhir/CodeSystem/task-code|approve", "status": "completed,rejected"}
    found = await ehr.search("Task", asked | {"_lastUpdated": f"ge{made[0]['meta']['lastUpdated']}"})
    assert {item["id"] for item in found} == {item["id"] for item in made[1:]}
    assert await ehr.search("Task", asked | {"_lastUpdated": "ge2100-01-01T00:00:00Z"}) == []
    assert len(await ehr.search("Task", {"identifier": "urn:s|"})) == 3
    assert await ehr.search("Task", {"identifier": "urn:other|"}) == []
