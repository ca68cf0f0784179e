"""Record calls to other servers as a span and a duration: the EHR by resource type, the model server by model."""

from collections.abc import Iterator
from contextlib import contextmanager
from time import perf_counter

from opentelemetry.trace import SpanKind

from shared.telemetry import instruments, tracing
from shared.telemetry.metric_definitions import ERROR, MODEL, OPERATION

TRITON = "triton"


@contextmanager
def http_client_span(method: str, template: str) -> Iterator[dict[str, str | int]]:
    """Record a request to a FHIR server. `template` is the resource type: ids and queries are left out.

    Attributes that the block adds to the yielded dict, such as the status, go onto the span and the duration.
    """
    attributes: dict[str, str | int] = {"http.request.method": method, "url.template": template}
    with _call(f"{method} {template}", "http.client.request.duration", attributes):
        yield attributes


@contextmanager
def model_span(operation: str, model: str, provider: str = TRITON) -> Iterator[None]:
    """Record a request to a model.

    `operation` and `provider` are of https://opentelemetry.io/docs/specs/semconv/gen-ai/gen-ai-spans/
    """
    attributes: dict[str, str | int] = {OPERATION: operation, MODEL: model}
    with _call(f"{operation} {model}", "gen_ai.client.operation.duration", attributes, provider):
        yield


@contextmanager
def _call(name: str, metric: str, attributes: dict[str, str | int], provider: str | None = None) -> Iterator[None]:
    started = perf_counter()
    with tracing.span(name, SpanKind.CLIENT) as span:
        try:
            yield
        except BaseException as error:
            attributes[ERROR] = type(error).__name__
            raise
        finally:
            span.set_attributes(attributes)
            if provider is not None:
                span.set_attribute("gen_ai.provider.name", provider)
            instruments.observe(metric, perf_counter() - started, attributes)
