"""Configure logging: plain lines on a terminal, JSON lines with trace ids for log collectors."""

import json
import logging
import os
import traceback
from datetime import UTC, datetime

from opentelemetry.trace import format_span_id, format_trace_id

from shared.telemetry import tracing

PLAIN_FORMAT = "%(asctime)s %(levelname)s %(name)s %(message)s"
CONTROL_CHARACTER_ESCAPES = {code: f"\\x{code:02x}" for code in (*range(32), *range(127, 160))} | {
    0x2028: "\\u2028",
    0x2029: "\\u2029",
}


class PlainFormatter(logging.Formatter):
    """Format a record as one line, whatever the message holds: an id with a line break cannot forge a second line.

    An exception is logged by its type and frames, as its message may quote patient data.
    """

    def format(self, record: logging.LogRecord) -> str:
        record.message = record.getMessage().translate(CONTROL_CHARACTER_ESCAPES)
        record.asctime = self.formatTime(record, self.datefmt)
        return self.formatMessage(record) + _format_frames(record)


def _format_frames(record: logging.LogRecord) -> str:
    if not record.exc_info or record.exc_info[0] is None:
        return ""
    frames = traceback.extract_tb(record.exc_info[2])
    return (
        f" ({record.exc_info[0].__name__}"
        + "".join(f"\n    {frame.filename}:{frame.lineno} {frame.name}" for frame in frames)
        + ")"
    )


class JsonFormatter(logging.Formatter):
    """Format a record as one JSON object on a line.

    Messages name ids and steps, never patient data; exceptions are logged by type and frames.
    """

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
    """Log to stderr, as JSON where `COUNTERSIGN_LOG_FORMAT` is `json`."""
    handler = logging.StreamHandler()
    as_json = os.environ.get("COUNTERSIGN_LOG_FORMAT") == "json"
    handler.setFormatter(JsonFormatter(service) if as_json else PlainFormatter(PLAIN_FORMAT))
    logging.basicConfig(level=level, handlers=[handler])
    for noisy in ("httpx", "httpcore", "uvicorn", "nats", "urllib3"):
        logging.getLogger(noisy).setLevel(logging.WARNING)
