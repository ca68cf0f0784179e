"""One attempt at a message: its span and metrics, and the in-progress acknowledgements that extend its deadline."""

import asyncio
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from time import perf_counter

from faststream.nats import NatsMessage
from opentelemetry.trace import SpanKind

from shared.messaging.topology_model import Consumer
from shared.telemetry import instruments, tracing
from shared.telemetry.metric_definitions import ERROR


@contextmanager
def consumer_span(target: Consumer, subject: str, headers: Mapping[str, str] | None, attempt: int) -> Iterator[None]:
    """Record one attempt at a message as a span and a duration. Attempts are siblings in the case's trace."""
    parent = tracing.parent_header(headers)
    attributes = target.attributes | {"messaging.system": "nats", "messaging.operation.type": "process"}
    if attempt > 1:
        attributes["countersign.attempt"] = str(attempt)
    started, error = perf_counter(), ""
    try:
        with tracing.span(
            f"{target.name} {_kind(subject)}",
            SpanKind.CONSUMER,
            attributes,
            key=tracing.trace_key(subject),
            parent=parent,
        ):
            yield
    except BaseException as raised:
        error = type(raised).__name__
        raise
    finally:
        outcome = target.attributes | ({ERROR: error} if error else {})
        instruments.observe("messaging.process.duration", perf_counter() - started, outcome)


def _kind(subject: str) -> str:
    """Return the kind of a message without ids: the event of a case or refresh, else the subject's first tokens."""
    tokens = subject.split(".")
    if tokens[0] in ("discharge", "knowledge") and len(tokens) > 3:
        return tokens[3]
    return ".".join(tokens[:3] if tokens[0] in ("ehr", "timers") else tokens[:1])


class AckExtender:
    """Tells the server that a message is still being worked on, for as long as the block runs."""

    def __init__(self, message: NatsMessage, every: float) -> None:
        self._message = message
        self._every = every
        self._tasks: set[asyncio.Task[None]] = set()

    def __enter__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._timer = self._loop.call_later(self._every, self._beat)

    def _beat(self) -> None:
        task = self._loop.create_task(self._message.in_progress())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        self._timer = self._loop.call_later(self._every, self._beat)

    def __exit__(self, *_: object) -> None:
        self._timer.cancel()
