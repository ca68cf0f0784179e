"""Set up OpenTelemetry: export to an OTLP endpoint, or record nothing when none is set.

Configuration is OpenTelemetry's own environment: `OTEL_EXPORTER_OTLP_ENDPOINT` (or one for `_TRACES_` and `_METRICS_`),
`_HEADERS`, `OTEL_SERVICE_NAME`, `OTEL_RESOURCE_ATTRIBUTES`, `OTEL_METRIC_EXPORT_INTERVAL`, `OTEL_TRACES_SAMPLER`.
https://opentelemetry.io/docs/specs/otel/configuration/sdk-environment-variables/
"""

import asyncio
import logging
import os
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from time import monotonic
from typing import Any, Self

from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import MetricReader, PeriodicExportingMetricReader
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.sdk.trace.id_generator import RandomIdGenerator
from opentelemetry.sdk.trace.sampling import Sampler, SamplingResult

from shared.runtime.version import VERSION
from shared.telemetry import instruments, tracing
from shared.telemetry.metric_definitions import ALLOWED_ATTRIBUTES

ENDPOINT_VARIABLE = "OTEL_EXPORTER_OTLP_{}ENDPOINT"
# Seconds for the final export at shutdown, so that an unreachable endpoint does not block it.
SHUTDOWN_TIMEOUT_S = 5.0
LOG_INTERVAL_S = 300.0  # between log lines about an endpoint that does not answer


class CaseIdGenerator(RandomIdGenerator):
    """Generate random ids, except for the root span of a case or refresh, whose ids follow from its key."""

    def generate_trace_id(self) -> int:
        wanted = tracing.next_root.get()
        return wanted.trace_id if wanted is not None else super().generate_trace_id()

    def generate_span_id(self) -> int:
        wanted = tracing.next_root.get()
        return wanted.span_id if wanted is not None else super().generate_span_id()

    def is_trace_id_random(self) -> bool:
        return False


class HashedResource(Resource):
    """A Resource with a cached hash. The SDK hashes its Resource, through JSON, for every span that it encodes."""

    @classmethod
    def of(cls, resource: Resource) -> Self:
        return cls(dict(resource.attributes), resource.schema_url)

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self._hash = super().__hash__()

    def __hash__(self) -> int:
        return self._hash

    def __eq__(self, other: object) -> bool:
        return super().__eq__(other)


class CaseSampler(Sampler):
    """Sample whole cases: decide for spans under a derived root as for a root span.

    A parent-based sampler would record every case, as a derived root counts as sampled. The decision depends on the
    trace id only, so all processes agree.
    """

    def __init__(self, sampler: Sampler) -> None:
        self._sampler = sampler

    def should_sample(self, parent_context: Context | None, *args: Any, **kwargs: Any) -> SamplingResult:
        root = parent_context is not None and tracing.has_derived_root(parent_context)
        return self._sampler.should_sample(Context() if root else parent_context, *args, **kwargs)

    def get_description(self) -> str:
        return f"CaseSampler({self._sampler.get_description()})"


class AttributeAllowlistExporter(SpanExporter):
    """Export only attributes that are defined, and no events: an exception's message may quote anything."""

    def __init__(self, behind: SpanExporter) -> None:
        self._exporter = behind

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        return self._exporter.export([_with_allowed_attributes(span) for span in spans])

    def shutdown(self) -> None:
        self._exporter.shutdown()

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        return self._exporter.force_flush(timeout_millis)


def _with_allowed_attributes(span: ReadableSpan) -> ReadableSpan:
    attributes = span.attributes or {}
    if attributes.keys() <= ALLOWED_ATTRIBUTES and not span.events:
        return span
    return ReadableSpan(
        name=span.name,
        context=span.context,
        parent=span.parent,
        resource=span.resource,
        attributes={name: value for name, value in attributes.items() if name in ALLOWED_ATTRIBUTES},
        links=span.links,
        kind=span.kind,
        status=span.status,
        start_time=span.start_time,
        end_time=span.end_time,
        instrumentation_scope=span.instrumentation_scope,
    )


class RateLimitedFilter(logging.Filter):
    """Let a message of the exporters through once in a while, not with every failed batch."""

    def __init__(self) -> None:
        super().__init__()
        self._last_logged: float | None = None

    def filter(self, _: logging.LogRecord) -> bool:
        if self._last_logged is not None and monotonic() - self._last_logged < LOG_INTERVAL_S:
            return False
        self._last_logged = monotonic()
        return True


@dataclass(frozen=True, slots=True)
class Telemetry:
    """The providers that were set up; `close` exports what is left."""

    providers: tuple[Any, ...] = ()

    async def close(self) -> None:
        tracing.install(None)
        for provider in self.providers:
            with suppress(TimeoutError):
                await asyncio.wait_for(asyncio.to_thread(_shut_down, provider), SHUTDOWN_TIMEOUT_S)
        instruments.install(None)  # last, as the final export reads the values


def _shut_down(provider: Any) -> None:
    provider.force_flush()  # new series are exported as 0 here, and with their value by the shutdown
    provider.shutdown()


def start_telemetry(service: str) -> Telemetry:
    """Record and export as `service`, where the environment names an endpoint."""
    if os.environ.get("OTEL_SDK_DISABLED", "").lower() == "true":
        return Telemetry()
    spans = OTLPSpanExporter() if _endpoint("TRACES_") else None
    reader = PeriodicExportingMetricReader(OTLPMetricExporter()) if _endpoint("METRICS_") else None
    seldom = RateLimitedFilter()
    for name in ("opentelemetry.exporter.otlp.proto.http", "opentelemetry.sdk"):
        for part in ("", ".trace_exporter", ".metric_exporter", ".metrics._internal.export"):
            logging.getLogger(name + part).addFilter(seldom)
    return install(service, spans, reader)


def _endpoint(signal: str) -> str | None:
    return os.environ.get(ENDPOINT_VARIABLE.format(signal)) or os.environ.get(ENDPOINT_VARIABLE.format(""))


def install(service: str, spans: SpanExporter | None, reader: MetricReader | None) -> Telemetry:
    """Record with these exporters, whatever the environment says: for tests and embedding processes."""
    resource = HashedResource.of(
        Resource.create({"service.name": os.environ.get("OTEL_SERVICE_NAME", service), "service.version": VERSION})
    )
    providers: list[Any] = []
    if spans is not None:
        tracer = TracerProvider(resource=resource, id_generator=CaseIdGenerator(), shutdown_on_exit=False)
        tracer.sampler = CaseSampler(tracer.sampler)  # the one of the environment
        tracer.add_span_processor(BatchSpanProcessor(AttributeAllowlistExporter(spans)))
        tracing.install(tracer.get_tracer("countersign", VERSION))
        providers.append(tracer)
    if reader is not None:
        meter = MeterProvider([reader], resource=resource, shutdown_on_exit=False)
        instruments.install(meter.get_meter("countersign", VERSION))
        providers.append(meter)
    return Telemetry(tuple(providers))


def gauge_interval() -> float:
    """Return the interval in seconds at which gauges are collected: the metric export interval."""
    return float(os.environ.get("OTEL_METRIC_EXPORT_INTERVAL", "60000")) / 1000
