"""Limit what one HTTP connection may take before a request, and while its response is not read.

uvicorn limits connections and idle time. It limits neither the time nor the size of headers, nor a response that the
client does not read.
"""

import asyncio
import json
import resource
from typing import Any

from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from shared.runtime.problems import MEDIA_TYPE

HEADER_TIMEOUT_S = 10.0  # seconds from the first byte, or from the connection, to the last header
MAX_HEADER_BYTES = 64 * 2**10  # a browser's cookies and a long token are some 10 KB
# Seconds in which the rest of a refused request is read and discarded: closed at once, the response would be lost.
LINGER_S = 5.0
WRITE_STALL_TIMEOUT_S = 30.0  # seconds in which the client must read at least part of a full buffer
MAX_CONNECTIONS = 4096  # further connections get 503
# Above this number a new connection replaces the oldest without a request. Otherwise 4096 slow connections would
# lock everybody out; a proxy that keeps idle connections open just opens them again.
EVICTION_THRESHOLD = MAX_CONNECTIONS * 3 // 4
# Requests of one connection that wait: 256 KB of small ones took 30 MB of memory.
MAX_PIPELINED_REQUESTS = 16


_without_request: dict["LimitedHttpProtocol", None] = {}  # connections without a request, the oldest first


class LimitedHttpProtocol(HttpToolsProtocol):
    """uvicorn's HTTP protocol with limits for headers, pipelining and unread responses."""

    def __init__(self, *given: Any, **named: Any) -> None:
        super().__init__(*given, **named)
        self._header_bytes = 0  # bytes of headers so far
        self._in_headers = True
        self._refused = False
        self._header_timer: asyncio.TimerHandle | None = None
        self._write_timer: asyncio.TimerHandle | None = None
        self._linger_timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        if len(self.connections) > EVICTION_THRESHOLD:
            self._evict_oldest()
        self._start_header_timer()
        _without_request[self] = None

    def connection_lost(self, exc: Exception | None) -> None:
        _without_request.pop(self, None)
        self._cancel_header_timer()
        self._cancel_linger_timer()
        self.resume_writing()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self._refused or self.transport.is_closing():
            return
        if not self._in_headers:
            super().data_received(data)
            return
        if self._header_timer is None:
            self._start_header_timer()
        self._header_bytes += len(data)
        super().data_received(data)
        if self._in_headers and self._header_bytes > MAX_HEADER_BYTES:
            self._refuse(431, "The headers are too large")

    def on_header(self, name: bytes, value: bytes) -> None:
        if self._in_headers:  # trailers of a chunked body are ignored
            super().on_header(name, value)

    def on_headers_complete(self) -> None:
        self._in_headers, self._header_bytes = False, 0
        self._cancel_header_timer()
        _without_request.pop(self, None)
        if len(self.pipeline) >= MAX_PIPELINED_REQUESTS:
            self.transport.close()
        if not self.transport.is_closing():
            super().on_headers_complete()

    def on_message_complete(self) -> None:
        self._in_headers = True
        self._cancel_linger_timer()
        if self.cycle.response_complete and self._header_timer is None:
            # uvicorn has no idle timeout for connections whose body continues after the response.
            self._start_header_timer()
        super().on_message_complete()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        if self.cycle.response_complete and not self.transport.is_closing():
            _without_request[self] = None
        if not self._in_headers and self.cycle.response_complete and not self.transport.is_closing():
            self._linger_timer = self.loop.call_later(LINGER_S, self.transport.close)

    def pause_writing(self) -> None:
        super().pause_writing()
        if self._write_timer is None:
            self._write_timer = self.loop.call_later(WRITE_STALL_TIMEOUT_S, self.transport.abort)

    def resume_writing(self) -> None:
        super().resume_writing()
        if self._write_timer is not None:
            self._write_timer.cancel()
            self._write_timer = None

    def _evict_oldest(self) -> None:
        """Close the connection that has waited longest without sending a request."""
        oldest = next(iter(_without_request), None)
        if oldest is not None:
            del _without_request[oldest]
            oldest.transport.abort()

    def _start_header_timer(self) -> None:
        self._header_timer = self.loop.call_later(HEADER_TIMEOUT_S, self._on_header_timeout)

    def _cancel_header_timer(self) -> None:
        if self._header_timer is not None:
            self._header_timer.cancel()
            self._header_timer = None

    def _cancel_linger_timer(self) -> None:
        if self._linger_timer is not None:
            self._linger_timer.cancel()
            self._linger_timer = None

    def _on_header_timeout(self) -> None:
        if self._header_bytes:
            self._refuse(408, "The headers came too slowly")
        else:  # a browser's preconnect
            self.transport.close()

    def _refuse(self, status: int, title: str) -> None:
        self._cancel_header_timer()
        if self.transport.is_closing():
            return
        if self.cycle is None or self.cycle.response_complete:  # no response is in progress that this would mix with
            body = json.dumps({"type": "about:blank", "title": title, "status": status}).encode()
            head = f"content-type: {MEDIA_TYPE}\r\ncontent-length: {len(body)}\r\nconnection: close\r\n\r\n"
            self.transport.write(STATUS_LINE[status] + head.encode() + body)
        self._refused = True
        self._linger_timer = self.loop.call_later(LINGER_S, self.transport.close)


def raise_open_file_limit() -> None:
    """Raise the open file limit to what the connections need, where the system allows it.

    Shells and systemd start with 1,024.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = 2 * MAX_CONNECTIONS if hard == resource.RLIM_INFINITY else min(2 * MAX_CONNECTIONS, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


UVICORN_SETTINGS: dict[str, Any] = {
    "http": LimitedHttpProtocol,
    "limit_concurrency": MAX_CONNECTIONS,
    "timeout_keep_alive": 5,
}
