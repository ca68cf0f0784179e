"""`countersign ehr subscribe`: what is created at which server, and that running it again changes nothing."""

import json
from pathlib import Path
from typing import Any

import httpx
import pytest
from typer.testing import CliRunner

from cli import connections
from cli.doctor.ehr import assess_routes, check_subscriptions
from cli.ehr.subscriptions import BACKPORT, CRITERIA, subscribe
from cli.main import app
from shared.clinical.capabilities import TOPIC_EXTENSION, parse_capabilities
from shared.clinical.fhir_client import FhirClient
from shared.runtime.checks.findings import Group

ENDPOINT = "https://countersign.example/v1/fhir/notifications"
TOPICS = {"Encounter": "http://ehr.example/topics/encounter-changes", "Task": "http://ehr.example/topics/task-changes"}


class Server:
    """A FHIR server that stores Subscriptions; `refuses` are words of criteria that it does not support."""

    def __init__(self, *, creates: bool = True, topics: tuple[str, ...] = (), refuses: str = "nothing") -> None:
        extension = [{"url": f"{BACKPORT}{TOPIC_EXTENSION}", "valueCanonical": item} for item in topics]
        interactions = [{"code": "create"}] if creates else [{"code": "read"}]
        offered = {"type": "Subscription", "extension": extension, "interaction": interactions}
        encounter = {"type": "Encounter", "searchParam": [{"name": "_id"}]}
        resources = [offered | {"searchParam": [{"name": "url"}]}, encounter]
        self.statement = {"resourceType": "CapabilityStatement", "rest": [{"resource": resources}]}
        self.stored: list[dict[str, Any]] = []
        self.refuses, self.writes = refuses, 0
        self.unknown = 404
        self.statuses: dict[str, dict[str, Any]] = {}  # what `$status` says; without any it is not supported

    def client(self) -> FhirClient:
        return FhirClient("http://ehr.test/fhir", httpx.AsyncClient(transport=httpx.MockTransport(self.answer)))

    def answer(self, request: httpx.Request) -> httpx.Response:
        if request.url.path.endswith("/metadata"):
            return httpx.Response(200, json=self.statement)
        if request.url.path.endswith("/$status"):
            known = self.statuses.get(request.url.path.split("/")[-2])
            if known is None:
                return httpx.Response(self.unknown, json={"resourceType": "OperationOutcome", "issue": []})
            entries = [{"resource": {"resourceType": "SubscriptionStatus"} | known}]
            return httpx.Response(200, json={"resourceType": "Bundle", "type": "searchset", "entry": entries})
        if request.method == "GET":
            found = [{"resource": item} for item in self.stored]
            return httpx.Response(200, json={"resourceType": "Bundle", "type": "searchset", "entry": found})
        self.writes += 1
        sent = json.loads(request.content)
        if self.refuses in sent["criteria"]:
            return httpx.Response(422, json={"resourceType": "OperationOutcome", "issue": [{"code": "not-supported"}]})
        if request.method == "PUT":
            self.stored = [sent if item["id"] == sent["id"] else item for item in self.stored]
            return httpx.Response(200, json=sent)
        self.stored.append(sent | {"id": f"s{len(self.stored)}", "meta": {"versionId": "1"}})
        return httpx.Response(201, json=self.stored[-1])


async def outcomes(server: Server, token: str | None = "secret") -> dict[str, str]:  # noqa: S107 - of a test
    found = await subscribe(server.client(), ("Encounter", "Task"), ENDPOINT, token, {})
    return {item.type: item.outcome for item in found}


async def test_criteria_of_r4_are_created_once() -> None:
    server = Server()
    assert await outcomes(server) == {"Encounter": "created", "Task": "created"}
    assert [item["criteria"] for item in server.stored] == list(CRITERIA.values())
    assert {item["channel"]["endpoint"] for item in server.stored} == {ENDPOINT}
    assert server.stored[0]["channel"]["header"] == ["Authorization: Bearer secret"]
    assert await outcomes(server) == {"Encounter": "unchanged", "Task": "unchanged"}
    assert server.writes == 2


async def test_topics_of_the_backport_are_used_where_the_server_has_them() -> None:
    server = Server(topics=(*TOPICS.values(), "http://ehr.example/topics/other"))
    assert await outcomes(server, token=None) == {"Encounter": "created", "Task": "created"}
    first = server.stored[0]
    assert first["criteria"] == TOPICS["Encounter"]
    assert first["channel"]["_payload"]["extension"][0]["valueCode"] == "id-only"
    assert "header" not in first["channel"]
    (explicit,) = await subscribe(Server().client(), ("Task",), ENDPOINT, None, {"Task": "urn:topic"})
    assert explicit.says.endswith("urn:topic")


@pytest.mark.parametrize("status", ["off", "error"])
async def test_a_subscription_that_has_stopped_is_asked_for_again_with_the_present_token(status: str) -> None:
    server = Server()
    await outcomes(server, token="old")
    server.stored[0] |= {"status": status, "error": "text of a server"}
    assert await outcomes(server, token="new") == {"Encounter": "reactivated", "Task": "unchanged"}
    assert server.stored[0]["status"] == "requested"
    assert server.stored[0]["channel"]["header"] == ["Authorization: Bearer new"]


async def test_state_and_events_are_those_of_status_where_the_server_has_it() -> None:
    server = Server()
    await outcomes(server)
    server.stored[0]["status"] = server.stored[1]["status"] = "active"
    server.statuses = {"s0": {"status": "active", "eventsSinceSubscriptionStart": "42"}}
    server.statuses["s1"] = {"status": "error", "error": [{"coding": [{"code": "unreachable"}]}]}
    encounter, task = await subscribe(server.client(), ("Encounter", "Task"), ENDPOINT, None, {})
    assert (encounter.outcome, encounter.status, encounter.events) == ("unchanged", "active", 42)
    assert encounter.says == "it notifies (active, 42 events so far)"
    assert (task.outcome, task.status) == ("reactivated", "requested")
    assert "it was error" in task.says
    assert "unreachable" in task.says


async def test_the_doctor_says_how_subscriptions_are_doing() -> None:
    server, group = Server(), Group("connections")
    await outcomes(server)
    server.unknown = 500  # as some answer for operations that they do not have
    server.stored.append(
        {"resourceType": "Subscription", "id": "s2", "channel": {"endpoint": "https://elsewhere/fhir"}}
    )
    server.stored[1]["status"] = "off"
    server.statuses = {"s0": {"status": "active", "eventsSinceSubscriptionStart": "1"}}
    await check_subscriptions(group, server.client())
    found = [(item.level, item.says) for item in group.found]
    assert found == [("ok", "s0: active, 1 event so far"), ("warning", "s1: off")]


async def test_the_doctor_says_where_subscriptions_may_not_be_read() -> None:
    group = Group("connections")
    refusing = httpx.AsyncClient(transport=httpx.MockTransport(lambda _: httpx.Response(403, json={})))
    await check_subscriptions(group, FhirClient("http://ehr.test/fhir", refusing))
    ((level, says),) = [(item.level, item.says) for item in group.found]
    assert level == "ok"
    assert "not known" in says


async def test_what_a_server_does_not_support_is_said() -> None:
    assert await outcomes(Server(creates=False)) == {"Encounter": "unsupported", "Task": "unsupported"}
    assert await outcomes(Server(refuses="Task")) == {"Encounter": "created", "Task": "refused"}


def test_the_command_prints_json_and_fails_where_something_is_missing(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    server = Server(refuses="Task")
    monkeypatch.setattr(connections, "open_ehr", lambda data_dir, scope: server.client())
    (tmp_path / "token").write_text("secret\n")
    command = ["ehr", "subscribe", "--endpoint", ENDPOINT, "--token-file", str(tmp_path / "token"), "--json"]
    result = CliRunner().invoke(app, command)
    assert result.exit_code == 1
    assert [item["outcome"] for item in json.loads(result.stdout)] == ["created", "refused"]
    assert "secret" not in result.stdout
    assert CliRunner().invoke(app, [*command, "--type", "Encounter"]).exit_code == 0


def test_the_doctor_says_which_routes_a_server_has() -> None:
    group = Group("connections")
    assess_routes(group, parse_capabilities(Server(topics=tuple(TOPICS.values())).statement))
    assess_routes(group, parse_capabilities({"rest": [{"resource": [{"type": "Encounter"}]}]}))
    assert [(item.what, item.level) for item in group.found] == [
        ("EHR notifications", "ok"),
        ("EHR poll", "warning"),
    ] * 2
    assert "topics" in group.found[0].says
    assert "no Subscriptions" in group.found[2].says
