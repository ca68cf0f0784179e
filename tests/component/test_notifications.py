"""The endpoint for FHIR notifications, with NATS in memory, and the sandbox EHR as the server that notifies."""

import asyncio
import json
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from sandbox_ehr.notifications import SubscriptionNotifier
from services.ingest.dependencies import IngestDependencies
from services.ingest.notifications_api import router
from services.ingest.publishers import NotificationPublisher
from shared.clinical.fhir_client import etag_of
from shared.runtime import problems
from shared.runtime.authentication import ApiToken, ApiTokens, Authenticator, token_digest
from shared.runtime.dependencies import mount, provide
from tests.support.ehr import client, sandbox, stays
from tests.support.memory import MemoryBus
from tests.support.stack import until
from tests.unit.test_notifications import TASK, bundle, parameters

PATH = "/v1/fhir/notifications"


class NotificationClient:
    """A client of the endpoint, and what was published."""

    def __init__(self) -> None:
        self.bus: Any = MemoryBus()
        ids = iter(range(1000))
        publisher = NotificationPublisher(self.bus, lambda: f"id-{next(ids)}")
        roles = ("ingest", "physician", "operator")
        grants = tuple(ApiToken(sha256=token_digest(role), subject=role, role=role) for role in roles)
        app = FastAPI()
        problems.install_error_handlers(app)
        absent: Any = None  # the other routes' dependencies
        provide(app, IngestDependencies(Authenticator(ApiTokens(tokens=grants)), absent, absent, publisher, absent))
        mount(app, router)
        self.http = httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://countersign.test")

    async def send(self, body: Any, role: str = "ingest", method: str = "POST", path: str = PATH) -> httpx.Response:
        headers = {"Authorization": f"Bearer {role}", "Content-Type": "application/fhir+json"}
        return await self.http.request(method, path, content=json.dumps(body), headers=headers)

    @property
    def subjects(self) -> list[str]:
        return [item.subject for item in self.bus.kept]


@pytest.fixture
def endpoint() -> NotificationClient:
    return NotificationClient()


async def test_a_notification_reaches_the_stream_with_ids_only(endpoint: NotificationClient) -> None:
    named = TASK | {"for": {"display": "Zzyzxfamily"}, "description": "Zzyzxfamily"}
    answer = await endpoint.send(bundle({"resource": parameters("event-notification", "Task/t1")}, {"resource": named}))
    assert (answer.status_code, answer.json()) == (200, {"tasks": 1})
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
        assert (answer.status_code, answer.json()) == (200, {"tasks": 0})
    assert endpoint.subjects == []


async def test_a_server_may_put_the_resource_below_the_endpoint(endpoint: NotificationClient) -> None:
    assert (await endpoint.send(TASK, method="PUT", path=f"{PATH}/Task/t1")).json() == {"tasks": 1}
    assert (await endpoint.send({}, method="PUT", path=f"{PATH}/Task/t.2")).json() == {"tasks": 1}
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
