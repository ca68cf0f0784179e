"""A NATS server with the trail of `bench/pages.py`, and approval and the evaluator on it, each in a process."""

import asyncio
import json
import sys
import time
from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, NamedTuple

import httpx
import psutil
from nats.aio.msg import Msg
from nats.js.api import DeliverPolicy

from bench.pages_recorded import record
from bench.pages_trail import Message, Trail
from cli.stack.ports import free_port
from cli.stack.secrets import write_tokens
from shared.messaging.artifacts import Artifacts
from shared.messaging.connection import NatsConnection
from shared.messaging.drafter_registry import DrafterRegistry
from shared.messaging.event_store import RawMessage
from shared.messaging.provision import consumer_config
from shared.messaging.topology import all_consumers
from tests.support.drafters import CANDIDATE, add
from tests.support.processes import ServiceProcess
from tests.support.server import NatsServer

WINDOW = 4_000  # messages that are published and not acknowledged yet
CONCURRENCY = 64  # texts that are stored at the same time
SYNC_WHILE_PUBLISHING = "2m"
START_S = 900.0
IDLE_CPU_S = 0.03  # a second, of approval: nothing is read any more
SUMMARY = "trail.json"


class Published(NamedTuple):
    """What is on the trail: messages by stream, and examples of cases by what became of them."""

    cases: int
    counts: dict[str, int]
    examples: dict[str, list[str]]
    candidate: str  # digest of a drafter's configuration


async def publish(bus: NatsConnection, messages: Iterable[Message]) -> None:
    """Publish messages in order; return when all are acknowledged. Raises RuntimeError for one that is refused."""
    refused: list[bytes] = []
    sent = acknowledged = 0
    progress = asyncio.Event()
    reply = bus.client.new_inbox()

    async def on_ack(message: Msg) -> None:
        nonlocal acknowledged
        acknowledged += 1
        if b'"error"' in message.data:
            refused.append(message.data)
        progress.set()

    subscription = await bus.client.subscribe(reply, cb=on_ack)

    async def wait_until(most: int) -> None:
        while sent - acknowledged > most:
            progress.clear()
            await asyncio.wait_for(progress.wait(), 60)

    for message in messages:
        await bus.client.publish(message.subject, message.data, reply=reply, headers=message.headers or None)
        sent += 1
        await wait_until(WINDOW)
    await wait_until(0)
    await subscription.unsubscribe()
    if refused:
        raise RuntimeError(f"{len(refused)} messages were refused, the first one: {refused[0]!r}")


async def _store_texts(bus: NatsConnection, texts: dict[str, list[bytes]]) -> None:
    artifacts, limit = Artifacts(bus), asyncio.Semaphore(CONCURRENCY)

    async def store(case: str, of_case: list[bytes]) -> None:
        async with limit:
            for text in of_case:
                await artifacts.of(case).put(text)

    await asyncio.gather(*(store(case, of_case) for case, of_case in texts.items()))


async def fill(server: NatsServer, cases: int) -> Published:
    """Provision the server and publish the trail.

    The services' consumers begin behind it: what approval and the evaluator have done for these cases is not done
    again, and no work is left when pages are measured.
    """
    await server.provision()
    recorded, bus = await record(), await server.connect("admin")
    trail = Trail(recorded, cases, datetime.now(UTC))
    for item in all_consumers():
        await bus.jetstream.delete_consumer(item.stream, item.name)
    await publish(bus, map(_own, recorded.drafters))
    await publish(bus, trail.messages())
    await _store_texts(bus, trail.texts)
    candidate = await add(DrafterRegistry(bus, "evaluator", lambda: datetime.now(UTC)), CANDIDATE)
    for item in all_consumers():
        config = replace(consumer_config(item), deliver_policy=DeliverPolicy.NEW)
        await bus.jetstream.add_consumer(item.stream, config)
    await bus.close()
    found = Published(cases, dict(trail.counts), dict(trail.examples), candidate)
    (server.directory / SUMMARY).write_text(json.dumps(found._asdict()))
    return found


def _own(item: RawMessage) -> Message:
    """Return the message as it was published."""
    return Message(
        item.subject, {name: value for name, value in item.headers.items() if name.startswith("c")}, item.data
    )


def stored(server: NatsServer) -> Published | None:
    """Return what an earlier run has published here; None where there is nothing."""
    file = server.directory / SUMMARY
    return Published(**json.loads(file.read_text())) if file.exists() else None


class Services:
    """Approval, the evaluator and the sandbox EHR as processes. No other service runs."""

    def __init__(self, server: NatsServer) -> None:
        self._tokens = server.secrets.tokens
        self._server = server
        self._ports = {name: free_port() for name in ("sandbox", "approval")}
        tokens = server.directory / "tokens.json"
        write_tokens(tokens, self._tokens)
        (server.directory / "knowledge.yaml").write_text("sources: []\n")
        self._common = {
            "COUNTERSIGN_MODE": "demo",
            "COUNTERSIGN_NATS_URL": server.url,
            "COUNTERSIGN_NATS_MONITOR_URL": f"http://127.0.0.1:{server.ports.monitor}",
            "COUNTERSIGN_TOKENS_FILE": str(tokens),
            "COUNTERSIGN_PUBLIC_URL": self.url("approval"),
            "COUNTERSIGN_EHR_URL": f"{self.url('sandbox')}/fhir",
            "COUNTERSIGN_APPROVAL_URL": self.url("approval"),
            "COUNTERSIGN_QDRANT_DIRECTORY": str(server.directory / "qdrant"),
            "COUNTERSIGN_KNOWLEDGE_FILE": str(server.directory / "knowledge.yaml"),
            "COUNTERSIGN_RECONCILE_EVERY": "PT6H",
        }
        self._sandbox = self._process("sandbox", [sys.executable, "-m", "sandbox_ehr", "--port"], "/fhir/metadata", {})
        self._sandbox.command.append(str(self._ports["sandbox"]))
        self._services = [self._service("approval")]

    def url(self, service: str) -> str:
        return f"http://127.0.0.1:{self._ports[service]}"

    def cpu(self, service: str) -> float:
        """Return the CPU seconds that the service and nats-server have used."""
        of_service = next(item.process for item in self._services if item.name == service)
        processes = (of_service, self._server._process)
        return sum(sum(psutil.Process(item.pid).cpu_times()[:2]) for item in processes if item is not None)

    def headers(self, role: str) -> dict[str, str]:
        return {"Authorization": f"Bearer {self._tokens[role]}"}

    def _service(self, name: str) -> ServiceProcess:
        own = {
            "COUNTERSIGN_PORT": str(self._ports[name]),
            "COUNTERSIGN_NATS_SEED": self._server.secrets.seeds[name],
        }
        return self._process(name, [sys.executable, "-m", f"services.{name}.main"], "/healthz", self._common | own)

    def _process(self, name: str, command: list[str], health: str, environment: dict[str, str]) -> ServiceProcess:
        log = self._server.directory / f"{name}.log"
        return ServiceProcess(name, command, f"{self.url(name)}{health}", log, environment, patience=START_S)

    async def start(self) -> dict[str, Any]:
        """Start everything; return what the start of approval cost, until all cases are read and nothing is done."""
        self._sandbox.start()
        self._sandbox.wait()
        (approval,) = self._services
        begun = time.perf_counter()
        process = await _answering(approval)
        answers = time.perf_counter() - begun
        await self._complete()
        seconds = time.perf_counter() - begun
        await _idle(process)
        cpu, memory = process.cpu_times(), process.memory_full_info()
        self._ports["evaluator"] = free_port()  # now: while approval starts, others may take a free one
        self._services.append(evaluator := self._service("evaluator"))
        await _answering(evaluator)
        return {
            "answers_after_s": round(answers, 1),
            "complete_after_s": round(seconds, 1),
            "cpu_s": round(cpu.user + cpu.system, 1),
            "memory_mb": round(memory.uss / 2**20),
        }

    async def _complete(self) -> None:
        """Wait until the list of all cases is complete."""
        deadline = time.monotonic() + START_S
        async with httpx.AsyncClient(base_url=self.url("approval"), headers=self.headers("operator")) as http:
            while not (await http.get("/v1/cases?limit=1", timeout=30)).raise_for_status().json()["complete"]:
                if time.monotonic() > deadline:
                    raise TimeoutError("the list of all cases is not complete")
                await asyncio.sleep(0.5)

    def stop(self) -> None:
        for item in (*self._services, self._sandbox):
            item.kill()


async def _answering(service: ServiceProcess) -> psutil.Process:
    """Start a service and wait until it answers. Raises RuntimeError where it ends."""
    service.start()
    started = service.process
    while not await asyncio.to_thread(service.healthy):
        if started is None or started.poll() is not None:
            raise RuntimeError(f"{service.name} does not start: {service.log.read_text()[-1000:]}")
        await asyncio.sleep(0.05)
    return psutil.Process(started.pid if started is not None else None)


async def _idle(process: psutil.Process) -> None:
    """Wait until a process does nothing."""
    deadline = time.monotonic() + START_S
    while time.monotonic() < deadline:
        before = sum(process.cpu_times()[:2])
        await asyncio.sleep(1)
        if sum(process.cpu_times()[:2]) - before < IDLE_CPU_S:
            return
    raise TimeoutError("approval does not come to rest")
