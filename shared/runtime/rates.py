"""How often somebody may ask. Who asks more often is answered late: a flood then costs its sender more than us."""

import asyncio
import ipaddress
import logging
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from time import monotonic

from fastapi import Request
from starlette.applications import Starlette
from starlette.types import Scope

from shared.runtime.problems import Problem

logger = logging.getLogger(__name__)

KNOWN = "countersign.caller"  # in the scope of a request: its Caller, once that has been asked
KEYS = 10_000  # callers that a rate knows at once
# Seconds that a refusal waits: whoever asks again as soon as there is an answer asks once a second on each connection.
HELD = 1.0
MOST_HELD = 1_000  # refusals that wait at once; more are answered immediately, or they would take all connections

_held = 0


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
        self.check(key)
        self.spend(key, 1)

    def check(self, key: str) -> None:
        """Raises Problem 429 where nothing is left for another one; counts nothing."""
        left = self._now(key)
        if left >= 1:
            return
        if left + self._per_second >= 1:  # the first of a row
            logger.warning("%s: more than %d at once; answered 429", self._name, self._burst)
        wait = max(1, round((1 - left) / self._per_second))
        raise Problem(429, "Too many requests", f"Try again in {wait} s.", headers={"Retry-After": str(wait)})

    def spend(self, key: str, cost: float) -> None:
        """Count what a request has taken, where that is known only afterwards. There may be less than nothing left."""
        self._left[key] = (self._now(key) - cost, self._clock())

    def _now(self, key: str) -> float:
        now = self._clock()
        left, since = self._left.pop(key, (float(self._burst), now))
        left = min(self._burst, left + (now - since) * self._per_second)
        self._left[key] = (left, now)
        if len(self._left) > KEYS:
            self._left.popitem(last=False)
        return left

    async def admit(self, key: str, *, counted: bool = True) -> None:
        """`take`, or only `check`, for a request: its refusal comes late."""
        try:
            self.take(key) if counted else self.check(key)
        except Problem:
            await hold()
            raise

    async def slow(self, key: str) -> None:
        """Count one request that is refused anyway; where it is one too many, its refusal comes late."""
        try:
            self.take(key)
        except Problem:
            await hold()


@dataclass(frozen=True, slots=True)
class RateLimit:
    """A rate that a route at module level declares. Also a FastAPI dependency that admits the request.

    Each application counts by itself: two applications in one process share no counters.
    """

    name: str
    burst: int
    per_second: float

    def of(self, app: Starlette) -> Rate:
        """Return the counters of `app` for this limit."""
        rates: dict[RateLimit, Rate] | None = getattr(app.state, "rates", None)
        if rates is None:
            rates = app.state.rates = {}
        return rates.setdefault(self, Rate(self.name, self.burst, self.per_second))

    async def __call__(self, request: Request) -> None:
        await self.of(request.app).admit(key_of(request.scope))


async def hold() -> None:
    """Wait before a refusal is sent."""
    global _held
    if _held >= MOST_HELD:
        return
    _held += 1
    try:
        await asyncio.sleep(HELD)
    finally:
        _held -= 1


def key_of(scope: Scope) -> str:
    """Who is counted together: a person who is known, otherwise an address (of IPv6, a network of one subscriber)."""
    caller = scope.get(KNOWN)
    if caller is not None:
        return f"subject {caller.subject}"
    address = (scope.get("client") or ("",))[0]
    try:
        found = ipaddress.ip_address(address)
    except ValueError:
        return f"address {address}"
    return f"address {found}" if found.version == 4 else f"network {found.exploded[:19]}"
