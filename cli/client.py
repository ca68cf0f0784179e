"""How commands reach a running stack: HTTP with a role's token, or the bus as one of its users."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx

from cli.errors import CommandError
from cli.stack.secrets import load_or_make, read_access
from shared.contracts.failures import TransientError
from shared.messaging.connection import Bus, connect


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


@asynccontextmanager
async def bus(data_dir: Path, user: str) -> AsyncIterator[Bus]:
    """The bus of the stack on `data_dir`, as one of its users."""
    access = read_access(data_dir)
    seeds = load_or_make(data_dir).seeds
    try:
        connection = await connect(access.nats_url, user, seeds[user])
    except TransientError:
        raise CommandError("The stack does not answer. Start it: countersign up") from None
    try:
        yield connection
    finally:
        await connection.close()
