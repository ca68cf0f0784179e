"""Text by its SHA-256, in the `artifacts` bucket, encrypted at rest by the server. The only place that holds PHI."""

from collections.abc import Sequence

from nats import errors
from nats.js.errors import APIError, KeyNotFoundError
from nats.js.kv import KeyValue

from shared.contracts.envelope import digest
from shared.contracts.failures import PermanentError, TransientError
from shared.messaging.connection import Bus, sort_api_error

BUCKET = "artifacts"


class Artifacts:
    """Immutable: the key is the digest of the value, so storing twice changes nothing."""

    def __init__(self, bus: Bus) -> None:
        self._bus = bus
        self._bucket: KeyValue | None = None

    async def put(self, data: bytes) -> str:
        """Store `data`; returns its digest."""
        key = digest(data)
        await self._bus.publish(f"$KV.{BUCKET}.{key}", data, stream=f"KV_{BUCKET}")
        return key

    async def get(self, key: str) -> bytes:
        """What was stored under `key`.

        Raises PermanentError when it is missing or is not what its key says.
        """
        if self._bucket is None:
            self._bucket = await self._bus.jetstream.key_value(BUCKET)
        try:
            entry = await self._bucket.get(key)
        except KeyNotFoundError:
            raise PermanentError(f"artifact {key[:12]}… is missing") from None
        except APIError as error:
            raise sort_api_error(error, "read of artifacts") from None
        except errors.Error as error:
            raise TransientError(f"read of artifacts: {type(error).__name__}") from None
        if entry.value is None or digest(entry.value) != key:
            raise PermanentError(f"artifact {key[:12]}… is not what its digest says")
        return entry.value

    async def get_many(self, keys: Sequence[str]) -> dict[str, bytes]:
        """What is stored under each of `keys`, in one request; without those that are missing."""
        if not keys:
            return {}
        subjects = [f"$KV.{BUCKET}.{key}" for key in keys]
        found = await self._bus.direct_get(f"KV_{BUCKET}", {"multi_last": subjects, "batch": len(subjects)})
        return {digest(message.data): message.data for message in found}
