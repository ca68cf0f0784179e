"""How services log: plain lines on a terminal, JSON lines with trace ids for whoever collects them."""

import json
import logging
import os
import traceback
from datetime import UTC, datetime
from types import TracebackType

from opentelemetry.trace import format_span_id, format_trace_id

from shared.telemetry import tracing

_ExcInfo = tuple[type[BaseException], BaseException, TracebackType | None] | tuple[None, None, None]
PLAIN = "%(asctime)s %(levelname)s %(name)s %(message)s"


class PlainLines(logging.Formatter):
    """A line for people. Of an exception its type and where it was raised: its words may quote what it failed on."""

    def __init__(self) -> None:
        super().__init__(PLAIN)

    def formatException(self, ei: _ExcInfo) -> str:
        kind, _, frames = ei
        told = "".join(traceback.format_tb(frames))
        return f"Traceback (most recent call last):\n{told}{kind.__qualname__ if kind else ''}"


class JsonLines(logging.Formatter):
    """One object a line. What is logged names ids and steps, never patient data; an exception, its type and frames."""

    def __init__(self, service: str) -> None:
        super().__init__()
        self._service = service

    def format(self, record: logging.LogRecord) -> str:
        line = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "service": self._service,
            "logger": record.name,
            "message": record.getMessage(),
        }
        if (context := tracing.current()) is not None:
            line |= {"trace_id": format_trace_id(context.trace_id), "span_id": format_span_id(context.span_id)}
        if record.exc_info and record.exc_info[0] is not None:
            line["error.type"] = record.exc_info[0].__name__
        return json.dumps(line)


def configure_logging(level: int = logging.INFO, service: str = "countersign") -> None:
    """Log to stderr; as JSON where `COUNTERSIGN_LOG_FORMAT` is `json`."""
    handler = logging.StreamHandler()
    as_json = os.environ.get("COUNTERSIGN_LOG_FORMAT") == "json"
    handler.setFormatter(JsonLines(service) if as_json else PlainLines())
    logging.basicConfig(level=level, handlers=[handler])
    for noisy in ("httpx", "httpcore", "uvicorn", "nats", "urllib3"):
        logging.getLogger(noisy).setLevel(logging.WARNING)
