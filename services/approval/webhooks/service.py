"""What operators do with webhooks: register, change, test, rotate the secret, look at deliveries, send one again."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from services.approval.event_feed.message import CaseEventMessage
from services.approval.webhooks.attempts import WebhookAttempts
from services.approval.webhooks.registry import WebhookRegistry
from services.approval.webhooks.rules import WebhookAddresses
from services.approval.webhooks.sender import Answer, WebhookSender
from services.approval.webhooks.signing import SECRET_BYTES, secret_text
from services.approval.webhooks.webhook import STREAM, TEST_TYPE, Attempt, Health, StoredSecret, Webhook
from shared.contracts.errors import PermanentError
from shared.messaging.connection import NatsConnection
from shared.messaging.dead_letter_queue import publish_alert
from shared.messaging.event_store import STREAM as EVENT_STREAM
from shared.messaging.master_keys import RandomBytes
from shared.messaging.steps import Clock
from shared.runtime.authentication import Caller

MAX_WEBHOOKS = 100  # each event costs a request to NATS for every one that gets it
OVERLAP = timedelta(hours=24)  # in which the previous secret signs beside the new one


class UnknownWebhookError(Exception):
    """There is no such webhook, or the caller may not see it; or it has no such delivery."""


class WebhookRefusedError(Exception):
    """The request is not allowed in this state. The message says why."""


@dataclass(frozen=True, slots=True)
class RegisteredWebhook:
    """A webhook, and since when every attempt has failed."""

    webhook: Webhook
    health: Health | None = None


@dataclass(frozen=True, slots=True)
class WebhookFields:
    """What a caller states about a webhook."""

    url: str
    types: tuple[str, ...] = ()
    departments: tuple[str, ...] = ()
    description: str = ""


class WebhookService:
    def __init__(
        self,
        bus: NatsConnection,
        registry: WebhookRegistry,
        sender: WebhookSender,
        clock: Clock,
        new_id: Callable[[], str],
        random: RandomBytes,
    ) -> None:
        self._bus = bus
        self._registry = registry
        self._sender = sender
        self._attempts = WebhookAttempts(bus)
        self._clock = clock
        self._new_id = new_id
        self._random = random

    @property
    def addresses(self) -> WebhookAddresses:
        return self._sender.addresses

    async def visible(self, who: Caller) -> list[RegisteredWebhook]:
        """Return the webhooks that the caller may see, the oldest first."""
        found = [item for item in await self._registry.all() if item.visible_to(who.departments)]
        found.sort(key=lambda item: (item.created_at, item.id))
        return [RegisteredWebhook(item, await self._registry.health(item.id)) for item in found]

    async def find(self, who: Caller, id: str) -> RegisteredWebhook:
        """Return a webhook. Raises UnknownWebhookError."""
        webhook, health = await self._registry.with_health(id)
        if webhook is None or not webhook.visible_to(who.departments):
            raise UnknownWebhookError
        return RegisteredWebhook(webhook, health)

    async def add(
        self, who: Caller, fields: WebhookFields, operation: str | None = None
    ) -> tuple[RegisteredWebhook, str]:
        """Register a webhook for the events from now on; return it with its secret, which is not shown again.

        `operation` is its id, from the caller's `Idempotency-Key`: also if the process ends before its answer is
        stored, there is one webhook. Raises NotAllowedError for a URL that webhooks may not reach, WebhookRefusedError.
        """
        self.addresses.check_url(fields.url)
        id = operation or self._new_id()
        if operation is not None and (earlier := await self._registry.find(id)) is not None:
            return self._repeated(earlier, fields)
        if len(await self._registry.all()) >= MAX_WEBHOOKS:
            raise WebhookRefusedError(f"There are {MAX_WEBHOOKS} webhooks already.")
        secret, now = self._random(SECRET_BYTES), self._clock()
        webhook = Webhook(
            id=id,
            url=fields.url,
            types=fields.types,
            departments=fields.departments,
            description=fields.description,
            after=await self._end_of_events(),
            created_at=now,
            created_by=who.subject,
            secrets=(self._registry.wrapped(id, secret, now),),
        )
        self._ensure_visible(who, webhook)
        if not await self._registry.add(webhook):
            if (other := await self._registry.find(id)) is None:
                raise WebhookRefusedError("The webhook of this Idempotency-Key was removed. Use another key.")
            return self._repeated(other, fields)
        await publish_alert(self._bus, "info", "webhook-registered", id=id, webhook=id, by=who.subject)
        return RegisteredWebhook(webhook), secret_text(secret)

    def _repeated(self, webhook: Webhook, fields: WebhookFields) -> tuple[RegisteredWebhook, str]:
        """Return a webhook that the same request has registered before, with the newest secret."""
        if WebhookFields(webhook.url, webhook.types, webhook.departments, webhook.description) != fields:
            raise WebhookRefusedError("The Idempotency-Key was used for a webhook with other fields.")
        return RegisteredWebhook(webhook), secret_text(self._registry.secrets(webhook, self._clock())[0])

    async def change(self, who: Caller, id: str, changes: dict[str, Any]) -> RegisteredWebhook:
        """Change a webhook. One that is enabled again gets the events from then on.

        Raises UnknownWebhookError, NotAllowedError, WebhookRefusedError.
        """
        before = (await self.find(who, id)).webhook
        if "url" in changes:
            self.addresses.check_url(changes["url"])
        update = dict(changes)
        enabled = update.pop("enabled", None)
        if enabled is False and before.enabled:
            update |= {"enabled": False, "disabled_because": "person", "disabled_at": self._clock()}
        elif enabled and not before.enabled:
            update |= {"enabled": True, "disabled_because": None, "disabled_at": None}
            update["after"] = await self._end_of_events()
            await self._registry.set_health(id, None)
        self._ensure_visible(who, before.model_copy(update=update))
        after = await self._registry.change(id, lambda item: item.model_copy(update=update))
        if after is None:
            raise UnknownWebhookError
        if after.url != before.url:
            key = f"{id}-{self._clock().isoformat()}"
            await publish_alert(self._bus, "info", "webhook-changed", id=key, webhook=id, by=who.subject)
        return RegisteredWebhook(after, await self._registry.health(id))

    async def remove(self, who: Caller, id: str) -> None:
        """Remove a webhook. Deliveries that wait are dropped. Raises UnknownWebhookError."""
        await self.find(who, id)
        await self._registry.remove(id)

    async def rotate(self, who: Caller, id: str) -> tuple[RegisteredWebhook, str]:
        """Return a new secret. The one before signs beside it for `OVERLAP`. Raises UnknownWebhookError."""
        await self.find(who, id)
        secret, now = self._random(SECRET_BYTES), self._clock()
        new = self._registry.wrapped(id, secret, now)

        def rotated(webhook: Webhook) -> Webhook:
            previous = webhook.secrets[0].model_copy(update={"until": now + OVERLAP})
            secrets: tuple[StoredSecret, ...] = (new, previous)
            return webhook.model_copy(update={"secrets": secrets})

        after = await self._registry.change(id, rotated)
        if after is None:
            raise UnknownWebhookError
        return RegisteredWebhook(after), secret_text(secret)

    async def test(self, who: Caller, id: str) -> tuple[str, Answer]:
        """Send a test event now, also to a disabled webhook; return its id and the answer. It is not sent again.

        Raises UnknownWebhookError.
        """
        webhook = (await self.find(who, id)).webhook
        message, now = self._new_id(), self._clock()
        event = {
            "specversion": "1.0",
            "id": message,
            "source": "countersign/approval",
            "type": TEST_TYPE,
            "time": now.isoformat(),
            "subject": f"webhook/{id}",
            "datacontenttype": "application/json",
            "data": {"webhook": id},
        }
        return message, await self._sender.post(webhook.url, message, event, self._registry.secrets(webhook, now))

    async def deliveries(
        self, who: Caller, id: str, limit: int, before: int | None = None
    ) -> tuple[list[Attempt], int | None]:
        """Return the last attempts before a position, the latest first, and the position of the next page.

        Raises UnknownWebhookError.
        """
        await self.find(who, id)
        return await self._attempts.latest(id, limit, before)

    async def redeliver(self, who: Caller, id: str, delivery: str) -> CaseEventMessage:
        """Send a delivery again, with the same id. Raises UnknownWebhookError, WebhookRefusedError."""
        webhook = (await self.find(who, id)).webhook
        last = await self._attempts.find(id, delivery)
        if last is None:
            raise UnknownWebhookError
        if not webhook.enabled:
            raise WebhookRefusedError("The webhook is disabled: enable it first.")
        if last.outcome == "failed":
            raise WebhookRefusedError("It is still being tried.")
        message = last.delivery
        if (message.webhook, message.id) != (id, delivery):
            raise PermanentError("the record of an attempt does not match its subject")
        # Two requests cause one redelivery.
        key = f"{id}.{delivery}.after.{last.message}"
        await self._bus.publish(message.subject, message.model_dump_json().encode(), stream=STREAM, id=key)
        return message.event

    async def _end_of_events(self) -> int:
        info = await self._bus.jetstream.stream_info(EVENT_STREAM)
        return info.state.last_seq

    def _ensure_visible(self, who: Caller, webhook: Webhook) -> None:
        if not webhook.visible_to(who.departments):
            raise WebhookRefusedError("This token is for single departments: name only those of its departments.")
