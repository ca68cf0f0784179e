"""Limit requests: authenticate the sender before the body is read, and bound the body's size and time.

A route states its limits with `@limit_endpoint`; without it, `DEFAULT_MAX_BODY_BYTES` applies. FastAPI reads bodies
only when a handler asks for them, so the caller is authenticated here first. FastAPI's `max_body_size` is not used: it
answers in plain text, and before authentication (ADR 33).
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from time import monotonic
from typing import Any, TypeVar

from fastapi import Request
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from shared.runtime.authentication import RequireRole, authenticated_caller
from shared.runtime.json_values import JsonValueCounter
from shared.runtime.problems import ProblemError
from shared.runtime.rate_limits import RateLimit, delay_refusal, rate_limit_headers, rate_limit_key

KB, MB = 2**10, 2**20
DEFAULT_MAX_BODY_BYTES = 64 * KB
# A document of 200,000 characters as JSON: twelve bytes a character where each is escaped.
TEXT_MAX_BODY_BYTES = 3 * MB
# Decoding percent-encoded text holds up the event loop, 0.2 ms a KB. Pages send multipart/form-data, which is not.
URLENCODED_MAX_BODY_BYTES = 64 * KB
# For all bodies of a process, enough for one of the largest; /tmp in a pod, which holds uploads, has 64 MB.
MAX_IN_FLIGHT_BYTES = 56 * MB
# Seconds to send a body, plus one for each `MIN_BODY_BYTES_PER_S` bytes: enough for a slow connection, not for a
# client that sends byte by byte.
BODY_GRACE_S = 15.0
MIN_BODY_BYTES_PER_S = 32 * KB
DEFAULT_MAX_JSON_VALUES = 1_000
TEXT_MAX_JSON_VALUES = 6_000  # a body with a document may carry a thousand items in each of its lists
MEMORY_BYTES_PER_JSON_VALUE = 100
# Concurrent bodies of unauthenticated senders (sign-ins): slow ones must not take all connections.
MAX_UNAUTHENTICATED_REQUESTS = 256
MAX_STREAMS_PER_CALLER = 16  # open event streams of one person, on all of their screens

EndpointT = TypeVar("EndpointT", bound=Callable[..., Any])
_LIMITS_ATTRIBUTE = "__countersign_takes__"


class RequestRefusedError(ProblemError, HTTPException):  # type: ignore[misc]  # both have headers
    """Refuse a request while its body is read.

    FastAPI passes an HTTPException on, and answers 400 to any other exception.
    """

    def __init__(self, problem: ProblemError) -> None:
        ProblemError.__init__(
            self, problem.status, problem.title, problem.detail, headers=problem.headers, **problem.extra
        )
        self.status_code = problem.status


class EventStreamLimit:
    """Limit open event streams per caller. As a FastAPI dependency it counts until the response has ended."""

    def __init__(self, most: int = MAX_STREAMS_PER_CALLER) -> None:
        self._most = most
        self._open: dict[str, int] = {}

    async def __call__(self, request: Request) -> AsyncIterator[None]:
        key = rate_limit_key(request.scope)
        if self._open.get(key, 0) >= self._most:
            await delay_refusal()
            raise ProblemError(429, "Too many open pages", f"Only {self._most} at once receive changes.")
        self._open[key] = self._open.get(key, 0) + 1
        try:
            yield
        finally:
            self._open[key] -= 1
            if not self._open[key]:
                del self._open[key]


@dataclass(frozen=True, slots=True)
class EndpointLimits:
    """Limits of an endpoint: body bytes, request rate, JSON values."""

    max_bytes: int = DEFAULT_MAX_BODY_BYTES
    rate: RateLimit | None = None
    max_json_values: int = DEFAULT_MAX_JSON_VALUES


def limit_endpoint(
    most: int = DEFAULT_MAX_BODY_BYTES, rate: RateLimit | None = None, values: int | None = None
) -> Callable[[EndpointT], EndpointT]:
    """Decorate an endpoint with limits other than the defaults."""

    def mark(endpoint: EndpointT) -> EndpointT:
        setattr(
            endpoint,
            _LIMITS_ATTRIBUTE,
            EndpointLimits(
                most, rate, values or (TEXT_MAX_JSON_VALUES if most == TEXT_MAX_BODY_BYTES else DEFAULT_MAX_JSON_VALUES)
            ),
        )
        return endpoint

    return mark


class InFlightBytes:
    """Count the bytes of all bodies in memory, or on a disk that is memory."""

    def __init__(self, most: int = MAX_IN_FLIGHT_BYTES) -> None:
        self._most = most
        self.bytes = 0
        self.strangers = 0

    def add(self, count: int) -> None:
        if self.bytes + count > self._most:
            raise RequestRefusedError(
                ProblemError(503, "Too many bytes are being sent at once", "Try again.", headers={"Retry-After": "5"})
            )
        self.bytes += count

    def add_unauthenticated(self) -> None:
        if self.strangers >= MAX_UNAUTHENTICATED_REQUESTS:
            raise RequestRefusedError(
                ProblemError(503, "Too many bytes are being sent at once", "Try again.", headers={"Retry-After": "5"})
            )
        self.strangers += 1


class RequestLimitMiddleware:
    """Apply the limits of the matched endpoint to each request."""

    def __init__(self, app: ASGIApp, in_flight: InFlightBytes | None = None, grace: float = BODY_GRACE_S) -> None:
        self._app = app
        self._in_flight = in_flight or InFlightBytes()
        self._grace = grace

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        body = _RequestBody(scope, receive, send, self._in_flight, self._grace)
        try:
            await self._app(scope, body.receive, body.send)
        finally:
            self._in_flight.bytes -= body.held
            self._in_flight.strangers -= body.stranger


class _RequestBody:
    """The body of one request while it arrives."""

    def __init__(self, scope: Scope, receive: Receive, send: Send, in_flight: InFlightBytes, grace: float) -> None:
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
        media_type = headers.get(b"content-type", b"").lower()
        self._values = JsonValueCounter() if b"json" in media_type else None
        self._urlencoded = b"urlencoded" in media_type
        declared = headers.get(b"content-length", b"0")
        self._declared = int(declared) if declared.isdigit() else 0
        self._whole = not self._declared and b"transfer-encoding" not in headers

    async def receive(self) -> Message:
        if self._whole:  # the body is complete; only a disconnect can follow
            return await self._receive()
        endpoint = endpoint_limits(self._scope.get("endpoint")) or EndpointLimits()
        if self._begun is None:
            await self._admit(endpoint)
            self._begun = monotonic()
        message = await self._next()
        if message["type"] == "http.request":
            count = len(message.get("body", b""))
            self._received += count
            self._check(self._received, endpoint.max_bytes)
            self._hold(count + self._weighed(message, endpoint.max_json_values))
            self._whole = not message.get("more_body", False)
        return message

    def _hold(self, count: int) -> None:
        self._in_flight.add(count)
        self.held += count

    def _weighed(self, message: Message, most: int) -> int:
        """Return the memory that this part takes once parsed.

        Raises RequestRefusedError where a JSON body has too many values.
        """
        if self._values is None:
            return 0
        before = self._values.count
        if self._values.feed(message.get("body", b"")) > most and not self._answered:
            raise RequestRefusedError(
                ProblemError(413, "The body is too large", f"At most {most} values are taken here.")
            )
        return (self._values.count - before) * MEMORY_BYTES_PER_JSON_VALUE

    async def _admit(self, endpoint: EndpointLimits) -> None:
        """Check sender, rate and declared size before anything is read."""
        try:
            for door in _role_requirements(self._scope):
                await door(Request(self._scope))
            if endpoint.rate is not None:
                await endpoint.rate.admit(self._scope)
        except ProblemError as problem:
            raise RequestRefusedError(problem) from None
        self._check(self._declared, endpoint.max_bytes)
        if authenticated_caller(self._scope) is None:
            self._in_flight.add_unauthenticated()
            self.stranger = True

    async def _next(self) -> Message:
        assert self._begun is not None  # noqa: S101 - receive has set it
        allowed = self._grace + self._received / MIN_BODY_BYTES_PER_S - (monotonic() - self._begun)
        try:
            async with asyncio.timeout(max(allowed, 0)):
                return await self._receive()
        except TimeoutError:
            if self._answered:
                return {"type": "http.disconnect"}
            raise RequestRefusedError(ProblemError(408, "The body arrived too slowly")) from None

    def _check(self, size: int, most: int) -> None:
        if self._answered:
            return
        if size > most:
            raise RequestRefusedError(
                ProblemError(413, "The body is too large", f"At most {most // KB} KB are taken here.")
            )
        if self._urlencoded and size > URLENCODED_MAX_BODY_BYTES:
            detail = f"A form of more than {URLENCODED_MAX_BODY_BYTES // KB} KB is sent as multipart/form-data."
            raise RequestRefusedError(ProblemError(413, "The body is too large", detail))

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self._answered = True
            message["headers"] = [*message.get("headers", ()), *rate_limit_headers(self._scope)]
        await self._send(message)


def endpoint_limits(endpoint: Callable[..., Any] | None) -> EndpointLimits | None:
    """Return the limits that an endpoint states; None where it takes the defaults."""
    found: EndpointLimits | None = getattr(endpoint, _LIMITS_ATTRIBUTE, None)
    return found


def _role_requirements(scope: Scope) -> list[RequireRole]:
    """Return the role requirements of the request's route."""
    dependant = getattr(scope.get("route"), "dependant", None)
    return [item.call for item in dependant.dependencies if isinstance(item.call, RequireRole)] if dependant else []
