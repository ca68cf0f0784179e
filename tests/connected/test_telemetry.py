"""What the services say of themselves: one trace a case, every metric by its name, and nothing of a patient."""

import asyncio
import json
import logging
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from cli.stack.ports import free_port
from sandbox_ehr.app import Sandbox
from sandbox_ehr.seed import load_bundle
from sandbox_ehr.store import Store
from services.approval.projections.case_states import CaseStateProjection
from services.ingest.settings import FhirIntakeSettings
from shared.contracts.errors import TransientError
from shared.runtime.logs import JsonFormatter
from shared.runtime.settings import Hl7Settings
from shared.runtime.telemetry import Telemetry, start_telemetry
from shared.telemetry import instruments, tracing
from shared.telemetry.metric_definitions import ALLOWED_ATTRIBUTES, METRICS
from tests.support.ehr import sandbox
from tests.support.hl7 import framed
from tests.support.otlp import Received, attribute, receiver
from tests.support.patients import MARKS, write_stays
from tests.support.server import NatsServer
from tests.support.stack import Stack, running, until

pytestmark = pytest.mark.connected

# What no case of these tests comes by: models, the knowledge base, timers that fire, people who are told, TLS, SMART.
ELSEWHERE = (
    "gen_ai.",
    "countersign.nats.certificate.",
    "countersign.ehr.token.",  # tests/observability/test_dashboards.py
    "countersign.knowledge.",
    "countersign.drafter.",  # tests/connected/test_drift.py
    "countersign.endpoint.",  # tests/connected/test_endpoints.py
    "countersign.filing.oldest",  # tests/unit/test_unfiled.py
    "countersign.escalations",
    "countersign.notifications",
)


@pytest.fixture
async def telemetry(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[tuple[Received, Telemetry]]:
    """A receiver, and this process exporting to it as a service does."""
    with receiver() as received:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", received.url)
        monkeypatch.setenv("OTEL_METRIC_EXPORT_INTERVAL", "200")
        monkeypatch.setenv("OTEL_BSP_SCHEDULE_DELAY", "100")
        started = start_telemetry("countersign")
        yield received, started
        await started.close()


async def file_one(stack: Stack, encounter: str | None = None, added: str = "") -> str:
    case_id = await stack.discharge(encounter)
    await stack.reaches(case_id, "awaiting-review")
    await stack.decide(case_id, "approve", **({"text": f"{await stack.text(case_id)}{added}\n"} if added else {}))
    await stack.reaches(case_id, "filed")
    return case_id


def in_trace(received: Received, case_id: str) -> list[Span]:
    wanted = tracing.root_context(case_id).trace_id.to_bytes(16)
    return [span for span in received.spans if span.trace_id == wanted]


async def test_a_case_is_one_trace_from_the_discharge_to_the_document(
    nats: NatsServer, telemetry: tuple[Received, Telemetry]
) -> None:
    received, _ = telemetry
    await nats.provision()
    id = "{trace_id}"
    async with running(nats, sandbox(), trace_url=f"https://traces.test/trace/{id}") as stack:
        stack.generator.failures = [TransientError("not ready")]
        case_id = await file_one(stack)

        async def complete() -> bool:
            return {"filed", "case", "approval-file approved"} <= {span.name for span in in_trace(received, case_id)}

        await until(complete, "the last span of the case")
        id = f"{tracing.root_context(case_id).trace_id:032x}"
        page = (await stack.call("operator", "GET", f"/cases/{case_id}")).text
        assert page.count(f'<a href="https://traces.test/trace/{id}"><code>{id}</code></a>') == 1
        async with running(nats, stack.ehr) as restarted:  # another day: what knew of the trace is gone
            await restarted.reaches(case_id, "filed")
            page = (await restarted.call("operator", "GET", f"/cases/{case_id}")).text
            assert f"Trace <code>{id}</code>" in page
    spans = in_trace(received, case_id)
    names = [span.name for span in spans]
    assert {"discharged", "context-extracted", "drafted", "review-requested", "approved", "GET Encounter"} <= set(names)
    (root,) = [span for span in spans if not span.parent_span_id]
    assert root.name == "case"
    known = {span.span_id for span in spans}
    assert {span.parent_span_id for span in spans if span is not root} <= known
    first, second = [span for span in spans if span.name == "drafter-draft context-extracted"]
    assert attribute(first, "error.type") == "TransientError"
    assert attribute(second, "countersign.attempt") == "2"
    assert first.parent_span_id == second.parent_span_id


async def test_what_a_person_did_is_linked_to_her_request(
    nats: NatsServer, telemetry: tuple[Received, Telemetry]
) -> None:
    received, _ = telemetry
    await nats.provision()
    async with running(nats, sandbox()) as stack:
        case_id = await file_one(stack)

        async def told() -> list[Span]:
            return received.named("POST /v1/reviews/{case_id}/approve")

        (request,) = await until(told, "the span of the request")
    (approved,) = [span for span in in_trace(received, case_id) if span.name == "approved"]
    assert [link.span_id for link in approved.links] == [request.span_id]
    assert request.trace_id != approved.trace_id


async def test_every_metric_by_its_name_and_nothing_of_a_patient(
    nats: NatsServer, telemetry: tuple[Received, Telemetry], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    received, started = telemetry
    stays = tmp_path / "stays"
    stays.mkdir()
    encounters = write_stays(stays, 2)
    store = Store()
    for file in stays.glob("stay-*.json"):
        load_bundle(store, json.loads(file.read_text()))
    await nats.provision()
    wanted = {metric.name for metric in METRICS if not metric.name.startswith(ELSEWHERE)}
    caplog.set_level(logging.WARNING, logger="httpx")  # the browser of this test says where it goes
    with caplog.at_level(logging.DEBUG):
        senders = tmp_path / "senders.yaml"
        senders.write_text("senders: [{name: engine, zone: UTC, peers: [127.0.0.1]}]")
        hl7 = Hl7Settings(port=free_port(), senders=senders)
        subscriptions = tmp_path / "subscriptions.yaml"
        subscriptions.write_text("subscriptions: [{name: ingest, heartbeat: 600}]")
        fhir = FhirIntakeSettings(subscriptions=subscriptions)
        async with running(nats, Sandbox(store), hl7=hl7, fhir=fhir) as stack:
            await stack.call("ingest", "POST", "/v1/fhir/notifications")  # names nothing: the EHR is polled
            reader, writer = await asyncio.open_connection("127.0.0.1", hl7.port)
            named = {"PV1_19": MARKS[0], "PID_5": MARKS[0], "PID_7": MARKS[3], "PID_3": f"{MARKS[0]}^^^HOSP^MR"}
            writer.write(framed(**named) + framed(**named | {"PV1_19": ""}) + framed(**named)[:90])
            assert b"MSA|AA" in await asyncio.wait_for(reader.readuntil(b"\x1c"), 30)
            assert b"MSA|AE" in await asyncio.wait_for(reader.readuntil(b"\x1c"), 30)
            writer.close()
            filed = await file_one(stack, encounters[0], added=f"{MARKS[0]} was born {MARKS[3]}.")
            words = {"rating": "useless", "words": f"{MARKS[0]} was left out."}
            await stack.call("physician", "POST", f"/v1/reviews/{filed}/rating", json=words)
            await stack.reaches(await stack.discharge(encounters[1]), "awaiting-review")
            await stack.call("ingest", "GET", f"/{MARKS[0]}", params={"name": MARKS[0]})

            async def all_there() -> bool:
                return wanted <= received.metrics.keys()

            await until(all_there, f"{wanted - received.metrics.keys()}")
        await started.close()
    assert received.attributes <= ALLOWED_ATTRIBUTES
    for mark in MARKS:
        assert mark not in received.text
        assert mark not in caplog.text
    states = [attribute(point, "countersign.case.state") for point in received.metrics["countersign.cases"]]
    assert "awaiting-review" in states


async def test_an_endpoint_that_is_away_holds_nothing_up(
    nats: NatsServer, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_TIMEOUT", "1")  # seconds that an export is tried, by default ten
    monkeypatch.setenv("OTEL_METRIC_EXPORT_INTERVAL", "50")
    monkeypatch.setenv("OTEL_BSP_SCHEDULE_DELAY", "50")
    started = start_telemetry("countersign")
    await nats.provision()
    async with running(nats, sandbox()) as stack:
        await file_one(stack)
    await started.close()
    said = [item for item in caplog.records if item.name.startswith("opentelemetry") and item.levelno > logging.INFO]
    assert len(said) <= 2


async def test_without_an_endpoint_nothing_is_recorded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OTEL_EXPORTER_OTLP_ENDPOINT", raising=False)
    started = start_telemetry("countersign")
    assert started.providers == ()
    assert not instruments.metrics_enabled()
    assert not tracing.active()
    await started.close()


async def test_a_line_in_the_log_names_the_trace(telemetry: tuple[Received, Telemetry]) -> None:
    record = logging.LogRecord("a", logging.INFO, "", 0, "step %s", ("file",), None)
    with tracing.span("filed", key="case-1"):
        inside = json.loads(JsonFormatter("approval").format(record))
    outside = json.loads(JsonFormatter("approval").format(record))
    assert inside["trace_id"] == f"{tracing.root_context('case-1').trace_id:032x}"
    assert (inside["message"], inside["service"]) == ("step file", "approval")
    assert "trace_id" not in outside


async def test_a_gauge_that_cannot_be_read_silences_no_other(
    nats: NatsServer, telemetry: tuple[Received, Telemetry], monkeypatch: pytest.MonkeyPatch
) -> None:
    received, _ = telemetry

    async def broken(_: CaseStateProjection) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(CaseStateProjection, "collect_gauges", broken)
    await nats.provision()
    async with running(nats, sandbox()):

        async def later_ones() -> bool:
            values = [point.as_int for point in received.metrics.get("countersign.nats.sync_always", [])]
            return len(values) >= 3

        await until(later_ones, "the gauge after the broken one, again and again")
