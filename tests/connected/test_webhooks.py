"""Webhooks on a real bus, posted to a real receiver: signed, at least once, each endpoint on its own."""

import asyncio
import base64
import hmac
import json
import sys
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from cli.stack.ports import free_port
from cli.stack.secrets import write_tokens
from services.approval.dependencies import ApiDependencies
from services.approval.settings import WebhookSettings
from services.approval.webhooks.rules import MAX_CONCURRENT
from shared.contracts.envelope import CHAIN_START
from shared.contracts.subjects import CaseRef, case_id
from shared.messaging.dead_letters import read_all
from shared.messaging.event_store import EventStore
from shared.runtime.authentication import ApiToken, ApiTokens, Authenticator, token_digest
from shared.runtime.service import create_app
from tests.support.backup import as_user
from tests.support.ehr import sandbox
from tests.support.examples import CASE, STAY, T0, event
from tests.support.generator import ScriptedGenerator
from tests.support.people import Clock
from tests.support.processes import ServiceProcess
from tests.support.server import NatsServer
from tests.support.serving import run_beside, served
from tests.support.stack import Stack, build_services, until
from tests.support.webhooks import HOST, Receiver, receiver, running_receiver_of_the_guide

pytestmark = [pytest.mark.connected, pytest.mark.timeout(120), pytest.mark.system]

ROOT = Path(__file__).parents[2]
FACTS = {"case_id", "department", "event", "sequence"}
ATTRIBUTES = {"specversion", "id", "source", "type", "time", "subject", "datacontenttype", "data"}
LOCAL = WebhookSettings(internal_hosts=(HOST, "localhost"))


@pytest.fixture
def hook() -> Iterator[Receiver]:
    with receiver() as found:
        yield found


@pytest.fixture
def clock() -> Clock:
    return Clock()


@asynccontextmanager
async def approval(nats: NatsServer, clock: Clock, webhooks: WebhookSettings = LOCAL) -> AsyncIterator[Stack]:
    """Approval alone: no case is continued, so that a test says which events there are."""
    ehr, generator = sandbox(), ScriptedGenerator()
    app: FastAPI = create_app(build_services(nats, ehr, generator, webhooks=webhooks, clock=clock)[2:])
    async with app.router.lifespan_context(app):
        stack = Stack(nats, app, ehr, generator)
        yield stack
        await stack.http.aclose()


@pytest.fixture
async def stack(nats: NatsServer, clock: Clock) -> AsyncIterator[Stack]:
    await nats.provision()
    async with approval(nats, clock) as found:
        yield found


async def append(nats: NatsServer, *names: str, case: CaseRef = CASE) -> None:
    async with as_user(nats, "admin") as bus:
        journal = EventStore(bus, "drafter")
        history = await journal.history(case)
        head = history[-1].head if history else CHAIN_START
        for name in names:
            head = await journal.append(case, event(name), after=head, id=f"{case.id}/{name}", time=T0)


def a_case(number: int, department: str = "cardiology") -> CaseRef:
    return CaseRef(department, case_id("test", f"e{number}"))


async def add(stack: Stack, url: str, **more: Any) -> dict[str, Any]:
    answer = await stack.call("operator", "POST", "/v1/webhooks", json={"url": url} | more)
    assert answer.status_code == 201, answer.text
    found: dict[str, Any] = answer.json()
    return found


async def show(stack: Stack, webhook: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = (await stack.call("operator", "GET", f"/v1/webhooks/{webhook['id']}")).json()
    return found


async def deliveries(stack: Stack, webhook: dict[str, Any]) -> list[dict[str, Any]]:
    answer = await stack.call("operator", "GET", f"/v1/webhooks/{webhook['id']}/deliveries")
    assert answer.status_code == 200, answer.text
    return list(answer.json()["items"])


async def posted(hook: Receiver, count: int) -> None:
    await until(lambda: asyncio.sleep(0, len(hook.posts) >= count), f"{count} posts")


async def attempted(stack: Stack, webhook: dict[str, Any], outcome: str, count: int = 1) -> list[dict[str, Any]]:
    async def there() -> list[dict[str, Any]]:
        found = [item for item in await deliveries(stack, webhook) if item["outcome"] == outcome]
        return found if len(found) >= count else []

    found: list[dict[str, Any]] = await until(there, f"{count} attempts that are {outcome}")
    return found


async def buried(nats: NatsServer, count: int) -> list[Any]:
    async with as_user(nats, "operator") as bus:

        async def there() -> list[Any]:
            found = [letter for letter, _, _ in (await read_all(bus)).values()]
            return found if len(found) >= count else []

        found: list[Any] = await until(there, f"{count} dead letters")
        return found


async def test_the_receiver_of_the_guide_verifies_what_is_sent(stack: Stack, tmp_path: Path) -> None:
    """By code that shares nothing with ours."""
    port = free_port()
    webhook = await add(stack, f"http://{HOST}:{port}/hook")
    wrong = "whsec_" + base64.b64encode(b"w" * 32).decode()
    with running_receiver_of_the_guide(tmp_path, port, wrong):
        await append(stack.server, "discharged")
        (refused, *_) = await attempted(stack, webhook, "failed")
        while refused["status"] is None:  # it was not listening yet
            (refused, *_) = await attempted(stack, webhook, "failed")
        assert (refused["status"], refused["reason"]) == (401, "HTTP 401")
    with running_receiver_of_the_guide(tmp_path, port, wrong, webhook["secret"]) as printed:
        (done,) = await attempted(stack, webhook, "delivered")
        id, _, data = next(line for line in printed.read_text().splitlines() if "case_id" in line).partition(" ")
    assert id == done["id"] == refused["id"]
    expected = {"case_id": CASE.id, "department": "cardiology", "event": "discharged", "sequence": 1}
    assert json.loads(data) == expected


async def test_a_message_is_a_cloudevent_without_a_patients_data(stack: Stack, hook: Receiver) -> None:
    await append(stack.server, "discharged")  # of before it was registered
    await add(stack, hook.url, description="archive")
    await append(stack.server, "context-extracted")
    await posted(hook, 1)
    (post,) = hook.posts
    found = json.loads(post.body)
    assert post.headers["content-type"] == "application/cloudevents+json"
    assert (found.keys(), found["data"].keys()) == (ATTRIBUTES, FACTS)
    assert found["type"] == "countersign.discharge.context-extracted.v1"
    assert found["subject"] == f"{CASE.department}/{CASE.id}"
    for known in (STAY.patient, STAY.encounter, STAY.attending or "", event("discharged").encounter_id):  # type: ignore[union-attr]
        assert known
        assert known.encode() not in post.body


async def test_only_what_is_asked_for_is_sent(stack: Stack, hook: Receiver) -> None:
    await add(stack, hook.url, types=["discharged"], departments=["surgery"])
    await append(stack.server, "discharged")
    await append(stack.server, "discharged", "context-extracted", case=a_case(1, "surgery"))
    await append(stack.server, "discharged", case=a_case(2, "surgery"))
    await posted(hook, 2)
    sent = sorted(json.loads(post.body)["data"]["case_id"] for post in hook.posts)
    assert sent == sorted([a_case(1).id, a_case(2).id])


async def test_an_endpoint_that_is_down_gets_everything_later_and_delays_no_other(stack: Stack, hook: Receiver) -> None:
    with receiver() as down:
        down.stop()
        failing = await add(stack, down.url)
        await add(stack, hook.url)
        cases = [a_case(number) for number in range(12)]
        for case in cases:
            await append(stack.server, "discharged", case=case)
        await posted(hook, 12)
        await attempted(stack, failing, "failed")
        assert (await show(stack, failing))["failing_since"] is not None
        down.start()
        await posted(down, 12)
        await attempted(stack, failing, "delivered", 12)
        assert sorted(down.ids) == sorted(set(down.ids))
        assert (await show(stack, failing))["failing_since"] is None


async def test_an_endpoint_that_is_slow_delays_no_other(stack: Stack, hook: Receiver) -> None:
    """With more deliveries for it than there are workers."""
    answered = threading.Event()
    with receiver() as slow:
        slow.answer = lambda _: 204 if answered.wait(60) else 500
        await add(stack, slow.url)
        await add(stack, hook.url)
        try:
            for number in range(24):
                await append(stack.server, "discharged", case=a_case(number))
            await posted(hook, 24)
            assert len(slow.posts) <= MAX_CONCURRENT
        finally:
            answered.set()
        await posted(slow, 24)


async def test_a_process_that_dies_before_the_answer_sends_the_same_id_again(
    nats: NatsServer, hook: Receiver, tmp_path: Path
) -> None:
    await nats.provision()
    write_tokens(tmp_path / "tokens.json", nats.secrets.tokens)
    port = free_port()
    environment = {
        "COUNTERSIGN_MODE": "demo",
        "COUNTERSIGN_NATS_URL": nats.url,
        "COUNTERSIGN_NATS_SEED": nats.secrets.seeds["approval"],
        "COUNTERSIGN_TOKENS_FILE": str(tmp_path / "tokens.json"),
        "COUNTERSIGN_PORT": str(port),
        "COUNTERSIGN_WEBHOOK_INTERNAL_HOSTS": HOST,
        "PYTHONPATH": str(ROOT),
    }
    command = [sys.executable, "-m", "services.approval.main"]
    log = tmp_path / "approval.log"
    service = ServiceProcess("approval", command, f"http://{HOST}:{port}/healthz", log, environment)
    killed: list[str] = []

    def answer(post: Any) -> int:
        if not killed:
            killed.append(post.id)
            service.kill()
        return 204

    hook.answer = answer
    service.start()
    try:
        await asyncio.to_thread(service.wait)
        async with httpx.AsyncClient(base_url=f"http://{HOST}:{port}") as http:
            operator = {"Authorization": f"Bearer {nats.secrets.tokens['operator']}"}
            added = await http.post("/v1/webhooks", json={"url": hook.url}, headers=operator)
        assert added.status_code == 201, added.text
        await append(nats, "discharged")
        await posted(hook, 1)
        await until(lambda: asyncio.sleep(0, killed), "the kill")
        service.start()
        await posted(hook, 2)
    finally:
        service.kill()
    assert hook.ids == [killed[0], killed[0]]
    assert hook.posts[0].body == hook.posts[1].body
    # The log of a service says nothing of where it posts.
    assert "/hook" not in log.read_text()


async def test_a_delivered_message_is_not_sent_again_when_it_is_delivered_twice(stack: Stack, hook: Receiver) -> None:
    webhook = await add(stack, hook.url)
    await append(stack.server, "discharged")
    (done,) = await attempted(stack, webhook, "delivered")
    async with as_user(stack.server, "admin") as bus:
        (stored,) = await bus.direct_get("NOTIFY", {"seq": 1, "next_by_subj": "webhook.deliver.>", "batch": 1})
        assert webhook["secret"].encode() not in stored.data
        assert hook.url.encode() not in stored.data
        for _ in range(2):  # of which one is dropped by the server, as it has the same id
            await bus.jetstream.publish(
                f"webhook.deliver.{webhook['id']}.{done['id']}", stored.data, headers={"Nats-Msg-Id": "again"}
            )
    await posted(hook, 2)
    await attempted(stack, webhook, "delivered", 2)
    assert hook.ids == [done["id"]] * 2, "a message that was put up again is sent again, once"


async def test_redelivery_sends_the_same_id_and_body(stack: Stack, hook: Receiver) -> None:
    webhook = await add(stack, hook.url)
    await append(stack.server, "discharged")
    (done,) = await attempted(stack, webhook, "delivered")
    path = f"/v1/webhooks/{webhook['id']}/deliveries/{done['id']}/redeliver"
    for _ in range(2):
        assert (await stack.call("operator", "POST", path)).status_code == 202
    await attempted(stack, webhook, "delivered", 2)
    assert hook.ids == [done["id"]] * 2
    assert hook.posts[0].body == hook.posts[1].body
    pages, after = list[dict[str, Any]](), None
    for _ in range(2):
        listed = f"/v1/webhooks/{webhook['id']}/deliveries"
        params = {"limit": 1} | ({"after": after} if after else {})
        page = (await stack.call("operator", "GET", listed, params=params)).json()
        pages, after = [*pages, *page["items"]], page["next"]
    assert (pages, after) == (await deliveries(stack, webhook), None)
    assert (await stack.call("operator", "GET", listed, params={"after": "x"})).status_code == 422
    unknown = f"/v1/webhooks/{webhook['id']}/deliveries/{CASE.id}/redeliver"
    assert (await stack.call("operator", "POST", unknown)).status_code == 404


async def test_410_disables_an_endpoint_until_it_is_enabled_again(stack: Stack, hook: Receiver) -> None:
    webhook = await add(stack, hook.url)
    hook.answer = lambda _: 410
    await append(stack.server, "discharged")
    (letter,) = await buried(stack.server, 1)
    assert letter.consumer == "approval-webhook-send"
    assert letter.reason == "HTTP 410: the endpoint wants no more messages"
    found = await show(stack, webhook)
    assert (found["enabled"], found["disabled_because"]) == (False, "gone")
    await append(stack.server, "context-extracted")  # is not sent, also not later
    hook.answer = lambda _: 204
    path = f"/v1/webhooks/{webhook['id']}"
    enabled = (await stack.call("operator", "PATCH", path, json={"enabled": True})).json()
    assert (enabled["enabled"], enabled["disabled_because"]) == (True, None)
    redriven = await stack.call("operator", "POST", "/v1/dead-letters/1/redrive", json={"reason": "a mistake"})
    assert redriven.status_code == 200, redriven.text
    await posted(hook, 2)
    assert hook.ids == [hook.ids[0]] * 2
    await append(stack.server, "discharged", case=a_case(1))
    await posted(hook, 3)


async def test_what_fails_for_days_is_a_dead_letter_and_its_endpoint_disabled(
    stack: Stack, hook: Receiver, clock: Clock
) -> None:
    webhook = await add(stack, hook.url)
    hook.answer = lambda _: 500
    await append(stack.server, "discharged")
    await attempted(stack, webhook, "failed")
    clock.ahead = timedelta(days=3, minutes=1)
    (letter,) = await buried(stack.server, 1)
    assert letter.reason.startswith("not delivered within 3 days")
    assert "HTTP 500" in letter.reason
    assert (await show(stack, webhook))["disabled_because"] == "failing"
    async with as_user(stack.server, "operator") as bus:
        found = await bus.direct_get("ALERTS", {"last_by_subj": "alert.warning.webhook-disabled"})
        assert json.loads(found[0].data) == {"webhook": webhook["id"], "reason": "HTTP 500"}


async def test_redirects_are_not_followed(stack: Stack, hook: Receiver) -> None:
    with receiver() as target:
        hook.answer, hook.headers = lambda _: 307, {"Location": target.url}
        webhook = await add(stack, hook.url)
        await append(stack.server, "discharged")
        (failed, *_) = await attempted(stack, webhook, "failed")
        assert failed["reason"] == "HTTP 307: redirects are not followed"
        assert target.posts == []


@pytest.mark.parametrize(
    "url",
    [
        "http://integrator.example/hook",  # plain
        "https://10.1.2.3/hook",
        "https://169.254.169.254/latest/meta-data",
        "https://[::1]:8222/",
        "http://localhost:8222/",
        "https://nats/",
        "https://engine.internal/",
        "https://user:word@integrator.example/",
        "ftp://integrator.example/",
        "integrator.example",
    ],
)
async def test_an_internal_address_cannot_be_registered(nats: NatsServer, clock: Clock, url: str) -> None:
    await nats.provision()
    async with approval(nats, clock, WebhookSettings()) as stack:
        answer = await stack.call("operator", "POST", "/v1/webhooks", json={"url": url})
        assert (answer.status_code, answer.json()["title"]) == (422, "The URL cannot be that of a webhook")
        assert url not in answer.text


async def test_an_address_that_is_no_longer_allowed_is_not_reached(
    nats: NatsServer, clock: Clock, hook: Receiver
) -> None:
    await nats.provision()
    async with approval(nats, clock) as stack:
        webhook = await add(stack, hook.url)
    async with approval(nats, clock, WebhookSettings()) as stack:
        await append(nats, "discharged")
        (failed, *_) = await attempted(stack, webhook, "failed")
        assert failed["reason"].startswith("not sent: its host is in a private network")
        tested = await stack.call("operator", "POST", f"/v1/webhooks/{webhook['id']}/test")
        assert tested.json()["delivered"] is False
    assert hook.posts == []


def signed_by(secret: str, post: Any) -> bool:
    key = base64.b64decode(secret.removeprefix("whsec_"))
    text = f"{post.id}.{post.headers['webhook-timestamp']}.".encode() + post.body
    wanted = "v1," + base64.b64encode(hmac.digest(key, text, "sha256")).decode()
    return wanted in post.headers["webhook-signature"].split()


async def test_both_secrets_sign_for_a_day_after_a_rotation(stack: Stack, hook: Receiver, clock: Clock) -> None:
    webhook = await add(stack, hook.url)
    path = f"/v1/webhooks/{webhook['id']}"
    rotated = (await stack.call("operator", "POST", f"{path}/secret")).json()
    assert rotated["secret"] != webhook["secret"]
    assert [item["valid_until"] is None for item in rotated["secrets"]] == [True, False]
    for days, both in ((0, True), (2, False)):
        clock.ahead = timedelta(days=days)
        tested = (await stack.call("operator", "POST", f"{path}/test")).json()
        assert (tested["delivered"], tested["status"]) == (True, 204)
        post = hook.posts[-1]
        assert post.id == tested["webhook_id"]
        assert json.loads(post.body)["type"] == "countersign.webhook.test.v1"
        assert signed_by(rotated["secret"], post)
        assert signed_by(webhook["secret"], post) is both
    for answer in (await stack.call("operator", "GET", path), await stack.call("operator", "GET", "/v1/webhooks")):
        assert "whsec_" not in answer.text
        assert "wrapped" not in answer.text


async def test_a_removed_webhook_gets_nothing_more(stack: Stack, hook: Receiver) -> None:
    hook.answer = lambda _: 500
    webhook = await add(stack, hook.url)
    await append(stack.server, "discharged")
    await attempted(stack, webhook, "failed")
    path = f"/v1/webhooks/{webhook['id']}"
    assert (await stack.call("operator", "DELETE", path)).status_code == 204
    assert (await stack.call("operator", "GET", path)).status_code == 404
    other = await add(stack, hook.url)
    hook.answer = lambda _: 204

    async def idle() -> bool:
        async with as_user(stack.server, "approval") as bus:
            info = await bus.consumer_info("NOTIFY", "approval-webhook-send")
            return int(info["num_ack_pending"]) == 0

    await until(idle, "the delivery to be dropped")
    await append(stack.server, "context-extracted")
    await attempted(stack, other, "delivered")
    assert hook.ids.count(hook.ids[-1]) == 1


async def test_a_registration_that_is_repeated_with_its_key_is_one_webhook(stack: Stack, hook: Receiver) -> None:
    async def register(key: str, role: str = "operator", **more: Any) -> httpx.Response:
        sent = {"url": hook.url} | more
        return await stack.call(role, "POST", "/v1/webhooks", json=sent, headers={"Idempotency-Key": key})

    first = await register("mine")
    assert (await register("mine")).json() == first.json()
    at_once = await asyncio.gather(*(register("other") for _ in range(4)))
    done = [answer.json() for answer in at_once if answer.status_code == 201]
    assert len({(made["id"], made["secret"]) for made in done}) == 1
    running = [answer for answer in at_once if answer.status_code != 201]
    assert {(answer.status_code, answer.headers["Retry-After"]) for answer in running} <= {(409, "1")}
    assert (await register("mine", description="another")).status_code == 422
    listed = (await stack.call("operator", "GET", "/v1/webhooks")).json()["items"]
    assert len(listed) == 2
    await stack.call("operator", "DELETE", f"/v1/webhooks/{first.json()['id']}")
    assert (await register("mine")).json() == first.json()
    assert len((await stack.call("operator", "GET", "/v1/webhooks")).json()["items"]) == 1


async def test_only_operators_of_the_departments_see_and_make_them(stack: Stack, hook: Receiver) -> None:
    for role in ("physician", "supervisor", "auditor", "ingest"):
        assert (await stack.call(role, "GET", "/v1/webhooks")).status_code == 403
        assert (await stack.call(role, "POST", "/v1/webhooks", json={"url": hook.url})).status_code == 403
    everything = await add(stack, hook.url)
    tokens = ApiTokens(
        tokens=(ApiToken(subject="w", role="operator", sha256=token_digest("w"), departments=("surgery",)),)
    )
    provided = stack.app.state.provided
    provided[ApiDependencies] = replace(provided[ApiDependencies], authenticator=Authenticator(tokens))
    headers = {"Authorization": "Bearer w"}
    http = stack.http
    refused = await http.post("/v1/webhooks", json={"url": hook.url}, headers=headers)
    assert refused.status_code == 409, refused.text
    own = await http.post("/v1/webhooks", json={"url": hook.url, "departments": ["surgery"]}, headers=headers)
    assert own.status_code == 201, own.text
    listed = (await http.get("/v1/webhooks", headers=headers)).json()["items"]
    assert [item["id"] for item in listed] == [own.json()["id"]]
    assert (await http.get(f"/v1/webhooks/{everything['id']}", headers=headers)).status_code == 404
    path = f"/v1/webhooks/{own.json()['id']}"
    assert (await http.patch(path, json={"departments": []}, headers=headers)).status_code == 409
    assert (await http.patch(path, json={"types": ["nonsense"]}, headers=headers)).status_code == 422


async def test_secrets_are_stored_encrypted_with_a_master_key(
    nats: NatsServer, clock: Clock, hook: Receiver, tmp_path: Path
) -> None:
    await nats.provision()
    ehr, generator = sandbox(), ScriptedGenerator()
    file = tmp_path / "master.key"
    file.write_text(base64.b64encode(b"k" * 32).decode())
    services = build_services(nats, ehr, generator, webhooks=LOCAL, clock=clock, master_key_file=file)
    app = create_app(services[2:])
    async with app.router.lifespan_context(app):
        stack = Stack(nats, app, ehr, generator)
        webhook = await add(stack, hook.url)
        await append(nats, "discharged")
        await posted(hook, 1)
        assert signed_by(webhook["secret"], hook.posts[0])
        async with as_user(nats, "admin") as bus:
            stored = await bus.direct_get("KV_webhooks", {"last_by_subj": "$KV.webhooks.endpoint.>"})
        wrapped = base64.b64decode(json.loads(stored[0].data)["secrets"][0]["wrapped"])
        assert base64.b64decode(webhook["secret"].removeprefix("whsec_")) not in wrapped
        await stack.http.aclose()


async def test_the_command(stack: Stack, hook: Receiver, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    token = tmp_path / "token"
    token.write_text(stack.server.secrets.tokens["operator"])
    async with served(stack.app) as base:
        monkeypatch.setenv("COUNTERSIGN_URL", base)
        monkeypatch.setenv("COUNTERSIGN_TOKEN_FILE", str(token))

        async def output(*words: str, code: int = 0) -> Any:
            done = await run_beside(*words)
            assert done.code == code, done
            return json.loads(done.out) if "--json" in words else done.out

        added = await output("webhooks", "add", hook.url, "--type", "discharged", "--description", "archive", "--json")
        id = added["id"]
        assert id in await output("webhooks", "list")
        assert "whsec_" not in await output("webhooks", "show", id)
        assert (await output("webhooks", "test", id)).startswith("delivered: HTTP 204")
        hook.answer = lambda _: 500
        assert (await output("webhooks", "test", id, code=1)).startswith("failed: HTTP 500")
        hook.answer = lambda _: 204
        await append(stack.server, "discharged", "context-extracted")
        (done,) = await attempted(stack, added, "delivered")
        (listed,) = await output("webhooks", "deliveries", id, "--json")
        assert listed == done
        await output("webhooks", "redeliver", id, done["id"])
        await attempted(stack, added, "delivered", 2)
        rotated = await output("webhooks", "rotate", id)
        assert "whsec_" in rotated
        assert added["secret"] not in rotated
        assert "disabled (person)" in await output("webhooks", "disable", id)
        assert "enabled" in await output("webhooks", "enable", id)
        changed = await output("webhooks", "change", id, "--department", "surgery", "--json")
        assert (changed["departments"], changed["types"]) == (["surgery"], ["discharged"])
        printed = await output("events", "--after", "0", "--limit", "2")
        assert [line.split()[-1] for line in printed.splitlines()] == ["discharged", "context-extracted"]
        cloudevent = await output("events", "--after", "1", "--limit", "1", "--json")
        assert cloudevent["data"]["sequence"] == 2
        await output("webhooks", "remove", id)
        assert await output("webhooks", "list", "--json") == []
