"""What one request may take: who sends it is asked before its body is read, and a body has a size and a time.

A route says what it takes with `@takes`; whoever says nothing takes `SMALL`. Bodies are read only when a handler asks
for them, so this is where the caller is identified first. Not FastAPI's `max_body_size`: it answers in plain text, and
before it is known who asks (ADR 33).
"""

import asyncio
import ipaddress
import logging
from collections import OrderedDict
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from time import monotonic
from typing import Any, TypeVar

from fastapi import Request
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from shared.runtime.access import Allow, known_caller
from shared.runtime.problems import Problem

logger = logging.getLogger(__name__)

KB, MB = 2**10, 2**20
SMALL = 64 * KB
TEXT = 3 * MB  # a document of 200,000 characters as a form: twelve bytes a character where each is escaped
IN_FLIGHT = 56 * MB  # of all bodies of a process: one of the largest; /tmp in a pod, where uploads lie, has 64 MB
GRACE = (
    15.0  # seconds, and one more for each `SLOWEST` bytes: what a slow line needs, and who sends byte by byte has not
)
SLOWEST = 32 * KB  # bytes a second
KEYS = 10_000  # callers that a rate knows at once
STREAMS = 16  # event streams of one person: pages that are open on all of their screens

E = TypeVar("E", bound=Callable[..., Any])
_TAKES = "__countersign_takes__"


class Refused(Problem, HTTPException):  # type: ignore[misc]  # both have headers
    """Raised while a body is read; FastAPI lets through what is an HTTPException, and answers 400 to all else."""

    def __init__(self, problem: Problem) -> None:
        Problem.__init__(self, problem.status, problem.title, problem.detail, headers=problem.headers, **problem.extra)
        self.status_code = problem.status


class Rate:
    """A token bucket for each caller: `burst` requests at once, then `per_second`. `clock` gives seconds."""

    def __init__(self, name: str, burst: int, per_second: float, clock: Callable[[], float] = monotonic) -> None:
        self._name = name
        self._burst = burst
        self._per_second = per_second
        self._clock = clock
        self._left: OrderedDict[str, tuple[float, float]] = OrderedDict()  # caller → requests left, as of when

    def take(self, key: str) -> None:
        """Count one request. Raises Problem 429 where it is one too many."""
        now = self._clock()
        left, since = self._left.pop(key, (float(self._burst), now))
        left = min(self._burst, left + (now - since) * self._per_second)
        self._left[key] = (left - 1 if left >= 1 else left, now)
        if len(self._left) > KEYS:
            self._left.popitem(last=False)
        if left >= 1:
            return
        if left + self._per_second >= 1:  # the first of a row
            logger.warning("%s: more than %d at once; answered 429", self._name, self._burst)
        wait = max(1, round((1 - left) / self._per_second))
        raise Problem(429, "Too many requests", f"Try again in {wait} s.", headers={"Retry-After": str(wait)})

    async def __call__(self, request: Request) -> None:
        """The same as a FastAPI dependency."""
        self.take(key_of(request.scope))


class Streams:
    """Event streams that are open, by person. As a FastAPI dependency it holds one place until the answer has ended."""

    def __init__(self, most: int = STREAMS) -> None:
        self._most = most
        self._open: dict[str, int] = {}

    async def __call__(self, request: Request) -> AsyncIterator[None]:
        key = key_of(request.scope)
        if self._open.get(key, 0) >= self._most:
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
    """What a route takes: bytes of a body, and how often."""

    most: int = SMALL
    rate: Rate | None = None


def takes(most: int = SMALL, rate: Rate | None = None) -> Callable[[E], E]:
    """Decorates an endpoint whose bodies may be of another size than `SMALL`, or that may be asked only so often."""

    def mark(endpoint: E) -> E:
        setattr(endpoint, _TAKES, Takes(most, rate))
        return endpoint

    return mark


def key_of(scope: Scope) -> str:
    """Who is counted together: a person who is known, otherwise an address (of IPv6, a network of one subscriber)."""
    caller = known_caller(scope)
    if caller is not None:
        return f"subject {caller.subject}"
    address = (scope.get("client") or ("",))[0]
    try:
        found = ipaddress.ip_address(address)
    except ValueError:
        return f"address {address}"
    return f"address {found}" if found.version == 4 else f"network {found.exploded[:19]}"


class InFlight:
    """Bytes of all bodies that are in memory, or on a disk that is memory."""

    def __init__(self, most: int = IN_FLIGHT) -> None:
        self._most = most
        self.bytes = 0

    def add(self, count: int) -> None:
        if self.bytes + count > self._most:
            raise Refused(Problem(503, "Too much is being sent at once", "Try again.", headers={"Retry-After": "5"}))
        self.bytes += count


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
        headers = {name: value for name, value in scope["headers"] if name in (b"content-length", b"transfer-encoding")}
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
            self._in_flight.add(count)
            self.held += count
            self._whole = not message.get("more_body", False)
        return message

    async def _admit(self, endpoint: Takes) -> None:
        """Before anything is read: who sends it, how often, and how much they say that it is."""
        try:
            for door in _doors(self._scope):
                await door(Request(self._scope))
            if endpoint.rate is not None:
                endpoint.rate.take(key_of(self._scope))
        except Problem as problem:
            raise Refused(problem) from None
        self._check(self._declared, endpoint.most)

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
