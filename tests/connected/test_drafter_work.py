"""Two drafter processes, of which one only drafts and the other only evaluates, as deploy/k8s runs them."""

import asyncio
import signal
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack
from pathlib import Path

import httpx
import pytest
import yaml

from cli.stack.ports import free_port
from sandbox_ehr.app import Sandbox
from sandbox_ehr.app import create_app as ehr_app
from services.evaluator.evaluations import Evaluations
from services.evaluator.signed_stays import SignedStays
from shared.contracts.evaluations import EvaluationItem, EvaluationRequested, ItemReady
from shared.contracts.subjects import evaluation_subject
from shared.messaging.connection import NatsConnection
from shared.messaging.drafter_registry import DrafterRegistry
from shared.messaging.evaluations import STREAM, EvaluationLog
from shared.messaging.event_store import raw_message_of
from shared.messaging.stream_pages import read_stream_pages
from shared.runtime.service import create_app
from tests.support.drafters import DOCUMENT, PROMPT, WHO, add
from tests.support.ehr import sandbox, stays
from tests.support.examples import T0
from tests.support.generator import ScriptedGenerator
from tests.support.model_api import KEY, MODELS, ModelServer, Reply, model_server
from tests.support.processes import ServiceProcess
from tests.support.server import NatsServer
from tests.support.serving import served
from tests.support.stack import Stack, build_services, until

pytestmark = [pytest.mark.connected, pytest.mark.system, pytest.mark.timeout(400)]

SIGNED = 3  # stays
PATIENCE_S = 120.0  # a message of the dead comes back after 12 s
NOWHERE = "http://127.0.0.1:9/fhir"


class Drafters:
    """A process for drafts and one for evaluations, each with a model server of its own, and what they work on."""

    def __init__(self, stack: Stack, directory: Path, ehr_url: str, models: dict[str, ModelServer]) -> None:
        self.stack, self.models = stack, models
        self.processes = {
            "drafts": self._process("drafts", directory, ehr_url),
            "evaluations": self._process("evaluations", directory, NOWHERE),
        }
        self.bus: NatsConnection
        self.admin: NatsConnection

    def _process(self, work: str, directory: Path, ehr_url: str) -> ServiceProcess:
        server, port = self.stack.server, free_port()
        endpoints = directory / f"endpoints-{work}.yaml"
        declared = {"name": "drafter", "kind": "openai", "url": self.models[work].url, "model": MODELS["openai"]}
        endpoints.write_text(yaml.safe_dump({"endpoints": [declared | {"key_variable": "MODEL_KEY"}]}))
        health, log = f"http://127.0.0.1:{port}/healthz", directory / f"drafter-{work}.log"
        part = ServiceProcess(work, [sys.executable, "-m", "services.drafter.main"], health, log, patience=PATIENCE_S)
        part.environment = {
            "COUNTERSIGN_MODE": "demo",
            "COUNTERSIGN_NATS_URL": server.url,
            "COUNTERSIGN_NATS_SEED": server.secrets.seeds["drafter"],
            "COUNTERSIGN_PORT": str(port),
            "COUNTERSIGN_EHR_URL": ehr_url,
            "COUNTERSIGN_GENERATION_ENDPOINTS": str(endpoints),
            "COUNTERSIGN_DRAFTER_WORK": work,
            "MODEL_KEY": KEY,
        }
        return part

    async def start(self, *names: str) -> None:
        for name in names:
            self.processes[name].start()
            await asyncio.to_thread(self.processes[name].wait)

    def asked(self, work: str) -> int:
        """How many prompts the model of a process was sent."""
        return len(self.models[work].bodies)

    async def sign(self, encounters: list[str]) -> None:
        for encounter in encounters:
            case_id = await self.stack.discharge(encounter)
            await self.stack.reaches(case_id, "awaiting-review")
            assert (await self.stack.decide(case_id, "approve")).status_code == 200

    @property
    def log(self) -> EvaluationLog:
        return EvaluationLog(self.bus, "evaluator", lambda: T0)

    async def evaluate(self) -> str:
        """Put every signed stay into the queue; returns the evaluation."""
        registry = DrafterRegistry(self.bus, "evaluator", lambda: T0)
        live = (await registry.state(DOCUMENT)).live
        assert live is not None
        configuration = await registry.configuration(live.configuration)
        candidate = await add(registry, configuration.model_copy(update={"prompt": PROMPT}))
        items: list[EvaluationItem] = await SignedStays(self.bus).last(DOCUMENT, SIGNED)
        assert len(items) == SIGNED
        pair = {"candidate": candidate, "live": live.configuration}
        requested = EvaluationRequested(document=DOCUMENT, items=tuple(items), by=WHO, reason="x", **pair)
        id = await Evaluations(self.log).begin(requested)
        for number, item in enumerate(items, 1):
            await self.log.append(id, ItemReady(number=number, item=item, **pair))
        return id

    async def results(self, id: str) -> list[int]:
        """The stays of an evaluation that have a result, as many times as they have one."""
        filter = evaluation_subject(id, "item-judged", "*")
        subjects = [
            raw_message_of(item).subject async for page in read_stream_pages(self.bus, STREAM, filter) for item in page
        ]
        return sorted(int(subject.rpartition(".")[2]) for subject in subjects)

    async def all_evaluated(self, id: str) -> None:
        async def done() -> bool:
            return len(await self.results(id)) >= SIGNED

        await until(done, "the stays to be evaluated", PATIENCE_S)
        assert await self.results(id) == [1, 2, 3]
        assert [item.left_out for item in await self.log.judged(id)] == [""] * SIGNED

    async def waiting(self) -> tuple[int, int]:
        """Messages of evaluations that nobody has taken, and that somebody has."""
        info = await self.admin.consumer_info(STREAM, "drafter-evaluate")
        return info["num_pending"], info["num_ack_pending"]


@pytest.fixture
def ehr() -> Sandbox:
    return sandbox()


@pytest.fixture
def models() -> Iterator[dict[str, ModelServer]]:
    with model_server("openai") as drafts, model_server("openai") as evaluations:
        yield {"drafts": drafts, "evaluations": evaluations}


@pytest.fixture
async def drafters(
    nats: NatsServer, ehr: Sandbox, models: dict[str, ModelServer], tmp_path: Path
) -> AsyncIterator[Drafters]:
    """Ingest and approval in this process, the process that drafts, and three signed stays."""
    await nats.provision()
    ingest, _, approval = build_services(nats, ehr, ScriptedGenerator())
    app = create_app([ingest, approval])
    async with AsyncExitStack() as cleanup:
        await cleanup.enter_async_context(app.router.lifespan_context(app))
        url = await cleanup.enter_async_context(served(ehr_app(ehr)))
        stack = Stack(nats, app, ehr, ScriptedGenerator())
        cleanup.push_async_callback(stack.http.aclose)
        found = Drafters(stack, tmp_path, f"{url}/fhir", models)
        found.bus, found.admin = await nats.connect("evaluator"), await nats.connect("admin")
        cleanup.push_async_callback(found.bus.close)
        cleanup.push_async_callback(found.admin.close)
        for part in found.processes.values():
            cleanup.callback(part.kill)
        await found.start("drafts")
        await found.sign(stays()[:SIGNED])
        yield found


async def test_each_process_does_its_own_work_and_no_other(drafters: Drafters) -> None:
    drafted = drafters.asked("drafts")
    assert drafted >= SIGNED
    id = await drafters.evaluate()
    # Evaluations wait while a stay is drafted: the process that drafts does not take them.
    case_id = await drafters.stack.discharge(stays()[SIGNED])
    await drafters.stack.reaches(case_id, "awaiting-review")
    drafted = drafters.asked("drafts")
    assert await drafters.waiting() == (SIGNED, 0)

    await drafters.start("evaluations")
    await drafters.all_evaluated(id)
    assert (drafters.asked("drafts"), drafters.asked("evaluations")) == (drafted, 2 * SIGNED)
    ready = drafters.processes["evaluations"].health.replace("healthz", "readyz")
    async with httpx.AsyncClient() as http:
        answer = await http.get(ready)
    assert answer.status_code == 200, answer.text  # without an EHR

    # Without the process that drafts, a discharge waits.
    drafters.processes["drafts"].kill()
    case_id = await drafters.stack.discharge(stays()[SIGNED + 1])

    async def waits() -> bool:
        return bool((await drafters.admin.consumer_info("DISCHARGE", "drafter-extract"))["num_pending"])

    await until(waits, "the discharge to be in the queue")
    again = ItemReady.model_validate_json((await _first_message(drafters, id)).decode())
    second = drafters.asked("evaluations")
    await drafters.log.append(id, again.model_copy(update={"number": SIGNED + 1}))

    async def evaluated() -> bool:
        return SIGNED + 1 in await drafters.results(id)

    await until(evaluated, "the further stay to be evaluated", PATIENCE_S)
    assert drafters.asked("evaluations") == second + 2
    assert await waits()


async def _first_message(drafters: Drafters, id: str) -> bytes:
    (found,) = await drafters.bus.direct_get(STREAM, {"last_by_subj": evaluation_subject(id, "item-ready", 1)})
    return bytes(found.data)


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
async def test_a_process_that_is_taken_away_leaves_its_stays_to_the_next_one(
    drafters: Drafters, number: signal.Signals
) -> None:
    model, process = drafters.models["evaluations"], drafters.processes["evaluations"]
    # It dies in the middle of two stays; one of them has a draft of the candidate already.
    model.replies = [model.success(), Reply(hangs=True), Reply(hangs=True)]
    await drafters.start("evaluations")
    id = await drafters.evaluate()
    await until(lambda: asyncio.sleep(0, len(model.bodies) == 3), "the model to be asked", PATIENCE_S)
    assert process.process is not None
    process.process.send_signal(number)
    await asyncio.to_thread(process.process.wait, 20)
    assert await drafters.results(id) == []

    await drafters.start("evaluations")
    await drafters.all_evaluated(id)
    assert drafters.asked("evaluations") == 3 + 2 * SIGNED

    async def nothing_left() -> bool:
        return await drafters.waiting() == (0, 0)

    await until(nothing_left, "every message to be acknowledged")
    # Further ones are dropped by the stream: a result stands once.
    assert await drafters.results(id) == [1, 2, 3]
