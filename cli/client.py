"""HTTP client of a running stack's API, with the bearer token of a role."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, TypeVar

import httpx

from cli.errors import CommandError
from cli.stack.access import default_data_dir, read_access

T = TypeVar("T")


class Api:
    """The HTTP API of a stack, as one role. Sends and returns JSON.

    Raises CommandError when the stack does not answer or answers with an error.
    """

    def __init__(self, base_url: str, token: str, transport: httpx.AsyncBaseTransport | None = None) -> None:
        """`transport` replaces the network, for tests."""
        headers = {"Authorization": f"Bearer {token}"}
        self._http = httpx.AsyncClient(base_url=base_url, headers=headers, timeout=30, transport=transport)

    async def __call__(self, method: str, path: str, **options: Any) -> Any:
        """Send a request and return the decoded answer. `options` are those of `httpx.AsyncClient.request`."""
        try:
            response = await self._http.request(method, path, **options)
        except httpx.HTTPError:
            raise CommandError("The stack does not answer. Start it with: countersign up") from None
        try:
            answer = response.json()
        except ValueError:  # a proxy's own page, for example
            message = f"{origin_of(response)} answered HTTP {response.status_code} without JSON."
            raise CommandError(message) from None
        if response.is_success:
            return answer
        problem = answer if isinstance(answer, dict) else {}
        message = f"{problem.get('title', f'HTTP {response.status_code}')}. {problem.get('detail', '')}"
        raise CommandError(message.strip())

    async def close(self) -> None:
        await self._http.aclose()


def origin_of(response: httpx.Response) -> str:
    """Return scheme, host and port of the answering server."""
    url = response.request.url
    return f"{url.scheme}://{url.netloc.decode()}"


@asynccontextmanager
async def open_api(data_dir: Path, role: str) -> AsyncIterator[Api]:
    """Open a client of the stack on `data_dir`."""
    access = read_access(data_dir)
    client = Api(access.base_url, access.tokens[role])
    try:
        yield client
    finally:
        await client.close()


def run_with_api(data_dir: Path | None, work: Callable[[Api], Awaitable[T]]) -> T:
    """Run `work` with a client of the operator, and return its result."""

    async def connected() -> T:
        async with open_api(data_dir or default_data_dir(), "operator") as call:
            return await work(call)

    return asyncio.run(connected())


def call_api(data_dir: Path | None, method: str, path: str, **options: Any) -> Any:
    """Send one request as the operator, and return the decoded answer."""
    return run_with_api(data_dir, lambda call: call(method, path, **options))
