"""Record each HTTP request as a span and a duration, by its route pattern: paths carry ids, patterns do not.

OpenTelemetry's ASGI instrumentation is not used, as it puts paths, queries and addresses on its spans.
"""

from time import perf_counter
from typing import Any

from opentelemetry.trace import SpanKind
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from shared.telemetry import instruments, tracing

EXCLUDED_PATHS = ("/healthz", "/readyz")
EVENT_STREAM_TYPE = b"text/event-stream"


class TelemetryMiddleware:
    """Record requests as spans and durations. Event streams that stay open get no duration."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if (
            scope["type"] != "http"
            or scope["path"] in EXCLUDED_PATHS
            or not (tracing.active() or instruments.metrics_enabled())
        ):
            await self._app(scope, receive, send)
            return
        answer: dict[str, Any] = {"status": 500, "stream": False}

        async def watched(message: Message) -> None:
            if message["type"] == "http.response.start":
                answer["status"] = message["status"]
                answer["stream"] = any(value.startswith(EVENT_STREAM_TYPE) for name, value in message["headers"])
            await send(message)

        started = perf_counter()
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
        with tracing.span(scope["method"], SpanKind.SERVER, parent=tracing.parent_header(headers)) as span:
            try:
                await self._app(scope, receive, watched)
            finally:
                route = getattr(scope.get("route"), "path", "") or "unknown"
                attributes = {
                    "http.request.method": scope["method"],
                    "http.route": route,
                    "http.response.status_code": answer["status"],
                }
                span.update_name(f"{scope['method']} {route}")
                span.set_attributes(attributes)
                if not answer["stream"]:
                    instruments.observe("http.server.request.duration", perf_counter() - started, attributes)
