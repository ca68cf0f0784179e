"""Key-value buckets: read, compare-and-set, and a scan that streams. https://docs.nats.io/nats-concepts/jetstream/key-value-store"""

from collections.abc import AsyncIterator
from dataclasses import dataclass

from shared.messaging.connection import NatsConnection
from shared.messaging.stream_pages import read_stream_pages

PAGE = 256
DELETE_MARKER_TTL_S = 60  # seconds that the marker of a deletion is kept


@dataclass(frozen=True, slots=True)
class KvEntry:
    """A value and the revision that a compare-and-set must name."""

    key: str
    value: bytes
    revision: int


class Bucket:
    def __init__(self, bus: NatsConnection, name: str) -> None:
        self._bus = bus
        self._name = name
        self._prefix = f"$KV.{name}."

    async def get(self, key: str) -> KvEntry | None:
        """Return the entry under `key`; None when there is none."""
        found = await self._bus.direct_get(f"KV_{self._name}", {"last_by_subj": f"{self._prefix}{key}"})
        for message in found:
            headers = dict(message.headers or {})
            if "KV-Operation" not in headers:
                return KvEntry(key, message.data, int(headers["Nats-Sequence"]))
        return None

    async def put(self, key: str, value: bytes, *, revision: int | None = None, ttl: int | None = None) -> int:
        """Store a value; return its revision. With `revision`, only if that is the current one (0: no entry).

        `ttl` is in seconds. Raises WrongSequenceError if the revision differs.
        """
        headers = {} if revision is None else {"Nats-Expected-Last-Subject-Sequence": str(revision)}
        if ttl is not None:
            headers["Nats-TTL"] = f"{ttl}s"
        ack = await self._bus.publish(f"{self._prefix}{key}", value, stream=f"KV_{self._name}", headers=headers)
        return ack.seq

    async def delete(self, key: str) -> None:
        """Delete the entry, if there is one."""
        marker = {"KV-Operation": "DEL", "Nats-TTL": f"{DELETE_MARKER_TTL_S}s"}
        await self._bus.publish(f"{self._prefix}{key}", b"", stream=f"KV_{self._name}", headers=marker)

    async def scan(self, prefix: str) -> AsyncIterator[KvEntry]:
        """Yield every entry below `prefix` (whole tokens), oldest first, with one page in memory."""
        async for page in read_stream_pages(self._bus, f"KV_{self._name}", f"{self._prefix}{prefix}.>", size=PAGE):
            for message in page:
                headers = dict(message.headers or {})
                if "KV-Operation" not in headers:
                    key = headers["Nats-Subject"].removeprefix(self._prefix)
                    yield KvEntry(key, message.data, int(headers["Nats-Sequence"]))
