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

    def __init__(self, base_url: str, token: str) -> None:
        self._http = httpx.AsyncClient(base_url=base_url, headers={"Authorization": f"Bearer {token}"}, timeout=30)

    async def __call__(self, method: str, path: str, **sent: Any) -> Any:
        try:
            response = await self._http.request(method, path, **sent)
        except httpx.HTTPError:
            raise CommandError("The stack does not answer. Start it: countersign up") from None
        if response.is_success:
            return response.json()
        problem = response.json()
        raise CommandError(f"{problem.get('title', response.status_code)}. {problem.get('detail', '')}".strip())

    async def close(self) -> None:
        await self._http.aclose()


@asynccontextmanager
async def api(data_dir: Path, role: str) -> AsyncIterator[Api]:
    """The API of the stack on `data_dir`."""
    access = read_access(data_dir)
    client = Api(access.base_url, access.tokens[role])
    try:
        yield client
    finally:
        await client.close()
