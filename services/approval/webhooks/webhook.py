"""What is stored about a webhook, its deliveries and their attempts."""

from collections.abc import Collection
from datetime import datetime
from typing import Literal

from pydantic import ValidationError

from services.approval.event_feed.message import CaseEventMessage
from shared.contracts.errors import PermanentError
from shared.contracts.model import Model
from shared.contracts.subjects import derived_id, webhook_attempt_subject, webhook_delivery_subject

STREAM = "NOTIFY"
TEST_TYPE = "countersign.webhook.test.v1"

# gone: the endpoint answered 410. failing: no delivery has succeeded for days. person: an operator disabled it.
DisabledBecause = Literal["gone", "failing", "person"]
# delivered: a 2xx answer. failed: it is tried again. given-up: it is not, and there is a dead letter.
Outcome = Literal["delivered", "failed", "given-up"]


class StoredSecret(Model):
    """A signing secret, wrapped by the master key (master_keys.py) and in base64."""

    wrapped: str
    created_at: datetime
    until: datetime | None = None  # the previous secret signs beside the new one until then


class Webhook(Model):
    """An endpoint of an integrator. Empty `types` and `departments` mean all."""

    id: str
    url: str  # may hold a secret of the receiver: it is in no log, error or subject
    types: tuple[str, ...] = ()
    departments: tuple[str, ...] = ()
    description: str = ""
    enabled: bool = True
    disabled_because: DisabledBecause | None = None
    disabled_at: datetime | None = None
    after: int  # sequence in the event stream: earlier events are not sent
    created_at: datetime
    created_by: str
    secrets: tuple[StoredSecret, ...]  # the newest first

    def wants(self, event: CaseEventMessage) -> bool:
        return (
            self.enabled
            and event.sequence > self.after
            and (not self.types or event.event in self.types)
            and (not self.departments or event.department in self.departments)
        )

    def visible_to(self, departments: Collection[str] | None) -> bool:
        """Return whether a caller of these departments (None: all) may see and change it: it sends nothing else."""
        return departments is None or (bool(self.departments) and set(self.departments) <= set(departments))


class Health(Model):
    """Since when every attempt has failed, and whether an alert was sent about that."""

    failing_since: datetime
    alerted: bool = False


class WebhookDelivery(Model):
    """An event on its way to a webhook. `id` is the header `webhook-id` of every attempt."""

    webhook: str
    id: str
    event: CaseEventMessage

    @classmethod
    def of(cls, webhook: str, event: CaseEventMessage) -> "WebhookDelivery":
        return cls(webhook=webhook, id=derived_id(event.id, f"webhook/{webhook}"), event=event)

    @property
    def subject(self) -> str:
        return webhook_delivery_subject(self.webhook, self.id)

    @property
    def attempts_subject(self) -> str:
        return webhook_attempt_subject(self.webhook, self.id)


class Attempt(Model):
    """One attempt of a delivery."""

    delivery: WebhookDelivery
    message: int  # sequence of the delivery's message: a delivery that is enqueued again has a higher one
    at: datetime
    outcome: Outcome
    status: int | None = None  # of the answer; None: there was none
    reason: str = ""
    seconds: float = 0.0


def read_delivery(subject: str, data: bytes) -> WebhookDelivery:
    """Read the delivery in a message. Raises PermanentError where it breaks the contract."""
    try:
        found = WebhookDelivery.read(data)
    except ValidationError:
        raise PermanentError("a webhook delivery breaks the contract") from None
    if found.subject != subject:
        raise PermanentError("the subject of a webhook delivery does not match its content")
    return found
