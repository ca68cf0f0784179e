"""Encode a point of the vector store as a line of a backup and for transfer over the API."""

import base64
import struct
from typing import Self

from pydantic import Field

from shared.contracts.knowledge import Chunk
from shared.contracts.model import Model
from shared.knowledge.vector_store import EmbeddedChunk, StoredPoint


class BackupPoint(Model):
    """A point whose `vector` is base64 of little-endian float32: exact, and a third of the size of JSON numbers."""

    chunk: Chunk = Field(description="the passage")
    since: int = Field(description="version in which it appeared")
    until: int = Field(description="version in which it was removed")
    vector: str = Field(description="its embedding, base64 of little-endian float32")

    @classmethod
    def of(cls, kept: StoredPoint) -> Self:
        point = kept.point
        packed = struct.pack(f"<{len(point.vector)}f", *point.vector)
        return cls(chunk=point.chunk, since=point.since, until=kept.until, vector=base64.b64encode(packed).decode())

    @property
    def to_stored(self) -> StoredPoint:
        packed = base64.b64decode(self.vector)
        return StoredPoint(
            EmbeddedChunk(self.chunk, struct.unpack(f"<{len(packed) // 4}f", packed), self.since), self.until
        )
