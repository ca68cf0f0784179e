"""How services log: plain lines on a terminal, JSON lines with trace ids for whoever collects them."""

import json
import logging
import os
import traceback
from datetime import UTC, datetime

from opentelemetry.trace import format_span_id, format_trace_id

from shared.telemetry import tracing

PLAIN = "%(asctime)s %(levelname)s %(name)s %(message)s"
CONTROL = {code: f"\\x{code:02x}" for code in (*range(32), *range(127, 160))} | {0x2028: "\\u2028", 0x2029: "\\u2029"}


class PlainLines(logging.Formatter):
    """A line each, whatever is in a message: nobody writes a second one by an id with a line break.

    An exception is told by its type and frames. Its words may quote what it was given, and so a patient.
    """

    def format(self, record: logging.LogRecord) -> str:
        record.message = record.getMessage().translate(CONTROL)
        record.asctime = self.formatTime(record, self.datefmt)
        return self.formatMessage(record) + _where(record)


def _where(record: logging.LogRecord) -> str:
    if not record.exc_info or record.exc_info[0] is None:
        return ""
    frames = traceback.extract_tb(record.exc_info[2])
    return (
        f" ({record.exc_info[0].__name__}"
        + "".join(f"\n    {frame.filename}:{frame.lineno} {frame.name}" for frame in frames)
        + ")"
    )


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
    handler.setFormatter(JsonLines(service) if as_json else PlainLines(PLAIN))
    logging.basicConfig(level=level, handlers=[handler])
    for noisy in ("httpx", "httpcore", "uvicorn", "nats", "urllib3"):
        logging.getLogger(noisy).setLevel(logging.WARNING)
