"""Each service is a FastStream application that consumes what the topology says is its own."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
from faststream import FastStream
from pydantic import SecretStr

from services.approval import main as approval
from services.drafter import main as drafter
from services.embedder import main as embedder
from services.evaluator import main as evaluator
from services.ingest import main as ingest
from shared.clinical.fhir_client import FhirClient
from shared.messaging.pull_subscriber import StandingPullSubscriber
from shared.messaging.topology import SERVICES, all_consumers
from shared.runtime.service import Service
from tests.support.embedder import HashEmbedder
from tests.support.generator import ScriptedGenerator

GIVEN: dict[str, Any] = {"nats_seed": SecretStr("x"), "mode": "demo"}


def ehr() -> FhirClient:
    return FhirClient("http://ehr.test", httpx.AsyncClient())


BUILDS: dict[str, Callable[[Any], Service]] = {
    "ingest": lambda more: ingest.build(ingest.IngestSettings(**GIVEN, **more)),
    "drafter": lambda more: drafter.build(
        drafter.DrafterSettings(**GIVEN, **more), ehr=ehr(), generator=ScriptedGenerator()
    ),
    "approval": lambda more: approval.build(approval.ApprovalSettings(**GIVEN, **more), ehr=ehr()),
    "embedder": lambda more: embedder.build(
        embedder.EmbedderSettings(**GIVEN, **more), embedder=HashEmbedder(), base=_base()
    ),
    "evaluator": lambda more: evaluator.build(
        evaluator.EvaluatorSettings(**GIVEN, **more), embedder=HashEmbedder(), base=_base()
    ),
}


def _base() -> Any:
    class Base:
        async def ready(self) -> bool:
            return True

    return Base()


@pytest.mark.parametrize("name", SERVICES)
def test_a_service_consumes_all_that_is_its_own(name: str, tmp_path: Path) -> None:
    (tmp_path / "tokens.json").write_text('{"tokens": []}')
    service = BUILDS[name]({"tokens_file": tmp_path / "tokens.json"})
    own = {item.name: item for item in all_consumers() if item.service == name}
    app = service.app()
    assert isinstance(app, FastStream)
    assert app.brokers == [service.broker]
    assert set(service.broker.consumers) == set(own)
    for subscriber in service.broker.subscribers:
        assert isinstance(subscriber, StandingPullSubscriber)
        target = own[subscriber.durable]
        assert (subscriber.stream.name, subscriber.max_workers) == (target.stream, target.workers)
        assert tuple(subscriber.filter_subjects) == target.subjects
    assert not service.broker.bus.connected
