"""A receiver of OTLP over HTTP on loopback: keeps what services export, whole."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

from google.protobuf.json_format import MessageToDict
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from opentelemetry.proto.trace.v1.trace_pb2 import Span

KINDS = {"/v1/traces": ExportTraceServiceRequest, "/v1/metrics": ExportMetricsServiceRequest}


class Received:
    """What came in, by kind."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.requests: dict[str, list[Any]] = {path: [] for path in KINDS}

    @property
    def spans(self) -> list[Span]:
        return [
            span
            for request in self.requests["/v1/traces"]
            for resource in request.resource_spans
            for scope in resource.scope_spans
            for span in scope.spans
        ]

    def named(self, name: str) -> list[Span]:
        return [span for span in self.spans if span.name == name]

    @property
    def metrics(self) -> dict[str, list[Any]]:
        """Every data point that came, by metric."""
        found: dict[str, list[Any]] = {}
        for request in self.requests["/v1/metrics"]:
            for resource in request.resource_metrics:
                for scope in resource.scope_metrics:
                    for metric in scope.metrics:
                        data = getattr(metric, metric.WhichOneof("data"))
                        found.setdefault(metric.name, []).extend(data.data_points)
        return found

    @property
    def attributes(self) -> set[str]:
        """Every name of an attribute on a span or a data point."""
        points = [point for points in self.metrics.values() for point in points]
        return {item.key for thing in [*self.spans, *points] for item in thing.attributes}

    @property
    def text(self) -> str:
        """All of it, as words."""
        return json.dumps([MessageToDict(item) for items in self.requests.values() for item in items])


def attribute(item: Any, name: str) -> Any:
    """The value of one attribute of a span or data point; None where it has none."""
    found: dict[str, AnyValue] = {pair.key: pair.value for pair in list[KeyValue](item.attributes)}
    value = found.get(name)
    return getattr(value, value.WhichOneof("value")) if value is not None else None


@contextmanager
def receiver() -> Iterator[Received]:
    """Listening on a free port of loopback."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            received.requests[self.path].append(KINDS[self.path].FromString(body))
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    received = Received(f"http://127.0.0.1:{server.server_port}")
    thread = Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield received
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
