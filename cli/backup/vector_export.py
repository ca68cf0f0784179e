"""Where a backup gets vectors from: the base itself, or a running stack that holds it."""

from typing import Protocol

from cli.client import Api
from shared.knowledge.backup_point import BackupPoint
from shared.knowledge.vector_store import VectorStore

PAGE_SIZE = 500


class VectorSource(Protocol):
    async def collections(self) -> list[str]: ...

    async def page(self, collection: str, after: str | None, /) -> tuple[list[BackupPoint], str | None]:
        """Points from the cursor `after` on, and the next cursor; None at the end."""
        ...


class StoreVectors:
    """The base, opened by this process: a Qdrant server, or the directory of a stack that is stopped."""

    def __init__(self, base: VectorStore) -> None:
        self._base = base

    async def collections(self) -> list[str]:
        return [name for name in await self._base.collections() if name.startswith("knowledge-")]

    async def page(self, collection: str, after: str | None) -> tuple[list[BackupPoint], str | None]:
        found, following = await self._base.page(collection, after, PAGE_SIZE)
        return [BackupPoint.of(kept) for kept in found], following


class ApiVectors:
    """A running embedded stack: only its own process can open its directory."""

    def __init__(self, call: Api) -> None:
        self._call = call

    async def collections(self) -> list[str]:
        found: list[str] = await self._call("GET", "/v1/knowledge/collections")
        return found

    async def page(self, collection: str, after: str | None) -> tuple[list[BackupPoint], str | None]:
        params = {"limit": PAGE_SIZE} | ({"after": after} if after else {})
        found = await self._call("GET", f"/v1/knowledge/collections/{collection}/points", params=params)
        return [BackupPoint.model_validate(item) for item in found["items"]], found["next"]
