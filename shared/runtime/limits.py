"""What one request may take: who sends it is asked before its body is read, and a body has a size and a time.

A route says what it takes with `@takes`; whoever says nothing takes `SMALL`. Bodies are read only when a handler asks
for them, so this is where the caller is identified first. Not FastAPI's `max_body_size`: it answers in plain text, and
before it is known who asks (ADR 33).
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from time import monotonic
from typing import Any, TypeVar

from fastapi import Request
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from shared.runtime.access import Allow, known_caller
from shared.runtime.json_values import Values
from shared.runtime.problems import Problem
from shared.runtime.rates import RateLimit, hold, key_of

KB, MB = 2**10, 2**20
SMALL = 64 * KB
TEXT = 3 * MB  # a document of 200,000 characters as a form: twelve bytes a character where each is escaped
IN_FLIGHT = 56 * MB  # of all bodies of a process: one of the largest; /tmp in a pod, where uploads lie, has 64 MB
GRACE = (
    15.0  # seconds, and one more for each `SLOWEST` bytes: what a slow line needs, and who sends byte by byte has not
)
SLOWEST = 32 * KB  # bytes a second
VALUES = 1_000  # of a JSON body
VALUES_OF_TEXT = 6_000  # of one with a document: a thousand of each list that may go with it
WEIGHT = 100  # bytes in memory of a value
STRANGERS = 256  # bodies at once of senders who are not known: sign-ins. Slow ones must not take all connections
STREAMS = 16  # event streams of one person: pages that are open on all of their screens

E = TypeVar("E", bound=Callable[..., Any])
_TAKES = "__countersign_takes__"


class Refused(Problem, HTTPException):  # type: ignore[misc]  # both have headers
    """Raised while a body is read; FastAPI lets through what is an HTTPException, and answers 400 to all else."""

    def __init__(self, problem: Problem) -> None:
        Problem.__init__(self, problem.status, problem.title, problem.detail, headers=problem.headers, **problem.extra)
        self.status_code = problem.status


class Streams:
    """Event streams that are open, by person. As a FastAPI dependency it holds one place until the answer has ended."""

    def __init__(self, most: int = STREAMS) -> None:
        self._most = most
        self._open: dict[str, int] = {}

    async def __call__(self, request: Request) -> AsyncIterator[None]:
        key = key_of(request.scope)
        if self._open.get(key, 0) >= self._most:
            await hold()
            raise Problem(429, "Too many open pages", f"Only {self._most} at once are told of changes.")
        self._open[key] = self._open.get(key, 0) + 1
        try:
            yield
        finally:
            self._open[key] -= 1
            if not self._open[key]:
                del self._open[key]


@dataclass(frozen=True, slots=True)
class Takes:
    """What a route takes: bytes of a body, values of one in JSON, and how often."""

    most: int = SMALL
    rate: RateLimit | None = None
    values: int = VALUES


def takes(most: int = SMALL, rate: RateLimit | None = None, values: int | None = None) -> Callable[[E], E]:
    """Decorates an endpoint whose bodies may be of another size than `SMALL`, or that may be asked only so often."""

    def mark(endpoint: E) -> E:
        setattr(endpoint, _TAKES, Takes(most, rate, values or (VALUES_OF_TEXT if most == TEXT else VALUES)))
        return endpoint

    return mark


class InFlight:
    """Bytes of all bodies that are in memory, or on a disk that is memory."""

    def __init__(self, most: int = IN_FLIGHT) -> None:
        self._most = most
        self.bytes = 0
        self.strangers = 0

    def add(self, count: int) -> None:
        if self.bytes + count > self._most:
            raise Refused(Problem(503, "Too much is being sent at once", "Try again.", headers={"Retry-After": "5"}))
        self.bytes += count

    def add_stranger(self) -> None:
        if self.strangers >= STRANGERS:
            raise Refused(Problem(503, "Too much is being sent at once", "Try again.", headers={"Retry-After": "5"}))
        self.strangers += 1


class Limits:
    """ASGI middleware."""

    def __init__(self, app: ASGIApp, in_flight: InFlight | None = None, grace: float = GRACE) -> None:
        self._app = app
        self._in_flight = in_flight or InFlight()
        self._grace = grace

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        body = _Body(scope, receive, send, self._in_flight, self._grace)
        try:
            await self._app(scope, body.receive, body.send)
        finally:
            self._in_flight.bytes -= body.held
            self._in_flight.strangers -= body.stranger


class _Body:
    """The body of one request as it comes in."""

    def __init__(self, scope: Scope, receive: Receive, send: Send, in_flight: InFlight, grace: float) -> None:
        self._scope = scope
        self._receive = receive
        self._send = send
        self._in_flight = in_flight
        self._grace = grace
        self._answered = False
        self._begun: float | None = None
        self._received = 0
        self.held = 0
        self.stranger = False  # it counts as one
        headers = dict(scope["headers"])
        self._values = Values() if b"json" in headers.get(b"content-type", b"").lower() else None
        declared = headers.get(b"content-length", b"0")
        self._declared = int(declared) if declared.isdigit() else 0
        self._whole = not self._declared and b"transfer-encoding" not in headers

    async def receive(self) -> Message:
        if self._whole:  # nothing more of it comes; what is waited for now is the end of the connection
            return await self._receive()
        endpoint = getattr(self._scope.get("endpoint"), _TAKES, Takes())
        if self._begun is None:
            await self._admit(endpoint)
            self._begun = monotonic()
        message = await self._next()
        if message["type"] == "http.request":
            count = len(message.get("body", b""))
            self._received += count
            self._check(self._received, endpoint.most)
            self._hold(count + self._weighed(message, endpoint.values))
            self._whole = not message.get("more_body", False)
        return message

    def _hold(self, count: int) -> None:
        self._in_flight.add(count)
        self.held += count

    def _weighed(self, message: Message, most: int) -> int:
        """Bytes that become of this part where it is JSON. Raises Refused where there are too many values."""
        if self._values is None:
            return 0
        before = self._values.count
        if self._values.feed(message.get("body", b"")) > most and not self._answered:
            raise Refused(Problem(413, "The body is too large", f"At most {most} values are taken here."))
        return (self._values.count - before) * WEIGHT

    async def _admit(self, endpoint: Takes) -> None:
        """Before anything is read: who sends it, how often, and how much they say that it is."""
        try:
            for door in _doors(self._scope):
                await door(Request(self._scope))
            if endpoint.rate is not None:
                await endpoint.rate.of(self._scope["app"]).admit(key_of(self._scope))
        except Problem as problem:
            raise Refused(problem) from None
        self._check(self._declared, endpoint.most)
        if known_caller(self._scope) is None:
            self._in_flight.add_stranger()
            self.stranger = True

    async def _next(self) -> Message:
        assert self._begun is not None  # noqa: S101 - receive has set it
        allowed = self._grace + self._received / SLOWEST - (monotonic() - self._begun)
        try:
            async with asyncio.timeout(max(allowed, 0)):
                return await self._receive()
        except TimeoutError:
            if self._answered:
                return {"type": "http.disconnect"}
            raise Refused(Problem(408, "The body came too slowly")) from None

    def _check(self, size: int, most: int) -> None:
        if size > most and not self._answered:
            raise Refused(Problem(413, "The body is too large", f"At most {most // KB} KB are taken here."))

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self._answered = True
        await self._send(message)


def _doors(scope: Scope) -> list[Allow]:
    """What the route of this request asks of its caller."""
    dependant = getattr(scope.get("route"), "dependant", None)
    return [item.call for item in dependant.dependencies if isinstance(item.call, Allow)] if dependant else []
