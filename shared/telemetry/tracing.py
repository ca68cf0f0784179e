"""Spans. All spans of a case are one trace, whoever makes them and however many days later: its id is derived from the
case's id, so nothing has to be carried for a timer, a person or a redelivery to find it. A refresh likewise.

https://www.w3.org/TR/trace-context/
"""

import hashlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from functools import lru_cache
from uuid import UUID

from opentelemetry import trace
from opentelemetry.context import Context, attach, create_key, detach, get_value, set_value
from opentelemetry.trace import (
    Link,
    NonRecordingSpan,
    NoOpTracer,
    Span,
    SpanContext,
    SpanKind,
    Status,
    StatusCode,
    TraceFlags,
    Tracer,
)
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from shared.telemetry.instruments import Attributes

REMEMBERED = 1024  # contexts: one of an event is asked for by several of its consumers
SAMPLED = TraceFlags(TraceFlags.SAMPLED)
_PROPAGATOR = TraceContextTextMapPropagator()
_NOTHING = trace.INVALID_SPAN
_DERIVED = create_key("derived-root")
_tracer: list[Tracer] = []  # one, or none while nothing is exported

# The ids that the next root span is to have; the process's id generator asks for them.
wanted_root: ContextVar[SpanContext | None] = ContextVar("wanted_root", default=None)


def install(tracer: Tracer | None) -> None:
    """Make spans with `tracer` from now on; None: make none."""
    _tracer[:] = [] if tracer is None or isinstance(tracer, NoOpTracer) else [tracer]


def active() -> bool:
    """Whether spans are made."""
    return bool(_tracer)


@lru_cache(REMEMBERED)
def root_of(key: str) -> SpanContext:
    """The context of the first span of the case or refresh with id `key`, whether or not that was ever made."""
    hashed = hashlib.sha256(key.encode()).digest()  # spread evenly: samplers decide by the trace id's last bits
    return SpanContext(int.from_bytes(hashed[:16]), int.from_bytes(hashed[16:24]), is_remote=True, trace_flags=SAMPLED)


def undecided(context: Context) -> bool:
    """Whether a span in `context` stands under a root that was derived: no sampler's word on the trace came with it."""
    return get_value(_DERIVED, context) is not None


def key_of(subject: str) -> str | None:
    """The id of the case or refresh that a subject is about: its first token that is a UUID."""
    for token in subject.split("."):
        if len(token) == 36:
            try:
                return str(UUID(token))
            except ValueError:
                continue
    return None


def current() -> SpanContext | None:
    """The context of the span we are in."""
    context = trace.get_current_span().get_span_context()
    return context if context.is_valid else None


def traceparent() -> str | None:
    """The current span as a W3C header."""
    if not _tracer or current() is None:
        return None
    carrier: dict[str, str] = {}
    _PROPAGATOR.inject(carrier)
    return carrier.get("traceparent")


@lru_cache(REMEMBERED)
def _read(header: str | None) -> SpanContext | None:
    if not header:
        return None
    found = trace.get_current_span(_PROPAGATOR.extract({"traceparent": header}, Context())).get_span_context()
    return found if found.is_valid else None


@contextmanager
def span(
    name: str,
    kind: SpanKind = SpanKind.INTERNAL,
    attributes: Attributes | None = None,
    *,
    key: str | None = None,
    parent: str | None = None,
) -> Iterator[Span]:
    """A span in the trace of the case or refresh `key`; without one, under the current span or the header `parent`.

    Where the current span or `parent` belongs to another trace it is linked: a person's request, an engine's message.
    What fails in the block is told by its type alone: its words may quote anything.
    """
    if not _tracer:
        yield _NOTHING
        return
    here, sent = current(), _read(parent)
    context, links = _place(here, sent, key)
    made = _tracer[0].start_span(name, context, kind, attributes, links)
    token = attach(trace.set_span_in_context(made))
    try:
        yield made
    except BaseException as error:
        failed(made, error)
        raise
    finally:
        detach(token)
        made.end()


def begin(name: str, key: str, attributes: Attributes | None = None) -> None:
    """The root of the trace of `key`: a moment under which everything else stands. To be made once."""
    if not _tracer:
        return
    here = current()
    links = [Link(here)] if here is not None and here.trace_id != root_of(key).trace_id else []
    token = wanted_root.set(root_of(key))
    try:
        _tracer[0].start_span(name, Context(), SpanKind.INTERNAL, attributes, links).end()
    finally:
        wanted_root.reset(token)


def _place(here: SpanContext | None, sent: SpanContext | None, key: str | None) -> tuple[Context | None, list[Link]]:
    """Under what a span begins (None: the current span), and what it is linked to."""
    if key is None:
        return (None, []) if here is not None or sent is None else (_under(sent), [])
    root = root_of(key)
    links = [Link(other) for other in (here, sent) if other is not None and other.trace_id != root.trace_id]
    own = next((other for other in (here, sent) if other is not None and other.trace_id == root.trace_id), None)
    return (_under(own) if own is not None else set_value(_DERIVED, True, _under(root))), links


def _under(parent: SpanContext) -> Context:
    return trace.set_span_in_context(NonRecordingSpan(parent), Context())


def failed(made: Span, error: BaseException) -> None:
    """Mark a span as failed, by the error's type."""
    made.set_attribute("error.type", type(error).__name__)
    made.set_status(Status(StatusCode.ERROR))


def parent_in(headers: Mapping[str, str] | None) -> str | None:
    """The `traceparent` of a message or request."""
    return (headers or {}).get("traceparent")
