"""Missed events are asked for, and a Subscription that has fallen silent is reactivated and told to a person."""

import itertools
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from services.ingest.encounters.watch import SubscriptionWatch
from services.ingest.publishers import NotificationPublisher
from services.ingest.subscription_state import SubscriptionStates
from services.ingest.subscriptions import Subscription, Subscriptions, read_subscriptions
from shared.clinical.fhir_client import FhirClient
from shared.contracts.errors import PermanentError, TransientError
from tests.support.memory import MemoryBus

T = datetime(2026, 11, 28, 12, tzinfo=UTC)
STATUS = {"resourceType": "SubscriptionStatus", "type": "query-event"}
EVENTS = [{"eventNumber": str(number), "focus": {"reference": f"Encounter/e{number}"}} for number in (8, 9)]
UNREACHABLE = {"coding": [{"code": "unreachable"}]}


class Server:
    """A FHIR server with one Subscription; `refused` is the status of its operations."""

    def __init__(self) -> None:
        self.subscription = {"resourceType": "Subscription", "id": "s1", "status": "active", "meta": {"versionId": "3"}}
        self.refused: int | None = None
        self.counted: str | None = None  # events by `$status`; None: it is not supported, "": and answered by 500
        self.asked: list[str] = []

    def client(self) -> FhirClient:
        http = httpx.AsyncClient(transport=httpx.MockTransport(self.answer))
        return FhirClient("http://ehr.test/fhir", http)

    def answer(self, request: httpx.Request) -> httpx.Response:
        self.asked.append(f"{request.method} {request.url.raw_path.decode().removeprefix('/fhir/')}")
        if self.refused is not None:
            return httpx.Response(self.refused)
        if "$events" in request.url.path:
            status = STATUS | {"notificationEvent": EVENTS}
            return httpx.Response(200, json={"resourceType": "Bundle", "entry": [{"resource": status}]})
        if "$status" in request.url.path and self.counted == "":
            return httpx.Response(500)
        if "$status" in request.url.path and self.counted is not None:
            status = STATUS | {"eventsSinceSubscriptionStart": self.counted, "error": [UNREACHABLE]}
            return httpx.Response(200, json={"resourceType": "Bundle", "entry": [{"resource": status}]})
        if request.method == "PUT":
            self.subscription = json.loads(request.content)
        return httpx.Response(200, json=self.subscription)


class Watch:
    """The watch over one Subscription, and what it stored."""

    def __init__(self, **settings: Any) -> None:
        self.bus: Any = MemoryBus()
        self.server, self.now = Server(), T
        self.of = Subscription(name="ehr", **{"subscription": "s1", "heartbeat": 60} | settings)
        self.states = SubscriptionStates(self.bus, lambda: self.now)
        ids = itertools.count()
        publisher = NotificationPublisher(self.bus, lambda: f"id-{next(ids)}")
        declared = Subscriptions(subscriptions=(self.of,))
        self.watch = SubscriptionWatch(
            self.bus, self.server.client(), publisher, declared, self.states, lambda: self.now
        )

    def stored(self, stream: str) -> list[str]:
        return [item.subject for item in self.bus.kept if item.stream == stream]


async def missed(**settings: Any) -> Watch:
    found = Watch(**settings)
    for number in (7, 10):
        await found.states.note(found.of, [number], named=True)
    return found


async def test_missed_events_are_asked_for_and_published_once() -> None:
    found = await missed()
    await found.watch.run()
    await found.watch.run()
    assert found.server.asked == ["GET Subscription/s1/$events?eventsSinceNumber=8"]
    assert found.stored("EHR") == ["ehr.encounter.updated.e8", "ehr.encounter.updated.e9"]
    assert (await found.states.get("ehr")).missing is None


@pytest.mark.parametrize("settings", [{"subscription": None}, {}])
async def test_what_a_server_does_not_tell_is_left_to_the_poll(settings: dict[str, Any]) -> None:
    found = await missed(**settings)
    found.server.refused = 404
    await found.watch.run()
    assert (await found.states.get("ehr")).missing is None


async def test_events_are_asked_for_again_while_the_server_is_away() -> None:
    found = await missed()
    found.server.refused = 503
    with pytest.raises(TransientError):
        await found.watch.run()
    assert (await found.states.get("ehr")).missing == 8


@pytest.mark.parametrize(("status", "revived"), [("error", True), ("off", True), ("active", False)])
async def test_a_silent_subscription_is_reactivated_where_it_has_stopped_and_told_once(
    status: str, revived: bool
) -> None:
    found = Watch()
    await found.watch.run()  # it has never sent anything, so that nothing is known
    await found.states.note(found.of, [1], named=True)
    found.now += timedelta(seconds=120)
    await found.watch.run()
    assert (found.server.asked, found.stored("ALERTS")) == ([], [])
    found.now += timedelta(seconds=1)
    found.server.subscription["status"] = status
    for _ in range(2):
        await found.watch.run()
    assert found.stored("ALERTS") == ["alert.warning.subscription-silent"]
    assert found.server.subscription["status"] == ("requested" if revived else status)
    await found.states.note(found.of, [2], named=True)
    found.server.asked.clear()
    await found.watch.run()
    assert found.server.asked == []


@pytest.mark.parametrize(("counted", "missed"), [("9", True), ("7", False), ("3", False)])
async def test_events_that_the_server_counted_and_that_did_not_arrive_are_asked_for(counted: str, missed: bool) -> None:
    """A Subscription that has fallen silent leaves no gap in the numbers that arrived: the server's count shows it."""
    found = Watch()
    await found.states.note(found.of, [7], named=True)
    found.now += timedelta(seconds=121)
    found.server.counted = counted
    for _ in range(2):
        await found.watch.run()
    asked = [item for item in found.server.asked if "$events" in item]
    assert asked == (["GET Subscription/s1/$events?eventsSinceNumber=8"] if missed else [])
    assert found.stored("EHR") == (["ehr.encounter.updated.e8", "ehr.encounter.updated.e9"] if missed else [])
    (alert,) = [json.loads(item.data) for item in found.bus.kept if item.stream == "ALERTS"]
    assert "(unreachable)" in alert["reason"]


async def test_a_server_that_fails_at_status_is_revived_and_told_of_all_the_same() -> None:
    found = Watch()
    await found.states.note(found.of, [7], named=True)
    found.now += timedelta(seconds=121)
    found.server.counted, found.server.subscription["status"] = "", "off"
    await found.watch.run()
    assert found.server.subscription["status"] == "requested"
    assert found.stored("ALERTS") == ["alert.warning.subscription-silent"]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("subscriptions: [{name: a}, {name: a}]", "twice"),
        ("subscriptions: [{name: a, secret_files: [/nowhere]}]", "/nowhere cannot be read"),
        ("subscriptions: [{name: A B}]", "subscriptions.0.name"),
        ("departments: {x: 'No Department'}", "departments.x"),
        ("- [", "is not YAML, line 1"),
    ],
)
def test_a_file_that_cannot_be_used_is_refused_with_the_reason(tmp_path: Any, text: str, reason: str) -> None:
    file = tmp_path / "subscriptions.yaml"
    file.write_text(text)
    with pytest.raises(PermanentError, match=reason):
        read_subscriptions(file)


def test_a_short_secret_is_refused(tmp_path: Any) -> None:
    (tmp_path / "secret").write_text("short\n")
    file = tmp_path / "subscriptions.yaml"
    file.write_text(f"subscriptions: [{{name: a, secret_files: [{tmp_path / 'secret'}]}}]")
    with pytest.raises(PermanentError, match="16 bytes"):
        read_subscriptions(file)
    assert read_subscriptions(None) == Subscriptions()
