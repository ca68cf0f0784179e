"""How commands speak to a running stack: HTTP with a role's token."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx

from cli.errors import CommandError
from cli.stack.access import read_access


class Api:
    """The HTTP API of a stack, as one role. Asks and answers in JSON.

    Raises CommandError when nobody answers or the answer is a refusal.
    """

    def __init__(self, base_url: str, token: str, transport: httpx.AsyncBaseTransport | None = None) -> None:
        """`transport` takes the place of the network."""
        headers = {"Authorization": f"Bearer {token}"}
        self._http = httpx.AsyncClient(base_url=base_url, headers=headers, timeout=30, transport=transport)

    async def __call__(self, method: str, path: str, **sent: Any) -> Any:
        try:
            response = await self._http.request(method, path, **sent)
        except httpx.HTTPError:
            raise CommandError("The stack does not answer. Start it: countersign up") from None
        try:
            answer = response.json()
        except ValueError:  # a proxy's own page, for example
            raise CommandError(f"{origin_of(response)} answers with HTTP {response.status_code} and no JSON.") from None
        if response.is_success:
            return answer
        problem = answer if isinstance(answer, dict) else {}
        said = f"{problem.get('title', f'HTTP {response.status_code}')}. {problem.get('detail', '')}"
        raise CommandError(said.strip())

    async def close(self) -> None:
        await self._http.aclose()


def origin_of(response: httpx.Response) -> str:
    """Where an answer came from, without path and query."""
    url = response.request.url
    return f"{url.scheme}://{url.netloc.decode()}"


@asynccontextmanager
async def open_api(data_dir: Path, role: str) -> AsyncIterator[Api]:
    """The API of the stack on `data_dir`."""
    access = read_access(data_dir)
    client = Api(access.base_url, access.tokens[role])
    try:
        yield client
    finally:
        await client.close()
