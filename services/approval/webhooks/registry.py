"""Webhooks in their bucket: `endpoint.<id>`, and `health.<id>` while every attempt fails."""

import asyncio
import base64
from collections.abc import Callable
from datetime import datetime

from services.approval.webhooks.webhook import Health, StoredSecret, Webhook
from shared.contracts.errors import TransientError
from shared.messaging.buckets import Bucket
from shared.messaging.connection import NatsConnection, WrongSequenceError
from shared.messaging.master_keys import RandomBytes, unwrap, wrap

BUCKET = "webhooks"
MAX_CHANGES = 5  # tries of a change that somebody else made at the same time

Change = Callable[[Webhook], Webhook]


class WebhookRegistry:
    """`random` gives the nonces of wrapped secrets."""

    def __init__(self, bus: NatsConnection, random: RandomBytes) -> None:
        self._bus = bus
        self._random = random
        self._bucket = Bucket(bus, BUCKET)

    async def all(self) -> list[Webhook]:
        """Return every webhook, the one that was changed last at the end."""
        return [Webhook.read(entry.value) async for entry in self._bucket.scan("endpoint")]

    async def find(self, id: str) -> Webhook | None:
        entry = await self._bucket.get(f"endpoint.{id}")
        return Webhook.read(entry.value) if entry is not None else None

    async def add(self, webhook: Webhook) -> bool:
        """Store a new webhook; return False where the id is taken, also by one that was removed."""
        try:
            await self._bucket.put(f"endpoint.{webhook.id}", webhook.model_dump_json().encode(), revision=0)
        except WrongSequenceError:
            return False
        return True

    async def change(self, id: str, change: Change) -> Webhook | None:
        """Apply `change` to the latest version, and return what is stored then; None: there is no such webhook."""
        for _ in range(MAX_CHANGES):
            entry = await self._bucket.get(f"endpoint.{id}")
            if entry is None:
                return None
            before = Webhook.read(entry.value)
            after = change(before)
            if after == before:
                return before
            try:
                await self._bucket.put(f"endpoint.{id}", after.model_dump_json().encode(), revision=entry.revision)
            except WrongSequenceError:
                continue
            return after
        raise TransientError("the webhook is being changed by others")

    async def remove(self, id: str) -> None:
        await self._bucket.delete(f"endpoint.{id}")
        await self._bucket.delete(f"health.{id}")

    async def health(self, id: str) -> Health | None:
        """Return since when every attempt has failed; None where the last one succeeded."""
        entry = await self._bucket.get(f"health.{id}")
        return Health.read(entry.value) if entry is not None else None

    async def with_health(self, id: str) -> tuple[Webhook | None, Health | None]:
        webhook, health = await asyncio.gather(self.find(id), self.health(id))
        return webhook, health

    async def set_health(self, id: str, health: Health | None) -> None:
        """Store or clear it. Of two processes that do so at once, the later one counts."""
        if health is None:
            await self._bucket.delete(f"health.{id}")
        else:
            await self._bucket.put(f"health.{id}", health.model_dump_json().encode())

    def wrapped(self, webhook: str, secret: bytes, now: datetime) -> StoredSecret:
        """Return a new secret as it is stored."""
        stored = wrap(self._bus.master_keys, self._random, secret, _about(webhook))
        return StoredSecret(wrapped=base64.b64encode(stored).decode(), created_at=now)

    def secrets(self, webhook: Webhook, now: datetime) -> list[bytes]:
        """Return the secrets that sign now, the newest first. Raises PermanentError when no master key opens one."""
        valid = [item for item in webhook.secrets if item.until is None or now < item.until]
        what = "the secret of a webhook"
        return [
            unwrap(self._bus.master_keys, base64.b64decode(item.wrapped), _about(webhook.id), what) for item in valid
        ]


def _about(webhook: str) -> str:
    return f"$KV.{BUCKET}.endpoint.{webhook}"
