"""What one connection may take before there is a request, and while an answer is not read.

uvicorn has a limit of connections and one for idle ones. It has none for headers, neither of time nor of size, nor for
an answer that nobody takes: those are here.
"""

import asyncio
import json
import resource
from typing import Any

from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from shared.runtime.problems import MEDIA_TYPE

HEADERS_WITHIN = 10.0  # seconds from the first byte, or from the connection, to the last header
LARGEST_HEADERS = 64 * 2**10  # a browser's cookies and a long token are some 10 KB
# Seconds in which the rest of what was refused is read and thrown away: closed at once, the answer would be lost.
LINGER = 5.0
TAKEN_WITHIN = 30.0  # seconds in which whoever asked must take at least some of a full buffer
MOST = 4096  # open connections; further ones get 503
# From here on a new one takes the place of the oldest that has not sent a request yet. Of 4096 slow ones nobody would
# get in; a proxy that keeps some open only opens them again.
CROWDED = MOST * 3 // 4
PIPELINED = 16  # requests of one connection that wait for their turn: 256 KB of small ones were 30 MB of them


_waiting: dict["Connection", None] = {}  # connections without a request, the oldest first


class Connection(HttpToolsProtocol):
    """uvicorn's protocol with deadlines of its own."""

    def __init__(self, *given: Any, **named: Any) -> None:
        super().__init__(*given, **named)
        self._head = 0  # bytes of headers so far
        self._in_head = True
        self._refused = False
        self._deadline: asyncio.TimerHandle | None = None
        self._untaken: asyncio.TimerHandle | None = None
        self._linger: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        if len(self.connections) > CROWDED:
            self._displace()
        self._start_deadline()
        _waiting[self] = None

    def connection_lost(self, exc: Exception | None) -> None:
        _waiting.pop(self, None)
        self._end_deadline()
        self._end_linger()
        self.resume_writing()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self._refused or self.transport.is_closing():
            return
        if not self._in_head:
            super().data_received(data)
            return
        if self._deadline is None:
            self._start_deadline()
        self._head += len(data)
        super().data_received(data)
        if self._in_head and self._head > LARGEST_HEADERS:
            self._refuse(431, "The headers are too large")

    def on_header(self, name: bytes, value: bytes) -> None:
        if self._in_head:  # what comes after a chunked body nobody reads
            super().on_header(name, value)

    def on_headers_complete(self) -> None:
        self._in_head, self._head = False, 0
        self._end_deadline()
        _waiting.pop(self, None)
        if len(self.pipeline) >= PIPELINED:
            self.transport.close()
        if not self.transport.is_closing():
            super().on_headers_complete()

    def on_message_complete(self) -> None:
        self._in_head = True
        self._end_linger()
        if self.cycle.response_complete and self._deadline is None:
            self._start_deadline()  # uvicorn has none for idle ones whose body went on after the answer
        super().on_message_complete()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        if self.cycle.response_complete and not self.transport.is_closing():
            _waiting[self] = None
        if not self._in_head and self.cycle.response_complete and not self.transport.is_closing():
            self._linger = self.loop.call_later(LINGER, self.transport.close)

    def pause_writing(self) -> None:
        super().pause_writing()
        if self._untaken is None:
            self._untaken = self.loop.call_later(TAKEN_WITHIN, self.transport.abort)

    def resume_writing(self) -> None:
        super().resume_writing()
        if self._untaken is not None:
            self._untaken.cancel()
            self._untaken = None

    def _displace(self) -> None:
        """Close the connection that has waited longest for a request of its own."""
        oldest = next(iter(_waiting), None)
        if oldest is not None:
            del _waiting[oldest]
            oldest.transport.abort()

    def _start_deadline(self) -> None:
        self._deadline = self.loop.call_later(HEADERS_WITHIN, self._too_late)

    def _end_deadline(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _end_linger(self) -> None:
        if self._linger is not None:
            self._linger.cancel()
            self._linger = None

    def _too_late(self) -> None:
        if self._head:
            self._refuse(408, "The headers came too slowly")
        else:  # a browser that has connected in advance
            self.transport.close()

    def _refuse(self, status: int, title: str) -> None:
        self._end_deadline()
        if self.transport.is_closing():
            return
        if self.cycle is None or self.cycle.response_complete:  # no answer is under way that this would be mixed into
            body = json.dumps({"type": "about:blank", "title": title, "status": status}).encode()
            head = f"content-type: {MEDIA_TYPE}\r\ncontent-length: {len(body)}\r\nconnection: close\r\n\r\n"
            self.transport.write(STATUS_LINE[status] + head.encode() + body)
        self._refused = True
        self._linger = self.loop.call_later(LINGER, self.transport.close)


def raise_open_files() -> None:
    """As many open files as connections want, where the system allows it: shells and systemd give 1,024 at first."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = 2 * MOST if hard == resource.RLIM_INFINITY else min(2 * MOST, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


SETTINGS: dict[str, Any] = {"http": Connection, "limit_concurrency": MOST, "timeout_keep_alive": 5}
