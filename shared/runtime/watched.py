"""Each HTTP request as a span and a duration, by its route's pattern: paths carry ids, patterns do not.

Own code rather than OTel's ASGI instrumentation, which puts paths, queries and addresses on its spans.
"""

from time import perf_counter
from typing import Any

from opentelemetry.trace import SpanKind
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from shared.telemetry import instruments, tracing

UNWATCHED = ("/healthz", "/readyz")
STREAM = b"text/event-stream"


class Watched:
    """ASGI middleware. A stream of events that a browser holds open has no duration worth a histogram."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"] in UNWATCHED or not (tracing.active() or instruments.measuring()):
            await self._app(scope, receive, send)
            return
        answer: dict[str, Any] = {"status": 500, "stream": False}

        async def watched(message: Message) -> None:
            if message["type"] == "http.response.start":
                answer["status"] = message["status"]
                answer["stream"] = any(value.startswith(STREAM) for name, value in message["headers"])
            await send(message)

        started = perf_counter()
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
        with tracing.span(scope["method"], SpanKind.SERVER, parent=tracing.parent_in(headers)) as span:
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
                    instruments.record("http.server.request.duration", perf_counter() - started, attributes)
