"""Create spans. All spans of a case form one trace, whichever process makes them and however many days later.

The trace id is derived from the case's id (or the refresh's), so timers, people and redeliveries find it without
carrying it.
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

CONTEXT_CACHE_SIZE = 1024  # an event's context is needed by several consumers
SAMPLED = TraceFlags(TraceFlags.SAMPLED)
_PROPAGATOR = TraceContextTextMapPropagator()
_NO_SPAN = trace.INVALID_SPAN
_DERIVED = create_key("derived-root")
_tracer: list[Tracer] = []  # one tracer, or none while nothing is exported

# The ids of the next root span, read by the process's id generator.
next_root: ContextVar[SpanContext | None] = ContextVar("wanted_root", default=None)


def install(tracer: Tracer | None) -> None:
    """Create spans with `tracer` from now on; with None, create none."""
    _tracer[:] = [] if tracer is None or isinstance(tracer, NoOpTracer) else [tracer]


def active() -> bool:
    """Return whether spans are created."""
    return bool(_tracer)


@lru_cache(CONTEXT_CACHE_SIZE)
def root_context(key: str) -> SpanContext:
    """Return the context of the root span of the case or refresh `key`, whether or not it was created."""
    hashed = hashlib.sha256(key.encode()).digest()  # evenly distributed, as samplers use the trace id's last bits
    return SpanContext(int.from_bytes(hashed[:16]), int.from_bytes(hashed[16:24]), is_remote=True, trace_flags=SAMPLED)


def has_derived_root(context: Context) -> bool:
    """Return whether a span in `context` has a derived root, which carries no sampling decision."""
    return get_value(_DERIVED, context) is not None


def trace_key(subject: str) -> str | None:
    """Return the id of the case or refresh that a subject names: its first token that is a UUID."""
    for token in subject.split("."):
        if len(token) == 36:
            try:
                return str(UUID(token))
            except ValueError:
                continue
    return None


def current() -> SpanContext | None:
    """Return the context of the current span; None outside of one."""
    context = trace.get_current_span().get_span_context()
    return context if context.is_valid else None


def traceparent() -> str | None:
    """Return the current span as a W3C header."""
    if not _tracer or current() is None:
        return None
    carrier: dict[str, str] = {}
    _PROPAGATOR.inject(carrier)
    return carrier.get("traceparent")


@lru_cache(CONTEXT_CACHE_SIZE)
def _parse_traceparent(header: str | None) -> SpanContext | None:
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
    """Create a span in the trace of the case or refresh `key`, or under the current span or the header `parent`.

    A current span or `parent` of another trace is linked: a person's request, an engine's message. An exception is
    recorded by its type only, as its message may quote anything.
    """
    if not _tracer:
        yield _NO_SPAN
        return
    here, sent = current(), _parse_traceparent(parent)
    context, links = _parent_and_links(here, sent, key)
    made = _tracer[0].start_span(name, context, kind, attributes, links)
    token = attach(trace.set_span_in_context(made))
    try:
        yield made
    except BaseException as error:
        mark_failed(made, error)
        raise
    finally:
        detach(token)
        made.end()


def start_root(name: str, key: str, attributes: Attributes | None = None) -> None:
    """Create the root span of the trace of `key`. To be called once."""
    if not _tracer:
        return
    here = current()
    links = [Link(here)] if here is not None and here.trace_id != root_context(key).trace_id else []
    token = next_root.set(root_context(key))
    try:
        _tracer[0].start_span(name, Context(), SpanKind.INTERNAL, attributes, links).end()
    finally:
        next_root.reset(token)


def _parent_and_links(
    here: SpanContext | None, sent: SpanContext | None, key: str | None
) -> tuple[Context | None, list[Link]]:
    """Return the parent context of a span (None: the current span) and its links."""
    if key is None:
        return (None, []) if here is not None or sent is None else (_context_under(sent), [])
    root = root_context(key)
    links = [Link(other) for other in (here, sent) if other is not None and other.trace_id != root.trace_id]
    own = next((other for other in (here, sent) if other is not None and other.trace_id == root.trace_id), None)
    return (_context_under(own) if own is not None else set_value(_DERIVED, True, _context_under(root))), links


def _context_under(parent: SpanContext) -> Context:
    return trace.set_span_in_context(NonRecordingSpan(parent), Context())


def mark_failed(made: Span, error: BaseException) -> None:
    """Mark a span as failed, with the error's type."""
    made.set_attribute("error.type", type(error).__name__)
    made.set_status(Status(StatusCode.ERROR))


def parent_header(headers: Mapping[str, str] | None) -> str | None:
    """Return the `traceparent` of a message or request."""
    return (headers or {}).get("traceparent")
