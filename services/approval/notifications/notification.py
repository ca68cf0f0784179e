"""A notification: one message to one channel about one escalation."""

from datetime import datetime, tzinfo
from typing import Literal

from pydantic import ValidationError

from services.approval.escalation.rules import TAKES_OVER
from services.approval.notifications.channels import NotifyType
from shared.contracts.errors import PermanentError
from shared.contracts.model import Model
from shared.contracts.subjects import notification_subject, receipt_subject
from shared.web.local_time import local

STREAM = "NOTIFY"


class Notification(Model):
    """What the bus carries: ids, a level and a time. The channel's address is looked up when the message is sent."""

    department: str
    case: str
    escalation: str  # id of the `escalated` event
    level: int
    since: datetime  # when the review was asked for
    channel: str  # key of the channel in the directory
    # What a person has to do. transfer: take the signed document to the chart; `escalation` is the signature's event.
    # reminder: decide about the review that is `owner`'s; `escalation` is the reminder's id.
    about: Literal["review", "transfer", "reminder"] = "review"
    owner: str | None = None  # FHIR reference

    @property
    def subject_key(self) -> str:
        """Return the last tokens of the message's subjects, which identify it."""
        return f"{self.case}.{self.escalation}.{self.channel}"

    @property
    def subject(self) -> str:
        return notification_subject(self.case, self.escalation, self.channel)

    @property
    def receipt(self) -> str:
        """Return the subject of the receipt that it was sent."""
        return receipt_subject(self.case, self.escalation, self.channel)

    @property
    def notify_type(self) -> NotifyType:
        return "failure" if self.level >= TAKES_OVER else "warning"

    @property
    def title(self) -> str:
        if self.about == "transfer":
            return "A signed document waits for its transfer to the chart"
        if self.about == "reminder":
            return "Reminder: a discharge summary waits for its review"
        return f"A discharge summary waits for its review: escalation {self.level} of {TAKES_OVER}"

    def text(self, link: str, zone: tzinfo | None = None) -> str:
        """Return the text. It leaves the hospital: no name, no diagnosis, no reference to the patient."""
        since = local(self.since, zone, "%Y-%m-%d %H:%M %Z")
        if self.about == "transfer":
            where = f"Document: {link}" if link else f"Case: {self.case}"
            return f"Department: {self.department}\nSigned: {since}\n{where}\n"
        where = f"Review: {link}" if link else f"Case: {self.case}"
        if self.about == "reminder":
            owner = self.owner or "nobody"
            return f"Department: {self.department}\nWaiting since: {since}\nOwner: {owner}\n{where}\n"
        return f"Department: {self.department}\nWaiting since: {since}\nEscalation: {self.level}\n{where}\n"


def read_notification(subject: str, data: bytes) -> Notification:
    """Read the notification in a message.

    Raises PermanentError where it breaks the contract.
    """
    try:
        notice = Notification.read(data)
    except ValidationError:
        raise PermanentError("a notice breaks the contract") from None
    if notice.subject != subject:
        raise PermanentError("the subject of a notification does not match its content")
    return notice
