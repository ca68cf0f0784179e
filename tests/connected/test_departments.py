"""One department's flood of discharges does not make another wait behind it."""

import asyncio
import json
from collections.abc import Callable, Iterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from cli.audit import verify_stored
from sandbox_ehr.app import Sandbox
from sandbox_ehr.seed import load_bundle
from sandbox_ehr.store import Store
from shared.contracts.subjects import encounter_subject
from shared.inference.generation import Generation, Sampling
from shared.messaging.event_store import EventStore
from shared.runtime.service import Service
from shared.runtime.service import running as serving
from tests.support.ehr import client
from tests.support.generator import ScriptedGenerator
from tests.support.patients import write_stays
from tests.support.server import NatsServer
from tests.support.stack import build_services, until

pytestmark = [pytest.mark.connected, pytest.mark.system, pytest.mark.timeout(120)]

DRAFTERS = 2
FLOOD = 140
OTHERS = 6  # discharges of another department, reported when the flood is in


class BusyModel(ScriptedGenerator):
    """Takes a while for each draft, as a model does; the queue behind it is what the test is about."""

    async def generate(
        self, prompt: str, sampling: Sampling, *, deadline: float, on_text: Callable[[str], None] | None = None
    ) -> Generation:
        await asyncio.sleep(0.5)
        return await super().generate(prompt, sampling, deadline=deadline, on_text=on_text)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[NatsServer]:
    (tmp_path / "bus").mkdir()
    made = NatsServer(tmp_path / "bus")
    made.start()
    yield made
    made.kill()


async def test_a_department_with_little_to_do_goes_ahead_of_a_flood(server: NatsServer, tmp_path: Path) -> None:
    await server.provision()
    store = Store()
    (tmp_path / "stays").mkdir()
    encounters = write_stays(tmp_path / "stays", FLOOD + OTHERS)
    for file in (tmp_path / "stays").glob("stay-*.json"):
        load_bundle(store, json.loads(file.read_text()))
    ehr, model = Sandbox(store), BusyModel()
    auditor = await server.connect("auditor")
    journal = EventStore(auditor, "auditor")

    async def stand(event: str) -> bool:
        return len(await journal.stored(f"discharge.*.*.{event}")) == FLOOD + OTHERS

    async with serving(of("ingest", server, ehr, model)) as bus:
        for number, encounter in enumerate(encounters):
            subject = encounter_subject("discharged", "surgery" if number < FLOOD else "icu", encounter)
            await bus.publish(subject, json.dumps({"encounter_id": encounter}).encode(), stream="EHR")
        await until(lambda: stand("discharged"), "every case to be open")
    async with AsyncExitStack() as stack:
        for _ in range(DRAFTERS):
            await stack.enter_async_context(serving(of("drafter", server, ehr, model)))
        await until(lambda: stand("drafted"), "every case to be drafted", patience=60)
    drafted = [item.subject.split(".")[1] for item in await journal.stored("discharge.*.*.drafted")]
    report = await verify_stored(await journal.stored("discharge.>"), client(ehr))
    await auditor.close()
    last = max(place for place, department in enumerate(drafted, 1) if department == "icu")
    assert last <= 0.7 * FLOOD, f"the last draft for the ICU was the {last}th of all, behind the flood"
    assert len(drafted) == FLOOD + OTHERS, "every case is drafted once"
    assert len(model.prompts) <= (FLOOD + OTHERS) * 1.05, "what went ahead is not written again"
    assert report.verified, report.faults[:3]


def of(service: str, server: NatsServer, ehr: Sandbox, model: BusyModel) -> Service:
    return next(item for item in build_services(server, ehr, model) if item.name == service)
