"""Add the token of a sign-in to requests, and renew it before it expires."""

import asyncio
import ssl
import time
from collections.abc import AsyncGenerator, Callable

import httpx

from cli.contexts import ApiContext
from cli.errors import CommandError
from cli.sign_in.stored import RENEW_BEFORE_S, SignIn, forget_sign_in, locked, read_sign_in, write_sign_in
from shared.contracts.errors import TransientError
from shared.http import HttpClient
from shared.oauth.client_authentication import PublicClient
from shared.oauth.errors import TokenRefusedError
from shared.oauth.token_endpoint import TIMEOUT_S, is_secure_url, request_tokens

# The person must sign in again (RFC 6749, OpenID Connect Core); other codes concern the registration of the client.
ENDED_CODES = ("invalid_grant", "access_denied", "login_required", "interaction_required", "consent_required")


def identity_client(context: ApiContext) -> httpx.AsyncClient:
    """Return a client for the identity provider: the context's authority is trusted besides those of this machine."""
    if context.ca_file is None:
        return HttpClient(timeout=TIMEOUT_S)
    try:
        trusted = ssl.create_default_context()
        trusted.load_verify_locations(cafile=str(context.ca_file))
    except (OSError, ssl.SSLError):
        raise CommandError(f"{context.ca_file} has no certificates that can be used.") from None
    return HttpClient(timeout=TIMEOUT_S, verify=trusted)


class StoredSignIn:
    """The sign-in of a context. `clock` returns seconds since 1970; `connect` makes a client for the provider."""

    def __init__(
        self,
        context: ApiContext,
        clock: Callable[[], float] = time.time,
        connect: Callable[[ApiContext], httpx.AsyncClient] = identity_client,
    ) -> None:
        self._context = context
        self._clock = clock
        self._connect = connect

    async def access_token(self) -> str:
        """Return a token that is good for a minute, renewed if need be. Raises CommandError."""
        found = self._read()
        if not found.expires_within(RENEW_BEFORE_S, self._clock()):
            return found.access_token
        return await asyncio.to_thread(self._renew, found.access_token, refused=False)

    async def replacement(self, refused: str) -> str | None:
        """Return another token than the one that was refused; None where it cannot be renewed. Raises CommandError."""
        found = self._read()
        if not found.refresh_token and found.access_token == refused:
            return None
        return await asyncio.to_thread(self._renew, refused, refused=True)

    def _read(self) -> SignIn:
        found = read_sign_in(self._context)
        if found is None:
            name = self._context.name
            raise CommandError(f"You are not signed in to {name}. Run: countersign login --context {name}")
        return found

    def _renew(self, used: str, *, refused: bool) -> str:
        """Return the token that follows `used`. Runs in a thread, which outlives Ctrl-C: what was issued is stored."""
        with locked(self._context.name):
            found = self._read()
            now = self._clock()
            if found.access_token != used and not found.expires_within(RENEW_BEFORE_S, now):
                return found.access_token  # another command has renewed it meanwhile
            if not found.refresh_token:
                if found.expires_within(0, now):
                    raise self._ended()
                return found.access_token
            try:
                renewed = found.with_tokens(asyncio.run(self._request(found, now)), now)
            except TokenRefusedError as refusal:
                raise self._refused(refusal) from None
            except TransientError as error:
                if not refused and not found.expires_within(0, now):
                    return found.access_token
                raise CommandError(f"Your sign-in cannot be renewed: {error.reason}.") from None
            write_sign_in(self._context, renewed)
            return renewed.access_token

    async def _request(self, found: SignIn, now: float) -> dict[str, object]:
        grant = {"grant_type": "refresh_token", "refresh_token": found.refresh_token}
        if found.resource:
            grant["resource"] = found.resource
        async with self._connect(self._context) as http:
            client = PublicClient(found.client_id)
            return await request_tokens(http, found.token_endpoint, client, (), now, grant)

    def _refused(self, refusal: TokenRefusedError) -> CommandError:
        if refusal.code in ENDED_CODES:
            forget_sign_in(self._context.name)
            return self._ended()
        return CommandError(f"The identity provider does not renew your sign-in ({refusal.code}): {refusal.fix}.")

    def _ended(self) -> CommandError:
        return CommandError(f"Your sign-in has ended. Run: countersign login --context {self._context.name}")


class SignInAuth(httpx.Auth):
    """Adds the token to each request, and sends it once more with a new token if the first one is refused (401)."""

    def __init__(self, stored: StoredSignIn) -> None:
        self._stored = stored

    async def async_auth_flow(self, request: httpx.Request) -> AsyncGenerator[httpx.Request, httpx.Response]:
        if not is_secure_url(str(request.url)):
            raise CommandError(f"{request.url.host} is reached without encryption: the token is not sent there.")
        token = await self._stored.access_token()
        request.headers["Authorization"] = f"Bearer {token}"
        response = yield request
        if response.status_code == 401 and (token := await self._stored.replacement(token) or ""):
            request.headers["Authorization"] = f"Bearer {token}"
            yield request
