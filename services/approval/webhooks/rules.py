"""Which endpoints a webhook may have, what an answer means, and how many requests an endpoint gets. Pure."""

import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

import httpx

from shared.http import retry_after
from shared.outbound import NotAllowedError, is_address, is_remote, unmapped

MAX_URL = 2000  # characters
MAX_CONCURRENT = 4  # requests of one process to one endpoint, of the 16 that it sends at a time
FAILURES_IN_A_ROW = 3  # after which an endpoint gets one request at a time, with pauses
FIRST_PAUSE, LONGEST_PAUSE = 2.0, 600.0  # seconds
BUSY = 1.0  # seconds after which a delivery to an endpoint with too many requests is tried
ASKS_TO_WAIT = (429, 503)
INTERNAL = "COUNTERSIGN_WEBHOOK_INTERNAL_HOSTS"


@dataclass(frozen=True, slots=True)
class WebhookAddresses:
    """Addresses that webhooks may reach: public ones, and those of `internal` hosts in private networks."""

    internal: frozenset[str]

    def check_address(self, host: str, found: str) -> None:
        """Check a resolved address. Raises NotAllowedError for a private network that the host is not declared in."""
        address = unmapped(ipaddress.ip_address(found.partition("%")[0]))
        if address.is_global and not address.is_multicast:
            return
        declared = host.lower() in self.internal
        # A declared name may not lead to this machine: whoever owns its DNS entry could reach our own services.
        own = address.is_loopback and host.lower() != "localhost" and not is_address(host, address)
        if not declared or own or address.is_link_local or address.is_unspecified or address.is_multicast:
            raise NotAllowedError(f"its address is in a private network: {INTERNAL} does not allow that")

    def check_url(self, url: str) -> None:
        """Check the URL of a webhook, without asking DNS. Raises NotAllowedError."""
        try:
            parsed = httpx.URL(url)
        except (httpx.InvalidURL, ValueError):
            raise NotAllowedError("it is not a URL") from None
        host = parsed.host
        if parsed.scheme not in ("https", "http") or not host or len(url) > MAX_URL:
            raise NotAllowedError(f"it must begin with https:// and have at most {MAX_URL} characters")
        if parsed.userinfo or parsed.fragment:
            raise NotAllowedError("it must have no user and no fragment")
        if is_remote(host):
            if parsed.scheme != "https":
                raise NotAllowedError("it must begin with https://")
            return
        if host.lower() not in self.internal:
            raise NotAllowedError(f"its host is in a private network: {INTERNAL} does not name it")


@dataclass(frozen=True, slots=True)
class DeliveryOutcome:
    """Outcome of a delivery. `wait`: the endpoint's Retry-After, in seconds."""

    kind: Literal["delivered", "gone", "retry"]
    reason: str = ""
    wait: float | None = None


def classify_response(status: int, headers: Mapping[str, str], now: datetime) -> DeliveryOutcome:
    """Return what an answer means. Redirects are not followed: they count as failures.

    https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md
    """
    if 200 <= status < 300:
        return DeliveryOutcome("delivered")
    if status == 410:
        return DeliveryOutcome("gone", "HTTP 410: the endpoint wants no more messages")
    wait = retry_after(headers["retry-after"], now) if status in ASKS_TO_WAIT and "retry-after" in headers else None
    return DeliveryOutcome(
        "retry", f"HTTP {status}" + (": redirects are not followed" if 300 <= status < 400 else ""), wait
    )


class EndpointCircuitBreaker:
    """How many requests one endpoint gets from this process, so that one that is slow or down delays no other.

    Times are seconds of a monotonic clock.
    """

    def __init__(self) -> None:
        self._running = 0
        self._failures = 0
        self._closed_until = 0.0

    @property
    def idle(self) -> bool:
        """Return whether there is nothing to remember."""
        return not self._running and not self._failures

    def enter(self, now: float) -> float | None:
        """Begin a request; return None, or the seconds after which to try again where it may not begin yet."""
        if now < self._closed_until:
            return self._closed_until - now
        if self._running >= (1 if self._failures >= FAILURES_IN_A_ROW else MAX_CONCURRENT):
            return BUSY
        self._running += 1
        return None

    def leave(self, now: float, *, ok: bool | None, wait: float | None = None) -> None:
        """End a request. `ok` None: nothing was sent; `wait`: the endpoint's Retry-After, in seconds."""
        self._running -= 1
        if ok is None:
            return
        if ok:
            self._failures, self._closed_until = 0, 0.0
            return
        self._failures += 1
        pause = 0.0
        if self._failures >= FAILURES_IN_A_ROW:
            pause = min(LONGEST_PAUSE, FIRST_PAUSE * 2.0 ** min(self._failures - FAILURES_IN_A_ROW, 32))
        self._closed_until = now + max(pause, min(wait or 0.0, LONGEST_PAUSE))


def with_jitter(wait: float, message: int) -> float:
    """Return when one of many messages that wait for the same endpoint is tried, in seconds: not all at once."""
    return wait * (1 + message % 64 / 64)
