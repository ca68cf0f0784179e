"""Obtain, keep and renew the access token of one EHR: one request at a time, whoever needs the token."""

import asyncio
import json
import logging
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime

import httpx

from shared.clinical.smart.discovery import FIX, PATH, SmartConfiguration, parse_configuration
from shared.clinical.smart.scopes import needed_scopes
from shared.clinical.smart.token_response import AccessToken, parse_token, token_error
from shared.contracts.errors import CountersignError, RateLimitedError, TransientError
from shared.oauth.client_authentication import ClientAuthentication
from shared.oauth.errors import TokenRefusedError
from shared.telemetry import instruments
from shared.telemetry.metric_definitions import OUTCOME

logger = logging.getLogger(__name__)

RENEW_AT = 0.8  # share of the token's life after which it is renewed
DISCOVERY_MAX_AGE_S = 3600.0
MAX_RETRY_AFTER_S = 3600.0
# Waits between failed requests, doubled each time: for a server that does not answer (from the second failure on, as it
# may just have started), and for one that refuses us.
TRANSIENT_WAIT_S, TRANSIENT_MAX_WAIT_S = 0.5, 30.0
REFUSED_WAIT_S, REFUSED_MAX_WAIT_S = 5.0, 300.0
# A server that rejects every token is not asked for more than these, by each process (athenahealth blocks a client that
# asks for more than 200 a minute).
REJECTIONS, REJECTIONS_WINDOW_S = 10, 60.0


OUTCOMES = ("granted", "refused", "failed")


def _count(outcome: str) -> None:
    """Count a request. The other outcomes are counted with 0, so that the first of each is seen as an increase."""
    for name in OUTCOMES:
        instruments.increment("countersign.ehr.token.requests", int(name == outcome), {OUTCOME: name})


@dataclass(frozen=True, slots=True)
class _HeldToken:
    header: str = field(repr=False)
    scopes: frozenset[str]
    renew_at: float
    expires_at: float


class BackendToken:
    """An `Authorization` that obtains access tokens as a SMART backend service.

    The token is renewed at 80 % of its life while calls go on with the present one, and at once when the EHR rejected
    it (401). All callers of one instance share a single request. `clock` is monotonic, `now` is the time, both in
    seconds; `open_http` returns a client for one request. Without `token_url` the endpoint is discovered; without
    `scope` all that is needed is asked for.
    """

    def __init__(
        self,
        base: str,
        authentication: ClientAuthentication,
        open_http: Callable[[], httpx.AsyncClient],
        *,
        token_url: str | None = None,
        scope: str | None = None,
        clock: Callable[[], float] = time.monotonic,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._base = base.rstrip("/") + "/"
        self._authentication = authentication
        self._open_http = open_http
        self._stated = SmartConfiguration(token_url) if token_url else None
        self._scope = scope
        self._clock = clock
        self._now = now
        self._held: _HeldToken | None = None
        self._request: asyncio.Task[_HeldToken | CountersignError] | None = None
        self._backoff = _Backoff()
        self._rejections: deque[float] = deque(maxlen=REJECTIONS)
        self._discovered: tuple[SmartConfiguration, float] | None = None

    async def value(self) -> str:
        """Return the header's value.

        Raises TransientError when no token can be had: TokenRefusedError if a person must act, RateLimitedError if the
        server says when to come back.
        """
        return (await self._token()).header

    async def granted_scopes(self) -> frozenset[str]:
        """Return the scopes of the present token. Raises as `value` does."""
        return (await self._token()).scopes

    async def renew(self, refused: str) -> None:
        """Discard the token that the EHR rejected, so that the next `value` is another one; never a newer token."""
        at, held = self._clock(), self._held
        if held is None or held.header != refused:
            return
        if at < held.expires_at:  # otherwise it simply ended on the way
            if len(self._rejections) == REJECTIONS and at - self._rejections[0] < REJECTIONS_WINDOW_S:
                return
            self._rejections.append(at)
        self._held = None

    async def _token(self) -> _HeldToken:
        at, held = self._clock(), self._held
        if held is not None and at < held.expires_at:
            if at >= held.renew_at and self._backoff.is_over(at):
                self._request_once()
            return held
        if (self._request is None or self._request.done()) and not self._backoff.is_over(at):
            raise self._backoff.error(at)
        outcome = await asyncio.shield(self._request_once())
        if isinstance(outcome, _HeldToken):
            return outcome
        raise _copy(outcome)

    def _request_once(self) -> "asyncio.Task[_HeldToken | CountersignError]":
        """Return the request in progress, started unless there is one. It outlives a caller that is cancelled."""
        if self._request is None or self._request.done():
            self._request = asyncio.create_task(self._obtain())
        return self._request

    async def _obtain(self) -> _HeldToken | CountersignError:
        begun = self._clock()  # the life is counted from before the request, as the server's clock starts within it
        try:
            token = await self._ask()
        except CountersignError as error:
            self._failed(error)
            return error
        self._backoff = _Backoff()
        _count("granted")
        self._held = _HeldToken(
            f"Bearer {token.value}", token.scopes, begun + RENEW_AT * token.life, begun + token.life
        )
        return self._held

    def _failed(self, error: CountersignError) -> None:
        """Remember and report a failed request. The endpoint is discovered again, as it may have moved."""
        self._discovered = None
        self._backoff = self._backoff.after(error, self._clock())
        _count("refused" if isinstance(error, TokenRefusedError) else "failed")
        if isinstance(error, TokenRefusedError):
            logger.error("no access token for the EHR: %s; %s", error.reason, error.fix)
        else:
            logger.warning("no access token for the EHR: %s", error.reason)

    async def _ask(self) -> AccessToken:
        async with self._open_http() as http:
            server = self._stated or await self._discover(http)
            scope = self._scope or needed_scopes(v1=server.has_v1_scopes_only)
            proof = await self._authentication.credentials(server.token_url, server.algorithms, self._now())
            form = {"grant_type": "client_credentials", "scope": scope, **proof.form}
            headers = {"Accept": "application/json", **proof.headers}
            response = await self._send(http, "POST", server.token_url, headers, form)
            return parse_token(response, scope, datetime.fromtimestamp(self._now(), UTC))

    async def _discover(self, http: httpx.AsyncClient) -> SmartConfiguration:
        if self._discovered is not None and self._clock() < self._discovered[1]:
            return self._discovered[0]
        response = await self._send(http, "GET", self._base + PATH, {"Accept": "application/json"})
        if not response.is_success:
            error = token_error(response, None, datetime.fromtimestamp(self._now(), UTC))
            if isinstance(error, TokenRefusedError):
                reason = f"the EHR publishes no SMART configuration (HTTP {response.status_code})"
                raise TokenRefusedError(reason, "discovery", FIX)
            raise error
        try:
            body = json.loads(response.content)
        except (ValueError, RecursionError):
            raise TransientError("the EHR's SMART configuration is not JSON") from None
        found = parse_configuration(body, self._base)
        self._discovered = found, self._clock() + DISCOVERY_MAX_AGE_S
        return found

    async def _send(
        self,
        http: httpx.AsyncClient,
        method: str,
        url: str,
        headers: dict[str, str],
        form: dict[str, str] | None = None,
    ) -> httpx.Response:
        """Send one request. Redirects are not followed: they could take credentials to another host."""
        try:
            return await http.request(method, url, headers=headers, data=form, follow_redirects=False)
        except httpx.HTTPError as error:
            raise TransientError(f"the token endpoint cannot be reached ({type(error).__name__})") from None
        except httpx.InvalidURL:
            raise TokenRefusedError("the token endpoint's URL is invalid", "discovery", FIX) from None


@dataclass(frozen=True, slots=True)
class _Backoff:
    """How long failed requests keep the next one waiting."""

    last: CountersignError | None = None
    count: int = 0
    until: float = 0.0

    def is_over(self, at: float) -> bool:
        return at >= self.until

    def after(self, error: CountersignError, at: float) -> "_Backoff":
        count = self.count + 1 if type(error) is type(self.last) else 1
        if isinstance(error, RateLimitedError):
            wait = min(max(error.retry_after, 1.0), MAX_RETRY_AFTER_S)
        elif isinstance(error, TokenRefusedError):
            wait = min(REFUSED_WAIT_S * 2 ** min(count - 1, 16), REFUSED_MAX_WAIT_S)
        else:
            wait = min(TRANSIENT_WAIT_S * 2 ** min(count - 2, 16), TRANSIENT_MAX_WAIT_S) if count > 1 else 0.0
        return _Backoff(error, count, at + wait)

    def error(self, at: float) -> CountersignError:
        """Return the error of the last request, for a caller that comes before the next one may be sent."""
        if isinstance(self.last, RateLimitedError):
            return RateLimitedError(self.last.reason, self.until - at)
        return _copy(self.last or TransientError("no access token for the EHR"))


def _copy(error: CountersignError) -> CountersignError:
    """Return an equal error: one instance that many callers raise would collect all their tracebacks."""
    if isinstance(error, RateLimitedError):
        return RateLimitedError(error.reason, error.retry_after)
    if isinstance(error, TokenRefusedError):
        return TokenRefusedError(error.reason, error.code, error.fix)
    return type(error)(error.reason)
