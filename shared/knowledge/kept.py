"""A point of the vector base as a line of a backup, and as it travels from a running stack to whoever takes one."""

import base64
import struct
from typing import Self

from shared.contracts.knowledge import Chunk
from shared.contracts.model import Model
from shared.knowledge.base import Embedded, Kept


class KeptPoint(Model):
    """`vector` is little-endian float32 in base64: a third of what figures in JSON take, and exactly what was there."""

    chunk: Chunk
    since: int
    until: int
    vector: str

    @classmethod
    def of(cls, kept: Kept) -> Self:
        point = kept.point
        packed = struct.pack(f"<{len(point.vector)}f", *point.vector)
        return cls(chunk=point.chunk, since=point.since, until=kept.until, vector=base64.b64encode(packed).decode())

    @property
    def kept(self) -> Kept:
        packed = base64.b64decode(self.vector)
        return Kept(Embedded(self.chunk, struct.unpack(f"<{len(packed) // 4}f", packed), self.since), self.until)
