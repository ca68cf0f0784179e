"""Limit request rates. Refusals are delayed, so that a flood costs its sender more than us."""

import asyncio
import ipaddress
import logging
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from math import ceil
from time import monotonic
from typing import NamedTuple

from fastapi import Request
from starlette.applications import Starlette
from starlette.types import Scope

from shared.runtime.problems import ProblemError

logger = logging.getLogger(__name__)

RATES_SCOPE_KEY = "countersign.rates"  # key in a request's scope: what the limits that counted it leave
CALLER_SCOPE_KEY = "countersign.caller"  # key in a request's scope: its authenticated Caller
MAX_TRACKED_KEYS = 10_000  # callers tracked by one rate limit
# Least delay of a refusal in seconds; the longest is twice that. A client that retries at once sends at most one
# request a second on each connection. In steps: otherwise all that were refused together would retry together.
REFUSAL_DELAY_S, DELAY_STEPS = 1.0, 50
# Refusals delayed at the same time; more are sent immediately, or they would use up all connections.
MAX_DELAYED_REFUSALS = 1_000

_delayed = 0


class TokenBucket:
    """A token bucket for each caller: `burst` requests at once, then `per_second`. `clock` returns seconds."""

    def __init__(self, name: str, burst: int, per_second: float, clock: Callable[[], float] = monotonic) -> None:
        self._name = name
        self._burst = burst
        self._per_second = per_second
        self._clock = clock
        self._left: OrderedDict[str, tuple[float, float]] = (
            OrderedDict()
        )  # caller → requests left, and the time of that count

    def take(self, key: str) -> None:
        """Count one request.

        Raises ProblemError 429 where it exceeds the limit.
        """
        self.check(key)
        self.spend(key, 1)

    def check(self, key: str) -> None:
        """Check the limit without counting.

        Raises ProblemError 429 where no request is left.
        """
        left = self._now(key)
        if left >= 1:
            return
        if left + self._per_second >= 1:  # the first of a row
            logger.warning("%s: more than %d at once; responding 429", self._name, self._burst)
        wait = max(1, round((1 - left) / self._per_second))
        raise ProblemError(429, "Too many requests", f"Try again in {wait} s.", headers={"Retry-After": str(wait)})

    def spend(self, key: str, cost: float) -> None:
        """Count a cost that is known only afterwards. The balance may become negative."""
        self._left[key] = (self._now(key) - cost, self._clock())

    def _now(self, key: str) -> float:
        now = self._clock()
        left, since = self._left.pop(key, (float(self._burst), now))
        left = min(self._burst, left + (now - since) * self._per_second)
        self._left[key] = (left, now)
        if len(self._left) > MAX_TRACKED_KEYS:
            self._left.popitem(last=False)
        return left

    def knows(self, key: str) -> bool:
        """Return whether requests of `key` were counted before."""
        return key in self._left

    async def admit(self, key: str, *, counted: bool = True, scope: Scope | None = None) -> None:
        """Count (or only check) a request and delay its refusal. The answer to `scope` says what is left."""
        try:
            self.take(key) if counted else self.check(key)
        except ProblemError:
            await delay_refusal()
            raise
        finally:
            if scope is not None:
                scope.setdefault(RATES_SCOPE_KEY, []).append(self.remaining(key))

    def remaining(self, key: str) -> "Remaining":
        """Return what is left to `key`."""
        left = self._now(key)
        restored = ceil((self._burst - left) / self._per_second)
        window = max(1, round(self._burst / self._per_second))
        return Remaining(self._name, self._burst, window, max(0, int(left)), restored)

    async def wait_for_turn(self, key: str) -> None:
        """Count an admitted request, and delay it until it is within the rate.

        Another bucket has to limit how many may wait.
        """
        self.spend(key, 1)
        left, _ = self._left[key]
        if left < 0:
            await asyncio.sleep(-left / self._per_second)

    async def count_refusal(self, key: str) -> None:
        """Count a request that is refused anyway, and delay the refusal above the limit."""
        try:
            self.take(key)
        except ProblemError:
            await delay_refusal()


@dataclass(frozen=True, slots=True)
class RateLimit:
    """A rate that a route at module level declares. Also a FastAPI dependency that admits the request.

    Each application counts by itself: two applications in one process share no counters.
    """

    name: str
    burst: int
    per_second: float

    def of(self, app: Starlette) -> TokenBucket:
        """Return the counters of `app` for this limit."""
        rates: dict[RateLimit, TokenBucket] | None = getattr(app.state, "rates", None)
        if rates is None:
            rates = app.state.rates = {}
        return rates.setdefault(self, TokenBucket(self.name, self.burst, self.per_second))

    async def admit(self, scope: Scope) -> None:
        """Count a request of this application, and delay its refusal. Raises ProblemError 429."""
        await self.of(scope["app"]).admit(rate_limit_key(scope), scope=scope)

    async def __call__(self, request: Request) -> None:
        await self.admit(request.scope)


class Remaining(NamedTuple):
    """What a rate limit leaves to a caller. `window` and `restored` are in seconds."""

    policy: str
    quota: int
    window: int
    left: int
    restored: int  # until the whole quota is there again


def rate_limit_headers(scope: Scope) -> list[tuple[bytes, bytes]]:
    """Return the header fields that say which limits counted a request, and what they leave.

    https://datatracker.ietf.org/doc/draft-ietf-httpapi-ratelimit-headers/ (-10): structured fields (RFC 9651)
    """
    found: list[Remaining] = scope.get(RATES_SCOPE_KEY, [])
    if not found:
        return []
    policies = ", ".join(f'"{item.policy}";q={item.quota};w={item.window}' for item in found)
    limits = ", ".join(f'"{item.policy}";r={item.left};t={item.restored}' for item in found)
    return [(b"ratelimit-policy", policies.encode()), (b"ratelimit", limits.encode())]


async def delay_refusal() -> None:
    """Wait before a refusal is sent."""
    global _delayed
    if _delayed >= MAX_DELAYED_REFUSALS:
        return
    _delayed += 1
    try:
        await asyncio.sleep(REFUSAL_DELAY_S * (1 + _delayed % DELAY_STEPS / DELAY_STEPS))
    finally:
        _delayed -= 1


def rate_limit_key(scope: Scope) -> str:
    """Return who is counted together: an authenticated caller, else an address (for IPv6, a subscriber's network)."""
    caller = scope.get(CALLER_SCOPE_KEY)
    if caller is not None:
        return f"subject {caller.subject}"
    address = (scope.get("client") or ("",))[0]
    try:
        found = ipaddress.ip_address(address)
    except ValueError:
        return f"address {address}"
    return f"address {found}" if found.version == 4 else f"network {found.exploded[:19]}"
