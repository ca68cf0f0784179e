"""Store the renditions of a decision, so that a repeated filing writes the same bytes, also by a newer version.

Each is an artifact under its digest; their digests are in a bucket under the digest of the decision.
"""

import asyncio
from collections.abc import Mapping

from pydantic import RootModel, ValidationError

from shared.contracts.envelope import RecordedEvent
from shared.messaging.artifacts import Artifacts
from shared.messaging.buckets import Bucket
from shared.messaging.connection import NatsConnection, WrongSequenceError


class _Digests(RootModel[dict[str, str]]):
    """Content type → SHA-256, in the order in which they are filed."""


class RenditionStore:
    def __init__(self, bus: NatsConnection) -> None:
        self._artifacts = Artifacts(bus)
        self._bucket = Bucket(bus, "renditions")

    async def digests(self, decision: str) -> list[str]:
        """Return the digests of the renditions of the decision with this digest."""
        entry = await self._bucket.get(decision)
        try:
            return list(_Digests.model_validate_json(entry.value).root.values()) if entry else []
        except ValidationError:
            return []

    async def get(self, case_id: str, decision: str) -> dict[str, bytes] | None:
        """Return content type → bytes of the decision with this digest; None if one is missing."""
        entry = await self._bucket.get(decision)
        if entry is None:
            return None
        try:
            digests = _Digests.model_validate_json(entry.value).root
        except ValidationError:
            return None
        found = await self._artifacts.of(case_id).get_many(list(digests.values()))
        if not digests or any(digest not in found for digest in digests.values()):
            return None
        return {content_type: found[digest] for content_type, digest in digests.items()}

    async def put(self, decision: RecordedEvent, renditions: Mapping[str, bytes]) -> dict[str, bytes]:
        """Store `renditions` and return them, or those that another process stored at the same time."""
        key, texts = decision.head.digest, self._artifacts.of(decision.case.id, decision.head.sequence)
        entry = await self._bucket.get(key)
        stored = await asyncio.gather(*(texts.put(data) for data in renditions.values()))
        digests = dict(zip(renditions, stored, strict=True))
        value = _Digests(digests).model_dump_json().encode()
        try:
            await self._bucket.put(key, value, revision=entry.revision if entry else 0)
        except WrongSequenceError:
            return await self.get(decision.case.id, key) or dict(renditions)
        return dict(renditions)
