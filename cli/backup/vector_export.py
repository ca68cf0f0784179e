"""Read vectors for a backup: from the vector store, or through the API of a running stack."""

from typing import Protocol

from cli.client import Api
from shared.knowledge.backup_point import BackupPoint
from shared.knowledge.vector_store import VectorStore

PAGE_SIZE = 500


class VectorSource(Protocol):
    async def collections(self) -> list[str]: ...

    async def page(self, collection: str, after: str | None, /) -> tuple[list[BackupPoint], str | None]:
        """Return the points after the cursor, and the next cursor; None at the end."""
        ...


class StoreVectors:
    """A vector store opened by this process: a Qdrant server, or the directory of a stopped stack."""

    def __init__(self, base: VectorStore) -> None:
        self._base = base

    async def collections(self) -> list[str]:
        return [name for name in await self._base.collections() if name.startswith("knowledge-")]

    async def page(self, collection: str, after: str | None) -> tuple[list[BackupPoint], str | None]:
        found, following = await self._base.page(collection, after, PAGE_SIZE)
        return [BackupPoint.of(kept) for kept in found], following


class ApiVectors:
    """The API of a running embedded stack, as only its own process can open its directory."""

    def __init__(self, call: Api) -> None:
        self._call = call

    async def collections(self) -> list[str]:
        found: dict[str, list[str]] = await self._call("GET", "/v1/knowledge/collections")
        return found["items"]

    async def page(self, collection: str, after: str | None) -> tuple[list[BackupPoint], str | None]:
        params = {"limit": PAGE_SIZE} | ({"after": after} if after else {})
        found = await self._call("GET", f"/v1/knowledge/collections/{collection}/points", params=params)
        return [BackupPoint.model_validate(item) for item in found["items"]], found["next"]
