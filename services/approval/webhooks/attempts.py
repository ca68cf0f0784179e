"""Attempts of deliveries, in the stream NOTIFY beside the deliveries themselves."""

from uuid import uuid5

from nats.aio.msg import Msg
from pydantic import ValidationError

from services.approval.webhooks.webhook import STREAM, Attempt, WebhookDelivery
from shared.contracts.subjects import NAMESPACE, webhook_attempt_subject
from shared.messaging.connection import NatsConnection
from shared.messaging.stream_pages import read_stream_pages

WINDOW = 512  # messages of the stream that are searched first, backwards


class WebhookAttempts:
    def __init__(self, bus: NatsConnection) -> None:
        self._bus = bus

    async def record(self, attempt: Attempt) -> None:
        data = attempt.model_dump_json().encode()
        id = str(uuid5(NAMESPACE, f"{attempt.delivery.subject}/{attempt.message}/{attempt.at.isoformat()}"))
        await self._bus.publish(attempt.delivery.attempts_subject, data, stream=STREAM, id=id)

    async def last(self, delivery: WebhookDelivery) -> Attempt | None:
        """Return the last attempt of a delivery."""
        return await self.find(delivery.webhook, delivery.id)

    async def find(self, webhook: str, delivery: str) -> Attempt | None:
        """Return the last attempt of the delivery with this id; None where there was none."""
        found = await self._bus.direct_get(STREAM, {"last_by_subj": webhook_attempt_subject(webhook, delivery)})
        return _read(found[0].data) if found else None

    async def is_done(self, delivery: WebhookDelivery, message: int) -> bool:
        """Return whether this message, or one enqueued after it, was delivered."""
        last = await self.last(delivery)
        return last is not None and last.outcome == "delivered" and last.message >= message

    async def latest(self, webhook: str, limit: int, before: int | None = None) -> tuple[list[Attempt], int | None]:
        """Return the last `limit` attempts of a webhook, the latest first, and what to pass as `before` for the next.

        `before` is a sequence of the stream. A page has fewer attempts where some cannot be read.

        The server reads streams forwards only: a window at the end of the stream is widened until it has enough.
        """
        filter = webhook_attempt_subject(webhook, "*")
        last = await self._bus.direct_get(STREAM, {"last_by_subj": filter})
        if not last:
            return [], None
        end, width = _sequence(last[0]), WINDOW
        if before is not None:
            end = min(end, before - 1)
        while True:
            start = max(1, end - width + 1)
            found: list[Msg] = []
            async for page in read_stream_pages(self._bus, STREAM, filter, start=start):
                found = [*found, *(message for message in page if _sequence(message) <= end)][-limit - 1 :]
                if _sequence(page[-1]) > end:
                    break
            if len(found) > limit or start == 1:
                shown = found[-limit:]
                read = (_read(message.data) for message in reversed(shown))
                following = _sequence(shown[0]) if len(found) > limit else None
                return [item for item in read if item is not None], following
            width *= 4


def _sequence(message: Msg) -> int:
    return int((message.headers or {})["Nats-Sequence"])


def _read(data: bytes) -> Attempt | None:
    try:
        return Attempt.read(data)
    except ValidationError:
        return None  # of a version that this process does not know
