"""HTTP client of an installation's API, with a bearer token: of the active context, or of an embedded stack."""

import asyncio
import ssl
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, TypeVar
from uuid import uuid4

import httpx

from cli.contexts import ApiContext, active_context
from cli.errors import CommandError, RefusedError, UnreachableError
from cli.stack.access import default_data_dir, read_access

T = TypeVar("T")
START_IT = "The stack does not answer. Start it with: countersign up"
TIMEOUT_S = 30
# A POST carries an Idempotency-Key, so that it may be sent again where the connection was lost before its answer.
MAX_SENT, PAUSE_S = 3, 0.3  # times, and seconds in between
LOST = (httpx.NetworkError, httpx.RemoteProtocolError)  # a server that takes too long has got the request
RUNNING_TRIES = 20  # while the server still executes what was sent first
REFUSALS = (409, 410, 412)  # the state of a resource does not allow the request


class Api:
    """The HTTP API of an installation, as one caller. Sends and returns JSON.

    Raises CommandError when it does not answer or answers with an error; RefusedError where the state of a case or of
    a dead letter does not allow the request.
    """

    def __init__(
        self,
        base_url: str,
        token: str | httpx.Auth,
        transport: httpx.AsyncBaseTransport | None = None,
        *,
        unreachable: str = START_IT,
        base_of: Callable[[str], str] | None = None,
        verify: ssl.SSLContext | bool = True,
    ) -> None:
        """`token` is a bearer token, or what adds one to requests. `transport` replaces the network, for tests.

        `base_of` returns the address of the service of a path.
        """
        self._http = httpx.AsyncClient(
            base_url=base_url,
            headers={"Authorization": f"Bearer {token}"} if isinstance(token, str) else None,
            auth=None if isinstance(token, str) else token,
            timeout=TIMEOUT_S,
            transport=transport,
            verify=verify,
        )
        self._unreachable = unreachable
        self._base_of = base_of
        self._run, self._posted = uuid4().hex, 0

    async def __call__(self, method: str, path: str, **options: Any) -> Any:
        """Send a request and return the decoded answer. `options` are those of `httpx.AsyncClient.request`."""
        _check_path(path)
        url = self._base_of(path) + path if self._base_of is not None else path
        try:
            response = await (
                self._post(url, **options) if method == "POST" else self._http.request(method, url, **options)
            )
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise UnreachableError(self._unreachable.replace("{error}", type(error).__name__)) from None
        if response.status_code == 204:
            return None
        if not response.is_success:
            raise _refusal(response)
        return _json(response)

    async def _post(self, url: str, headers: Mapping[str, str] | None = None, **options: Any) -> httpx.Response:
        """Send a POST with a key of its own, and again while the connection is lost before an answer."""
        self._posted += 1
        keyed = {"Idempotency-Key": f"{self._run}-{self._posted}"} | dict(headers or {})
        for sent in range(1, MAX_SENT + 1):
            try:
                response = await self._http.request("POST", url, headers=keyed, **options)
            except LOST:
                if sent == MAX_SENT:
                    raise
                await asyncio.sleep(PAUSE_S)
            else:
                break
        for _ in range(RUNNING_TRIES):
            if sent == 1 or response.status_code != 409 or "Retry-After" not in response.headers:
                break
            await asyncio.sleep(PAUSE_S)
            response = await self._http.request("POST", url, headers=keyed, **options)
        return response

    async def lines(self, path: str, **options: Any) -> AsyncGenerator[str]:
        """Yield the lines of a streamed answer until it ends or the connection is lost. Raises as a request does."""
        url = self._base_of(path) + path if self._base_of is not None else path
        try:
            async with self._http.stream("GET", url, **options) as response:
                if not response.is_success:
                    await response.aread()
                    raise _refusal(response)
                async for line in response.aiter_lines():
                    yield line
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise UnreachableError(self._unreachable.replace("{error}", type(error).__name__)) from None

    async def close(self) -> None:
        await self._http.aclose()


def _check_path(path: str) -> None:
    """Check that an id that was typed leads to no other resource. Raises CommandError."""
    if {"?", "#"} & set(path) or {"", ".", ".."} & set(path.removeprefix("/").split("/")):
        raise CommandError("An id is empty, or has characters that no id has.")


def _json(response: httpx.Response) -> Any:
    try:
        return response.json()
    except ValueError:  # a proxy's own page, for example
        message = f"{origin_of(response)} answered HTTP {response.status_code} without JSON."
        raise CommandError(message) from None


def _refusal(response: httpx.Response) -> CommandError:
    """Return the error for an answer that is one."""
    answer = _json(response)
    problem = answer if isinstance(answer, dict) else {}
    message = f"{problem.get('title', f'HTTP {response.status_code}')}. {problem.get('detail', '')}"
    return (RefusedError if response.status_code in REFUSALS else CommandError)(message.strip())


def origin_of(response: httpx.Response) -> str:
    """Return scheme, host and port of the answering server."""
    url = response.request.url
    return f"{url.scheme}://{url.netloc.decode()}"


@asynccontextmanager
async def open_api(data_dir: Path, role: str) -> AsyncIterator[Api]:
    """Open a client of the embedded stack on `data_dir`."""
    access = read_access(data_dir)
    client = Api(access.base_url, access.tokens[role])
    try:
        yield client
    finally:
        await client.close()


@asynccontextmanager
async def open_context(context: ApiContext) -> AsyncIterator[Api]:
    """Open a client of a context's installation. Raises CommandError."""
    client = Api(
        context.url,
        _authentication(context),
        unreachable=f"{context.name} ({context.url}) does not answer ({{error}}).",
        base_of=context.base_of,
        verify=authorities(context),
    )
    try:
        yield client
    finally:
        await client.close()


def _authentication(context: ApiContext) -> str | httpx.Auth:
    if context.token_file is not None:
        return context.read_token()
    from cli.sign_in.renewal import SignInAuth, StoredSignIn

    return SignInAuth(StoredSignIn(context))


def authorities(context: ApiContext) -> ssl.SSLContext | bool:
    """Return whose certificates a context's installation may have. Raises CommandError."""
    if context.ca_file is None:
        return True
    try:
        return ssl.create_default_context(cafile=str(context.ca_file))
    except (OSError, ssl.SSLError):
        raise CommandError(f"{context.ca_file} has no certificates that can be used.") from None


def run_with_api(data_dir: Path | None, work: Callable[[Api], Awaitable[T]], role: str = "operator") -> T:
    """Run `work` with a client and return its result: of the active context, else of the stack on `data_dir`.

    `role` is whose token of an embedded stack is used; a context has one token.
    """
    context = active_context(data_dir)

    async def connected() -> T:
        opened = open_context(context) if context is not None else open_api(data_dir or default_data_dir(), role)
        async with opened as call:
            return await work(call)

    return asyncio.run(connected())


def call_api(data_dir: Path | None, method: str, path: str, *, role: str = "operator", **options: Any) -> Any:
    """Send one request, and return the decoded answer."""
    return run_with_api(data_dir, lambda call: call(method, path, **options), role)
