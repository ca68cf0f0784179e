"""Calls to other servers as a span and a duration: to the EHR by resource type, to the model server by model."""

from collections.abc import Iterator
from contextlib import contextmanager
from time import perf_counter

from opentelemetry.trace import SpanKind

from shared.telemetry import instruments, tracing
from shared.telemetry.catalogue import ERROR, MODEL, OPERATION

PROVIDER = "triton"


@contextmanager
def asked_http(method: str, template: str) -> Iterator[dict[str, str | int]]:
    """A request to a FHIR server. `template` is the resource type: ids and queries are left out.

    What the block puts into the yielded attributes, such as the status, goes onto the span and the duration.
    """
    attributes: dict[str, str | int] = {"http.request.method": method, "url.template": template}
    with _call(f"{method} {template}", "http.client.request.duration", attributes):
        yield attributes


@contextmanager
def asked_model(operation: str, model: str) -> Iterator[None]:
    """A request to a model; `operation` by https://opentelemetry.io/docs/specs/semconv/gen-ai/gen-ai-spans/"""
    with _call(f"{operation} {model}", "gen_ai.client.operation.duration", {OPERATION: operation, MODEL: model}):
        yield


@contextmanager
def _call(name: str, metric: str, attributes: dict[str, str | int]) -> Iterator[None]:
    started = perf_counter()
    with tracing.span(name, SpanKind.CLIENT) as span:
        try:
            yield
        except BaseException as error:
            attributes[ERROR] = type(error).__name__
            raise
        finally:
            span.set_attributes(attributes)
            if metric.startswith("gen_ai"):
                span.set_attribute("gen_ai.provider.name", PROVIDER)
            instruments.record(metric, perf_counter() - started, attributes)
