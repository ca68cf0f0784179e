"""Text by its SHA-256, in the `artifacts` bucket, encrypted at rest by the server. The only place that holds PHI."""

from collections.abc import Sequence

from shared.contracts.envelope import digest
from shared.contracts.failures import PermanentError, TransientError
from shared.messaging.connection import Bus

BUCKET = "artifacts"
STREAM = f"KV_{BUCKET}"


class Artifacts:
    """Immutable: the key is the digest of the value, so storing twice changes nothing."""

    def __init__(self, bus: Bus) -> None:
        self._bus = bus

    async def put(self, data: bytes) -> str:
        """Store `data`; returns its digest. Raises TransientError, PermanentError.

        The server takes a key once. What it refuses is looked for, as it may stand there already.
        """
        key = digest(data)
        try:
            await self._bus.publish(f"$KV.{BUCKET}.{key}", data, stream=STREAM)
        except TransientError as refused:
            try:
                await self.get(key)
            except TransientError:
                raise refused from None
        return key

    async def get(self, key: str) -> bytes:
        """What was stored under `key`.

        Raises TransientError, also when it is not there: of three servers any may answer, one that is behind as well.
        Raises PermanentError when it is not what its key says.
        """
        found = await self._bus.direct_get(STREAM, {"last_by_subj": f"$KV.{BUCKET}.{key}"})
        if not found:
            raise TransientError(f"artifact {key[:12]}… is not there")
        if digest(found[-1].data) != key:
            raise PermanentError(f"artifact {key[:12]}… is not what its digest says")
        return found[-1].data

    async def get_many(self, keys: Sequence[str]) -> dict[str, bytes]:
        """What is stored under each of `keys`, in one request; without those that are missing."""
        if not keys:
            return {}
        subjects = [f"$KV.{BUCKET}.{key}" for key in keys]
        found = await self._bus.direct_get(STREAM, {"multi_last": subjects, "batch": len(subjects)})
        return {digest(message.data): message.data for message in found}
