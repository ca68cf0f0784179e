"""Drafts by a declared endpoint, by the real services and a real NATS: model as served, budget, death, redelivery."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader

from cli.doctor.spend import check_spend
from sandbox_ehr.app import Sandbox
from services.drafter.budget import BUCKET, Budget, BudgetExceededError, Spent
from services.drafter.models import Models
from services.drafter.settings import DrafterSettings
from shared.contracts.errors import TransientError
from shared.contracts.retry import RetryPolicy
from shared.contracts.subjects import case_id as case_id_of
from shared.inference.generation import Usage
from shared.messaging import pull_subscriber
from shared.messaging.buckets import Bucket
from shared.messaging.connection import NatsConnection
from shared.messaging.topology import Consumer
from shared.runtime.checks.findings import Group
from shared.runtime.generation_endpoints import EndpointSettings, Limits
from shared.runtime.settings import TritonSettings
from shared.telemetry import instruments
from tests.connected.test_ehr_task_crash import Death
from tests.connected.test_preparation import page
from tests.support.ehr import sandbox, stays
from tests.support.model_api import INPUT_TOKENS, KEY, MODELS, OUTPUT_TOKENS, ModelServer, Reply, model_server, refusal
from tests.support.server import NatsServer
from tests.support.stack import Stack, running, until

pytestmark = [pytest.mark.connected, pytest.mark.timeout(300)]

NOW = datetime(2026, 11, 29, 23, 59, tzinfo=UTC)
CASE = case_id_of("test", stays("plain")[0])
USED = INPUT_TOKENS + OUTPUT_TOKENS


@pytest.fixture
def server() -> Iterator[ModelServer]:
    with model_server("anthropic") as found:
        yield found


@pytest.fixture
async def bus(nats: NatsServer) -> AsyncIterator[NatsConnection]:
    await nats.provision()
    found = await nats.connect("drafter")
    yield found
    await found.close()


async def counts(bus: NatsConnection) -> dict[str, Spent]:
    return {
        item.key: Spent.read(item.value) for kind in ("case", "day") async for item in Bucket(bus, BUCKET).scan(kind)
    }


def budget(bus: NatsConnection, now: datetime = NOW, **limits: int) -> Budget:
    return Budget(bus, "cloud", Limits(**limits), lambda: now)


async def test_what_is_reserved_is_replaced_by_what_was_used(bus: NatsConnection) -> None:
    found = budget(bus, requests_per_case=5, tokens_per_day=1000)
    reserved = await found.reserve("c1", 400)
    case, day = "case.cloud.c1", "day.cloud.2026-11-29"
    assert await counts(bus) == {case: Spent(requests=1, tokens=400), day: Spent(requests=1, tokens=400)}
    await found.settle(reserved, Usage(30, 20))
    assert await counts(bus) == {case: Spent(requests=1, tokens=50), day: Spent(requests=1, tokens=50)}
    await found.settle(await found.reserve("c1", 400), None)  # a server that does not count: what was reserved stays
    assert (await counts(bus))[day] == Spent(requests=2, tokens=450)
    await found.release(await found.reserve("c2", 400))
    assert (await counts(bus))[day] == Spent(requests=2, tokens=450)
    assert (await counts(bus))["case.cloud.c2"] == Spent()


async def test_a_limit_holds_and_another_day_and_case_have_their_own(bus: NatsConnection) -> None:
    limits = {"requests_per_case": 1, "requests_per_day": 2}
    found = budget(bus, **limits)
    await found.reserve("c1", 1)
    with pytest.raises(BudgetExceededError, match="requests for this case"):
        await found.reserve("c1", 1)
    await found.reserve("c2", 1)
    with pytest.raises(BudgetExceededError, match="requests for today"):
        await found.reserve("c3", 1)
    # What the day refused is not counted for the case: the next day it has its request.
    tomorrow = budget(bus, NOW + timedelta(days=1), **limits)
    await tomorrow.reserve("c3", 1)
    assert {key: item.requests for key, item in (await counts(bus)).items()} == {
        "case.cloud.c1": 1,
        "case.cloud.c2": 1,
        "case.cloud.c3": 1,
        "day.cloud.2026-11-29": 2,
        "day.cloud.2026-11-30": 1,
    }
    await budget(bus).reserve("c9", 10**9)  # without limits nothing is counted
    assert "case.cloud.c9" not in await counts(bus)


async def test_drafters_that_ask_at_once_never_exceed_the_limit(bus: NatsConnection, nats: NatsServer) -> None:
    other = await nats.connect("drafter")
    drafters = [budget(item, tokens_per_day=1000) for item in (bus, other)]

    async def reserve(number: int) -> bool:
        try:
            await drafters[number % 2].reserve(f"c{number}", 100)
        except BudgetExceededError:
            return False
        return True

    assert sum(await asyncio.gather(*map(reserve, range(24)))) == 10
    assert (await counts(bus))["day.cloud.2026-11-29"] == Spent(requests=10, tokens=1000)
    await other.close()


async def test_a_correction_whose_answer_is_lost_leaves_the_count_too_high_and_never_too_low(
    bus: NatsConnection, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = budget(bus, tokens_per_day=1000)
    reserved = await found.reserve("c1", 400)
    real = NatsConnection.publish

    async def lost(*args: Any, **sent: Any) -> Any:
        await real(*args, **sent)
        raise TransientError("no answer")

    monkeypatch.setattr(NatsConnection, "publish", lost)
    await found.settle(reserved, Usage(30, 20))
    with pytest.raises(TransientError):
        await found.reserve("c1", 400)
    monkeypatch.setattr(NatsConnection, "publish", real)
    assert (await counts(bus))["day.cloud.2026-11-29"] == Spent(requests=2, tokens=450)


def endpoint(tmp_path: Path, server: ModelServer, *, pseudonymise: bool = False, **limits: int) -> dict[str, Any]:
    """Settings of a drafter whose model is an endpoint of the server."""
    key = tmp_path / "key"
    key.write_text(KEY)
    file = tmp_path / "endpoints.yaml"
    file.write_text(
        f"endpoints:\n  - {{name: cloud, kind: {server.kind}, url: '{server.url}', model: {MODELS[server.kind]}, "
        f"key_file: {key}, longest_wait: 60, pseudonymise: {str(pseudonymise).lower()}, limits: {limits}}}\n"
    )
    return {"generation": EndpointSettings(endpoints=file), "triton": TritonSettings(drafter_model="cloud")}


async def report(stack: Stack) -> None:
    """Report the discharge until it is accepted, as an EHR does."""
    sent = {"encounter_id": stays("plain")[0], "department": "internal-medicine"}

    async def accepted() -> bool:
        return (await stack.call("ingest", "POST", "/v1/encounters/discharged", json=sent)).status_code == 202

    await until(accepted, "the discharge to be accepted")


async def drafted(stack: Stack) -> dict[str, Any]:
    """Return the draft of the case that is under review."""

    async def found() -> dict[str, Any] | None:
        answer = await stack.call("physician", "GET", f"/v1/reviews/{CASE}")
        return answer.json()["draft"] if answer.status_code == 200 else None

    await report(stack)
    draft: dict[str, Any] = await until(found, "the draft", patience=90)
    return draft


async def test_a_draft_carries_the_model_that_was_served_and_is_counted(
    bus: NatsConnection, nats: NatsServer, server: ModelServer, tmp_path: Path
) -> None:
    async with running(nats, sandbox(), **endpoint(tmp_path, server, tokens_per_case=100_000)) as stack:
        draft = await drafted(stack)
    assert draft["model"] == MODELS["anthropic"]
    assert draft["model_silent"] is None
    assert len(server.bodies) == 1
    assert stack.generator.prompts == []
    assert await counts(bus) == {f"case.cloud.{CASE}": Spent(requests=1, tokens=USED)}


async def test_what_was_spent_today_is_a_metric_and_a_finding(
    bus: NatsConnection, nats: NatsServer, tmp_path: Path, server: ModelServer
) -> None:
    settings = endpoint(tmp_path, server, requests_per_day=10, tokens_per_day=100_000)
    for number in range(8):
        await budget(bus, requests_per_day=10, tokens_per_day=100_000).reserve(f"c{number}", 1000)
    given = {"nats_seed": "x", "mode": "demo", **settings}
    models = Models(DrafterSettings(**given), bus, lambda: NOW)
    reader = InMemoryMetricReader()
    instruments.install(MeterProvider([reader]).get_meter("test"))
    try:
        await models.collect_gauges()
        found = {
            (metric.name, point.attributes["countersign.limit"]): point.value
            for metric in reader.get_metrics_data().resource_metrics[0].scope_metrics[0].metrics
            for point in metric.data.data_points
            if point.attributes["gen_ai.request.model"] == "cloud"
        }
        spent, limit = "countersign.endpoint.spent", "countersign.endpoint.limit"
        assert found == {
            (spent, "requests"): 8,
            (spent, "tokens"): 8000,
            (limit, "requests"): 10,
            (limit, "tokens"): 100_000,
        }
    finally:
        instruments.install(None)
        await models.close()
    admin = await nats.connect("admin")
    for now, level, words in (
        (NOW, "warning", "today (UTC): 8 of 10 requests, 8,000 of 100,000 tokens"),
        (NOW + timedelta(minutes=2), "ok", "today (UTC): 0 of 10 requests, 0 of 100,000 tokens"),
    ):
        group = Group("work")
        await check_spend(admin, group, SimpleNamespace(generation=settings["generation"]), now)  # type: ignore[arg-type]
        (finding,) = group.found
        assert (finding.what, finding.level, finding.says) == ("budget of cloud", level, words)
    await admin.close()


async def test_an_endpoint_that_pseudonymises_gets_no_identifier_of_the_record(
    bus: NatsConnection, nats: NatsServer, server: ModelServer, tmp_path: Path
) -> None:
    """By the real services: the record is read with its identifiers, the prompt leaves without, the draft has them."""
    ehr = sandbox()
    encounter = ehr.store.get("Encounter", stays("plain")[0])
    assert encounter is not None
    patient = ehr.store.get("Patient", encounter["subject"]["reference"].split("/")[1])
    assert patient is not None
    name = patient["name"][0]
    words = [*name["given"], name["family"]]
    said = f"Fall at home, told by {' '.join(words)} and Dr. Sorabji on 2026-03-01, call 312-555-0143"
    ehr.store.put(encounter | {"reasonCode": [{"text": said}]})
    async with running(nats, ehr, **endpoint(tmp_path, server, pseudonymise=True)) as stack:
        draft = await drafted(stack)
        assert draft["model_silent"] is None
        (received,) = server.received
        for item in (*words, "Sorabji", "2026-03-01", "555-0143"):
            assert item.casefold() not in received.decode().casefold()
        assert "Fall at home, told by " in received.decode()
        assert (await stack.text(CASE)).count(words[-1]) >= 1


async def test_what_exceeds_the_budget_is_composed_without_the_model_and_says_so(
    bus: NatsConnection, nats: NatsServer, server: ModelServer, tmp_path: Path
) -> None:
    async with running(nats, sandbox(), **endpoint(tmp_path, server, tokens_per_day=10)) as stack:
        draft = await drafted(stack)
        shown = (await page(stack, CASE)).text_content()
    reason = "the model's budget of tokens for today (UTC) is used up"
    assert draft["model_silent"] == reason
    assert draft["model"] == ""
    assert draft["composed"] > 0
    assert server.bodies == []
    assert await counts(bus) == {}
    assert f"The narrative is composed from the record alone: {reason}." in shown


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Messages come back soon, whatever a server asks for."""
    monkeypatch.setattr(RetryPolicy, "wait", lambda row, attempt: 0.05)
    monkeypatch.setattr(Consumer, "ack_wait", 3.0)
    monkeypatch.setattr(pull_subscriber, "STOP_TIMEOUT_S", 0.05)


@pytest.mark.usefixtures("quick")
async def test_a_busy_server_is_asked_again_when_it_said_and_nothing_is_charged_for_it(
    bus: NatsConnection, nats: NatsServer, server: ModelServer, tmp_path: Path
) -> None:
    server.replies = [refusal("anthropic", 529, retry_after="0"), refusal("anthropic", 503)]
    async with running(nats, sandbox(), **endpoint(tmp_path, server, requests_per_case=1)) as stack:
        draft = await drafted(stack)
    assert draft["model_silent"] is None
    assert len(server.bodies) == 3
    assert await counts(bus) == {f"case.cloud.{CASE}": Spent(requests=1, tokens=USED)}


async def test_a_wait_that_is_too_long_is_not_waited_for(
    bus: NatsConnection, nats: NatsServer, server: ModelServer, tmp_path: Path
) -> None:
    server.replies = [refusal("anthropic", 429, retry_after="61")]
    async with running(nats, sandbox(), **endpoint(tmp_path, server)) as stack:
        assert (await drafted(stack))["model_silent"] == "the model is busy"
        assert len(server.bodies) == 1


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize(
    "write",
    # The first text of a case is the record, the second one the draft.
    [("$KV.artifacts.{case}.", 2, False), ("{case}.drafted", 1, False), ("{case}.drafted", 1, True)],
)
async def test_a_death_after_the_answer_drafts_once_and_counts_each_request(
    bus: NatsConnection,
    nats: NatsServer,
    server: ModelServer,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    write: tuple[str, int, bool],
) -> None:
    ehr, settings = sandbox(), endpoint(tmp_path, server, requests_per_case=9)
    subject, nth, after = write
    death = Death(monkeypatch, subject.format(case=CASE), after=after, nth=nth)
    await dies(nats, ehr, settings, death.came, death)
    async with running(nats, ehr, **settings) as stack:
        draft = await drafted(stack)
        events = await stack.events(CASE)
    assert draft["model_silent"] is None
    assert draft["model"] == MODELS["anthropic"]
    assert events.count("drafted") == 1
    assert len(server.bodies) >= (1 if after else 2)

    async def each_is_counted() -> bool:
        requests = len(server.bodies)
        return await counts(bus) == {f"case.cloud.{CASE}": Spent(requests=requests, tokens=requests * USED)}

    await until(each_is_counted, "each request to be counted as what it used")


@pytest.mark.usefixtures("quick")
async def test_a_death_amid_the_answer_stays_charged_and_does_not_stop_the_draft(
    bus: NatsConnection, nats: NatsServer, server: ModelServer, tmp_path: Path
) -> None:
    """With a budget of one request, which the dead process has used, the draft is composed without the model."""
    server.replies = [Reply(chunks=server.success().chunks[:3], hangs=True)]
    ehr, settings = sandbox(), endpoint(tmp_path, server, requests_per_case=1)
    asked = asyncio.Event()

    async def watch() -> None:
        while not server.bodies:  # noqa: ASYNC110 - the server runs in a thread
            await asyncio.sleep(0.01)
        asked.set()

    await asyncio.gather(watch(), dies(nats, ehr, settings, asked))
    (spent,) = (await counts(bus)).values()
    assert spent.requests == 1
    assert spent.tokens > USED, "the most that it may have cost"
    async with running(nats, ehr, **settings) as stack:
        draft = await drafted(stack)
    assert draft["model_silent"] == "the model's budget of requests for this case is used up"
    assert len(server.bodies) == 1


async def dies(
    nats: NatsServer, ehr: Sandbox, settings: dict[str, Any], came: asyncio.Event, death: Death | None = None
) -> None:
    """Run the services for one discharge until `came` is set, and stop them there."""

    async def live() -> None:
        async with running(nats, ehr, **settings) as stack:
            await report(stack)
            await asyncio.Event().wait()

    if death is not None:
        death.armed = True
    living, dead = asyncio.create_task(live()), asyncio.create_task(came.wait())
    await asyncio.wait((living, dead), timeout=100, return_when=asyncio.FIRST_COMPLETED)
    for task in (living, dead):
        task.cancel()
    how, _ = await asyncio.gather(living, dead, return_exceptions=True)
    if death is not None:
        death.armed = False
    assert came.is_set(), how
