"""Reminders to the owners of open reviews, by the channels of their department.

The last reminder of a review is an entry of the bucket `department`, written before any message: of requests at the
same time one wins, and the same request sent again finishes what it began.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta

from services.approval import domain
from services.approval.escalation import rules as escalation_rules
from services.approval.escalation.directory import Directory
from services.approval.notifications.handlers import enqueue
from services.approval.notifications.notification import Notification
from services.approval.review.case_reader import CaseReader, current
from services.approval.review.errors import DecisionRefusedError
from shared.contracts.model import Model
from shared.contracts.subjects import CaseRef, derived_id
from shared.messaging.buckets import Bucket, KvEntry
from shared.messaging.connection import NatsConnection, WrongSequenceError
from shared.messaging.steps import Clock
from shared.runtime.authentication import Caller

BUCKET = "department"
LEVEL = 1  # the channels that the department has for its first escalation
PAUSE = timedelta(hours=1)  # between two reminders of one review
KEPT_S = 90 * 86_400  # seconds; as long as the messages


class Reminder(Model):
    """The last reminder of a review."""

    request_id: str  # id of the submitted form
    case: str
    at: datetime
    by: str  # subject of the caller
    name: str | None = None  # of the caller
    owner: str | None = None  # whose review it was
    since: datetime  # when the review was requested
    channels: tuple[str, ...]  # keys

    @property
    def next_allowed_at(self) -> datetime:
        return self.at + PAUSE


class ReminderService:
    def __init__(self, bus: NatsConnection, cases: CaseReader, directory: Directory, clock: Clock) -> None:
        self._bus = bus
        self._cases = cases
        self._directory = directory
        self._clock = clock
        self._bucket = Bucket(bus, BUCKET)

    def possible(self, department: str) -> bool:
        """Return whether the department has a channel that a reminder can be sent to."""
        return bool(self._directory.channels(department, LEVEL))

    async def last(self, case_id: str) -> Reminder | None:
        entry = await self._bucket.get(_key(case_id))
        return Reminder.read(entry.value) if entry is not None else None

    async def of(self, cases: Sequence[str]) -> dict[str, Reminder]:
        """Return the last reminders of these cases, with one request."""
        if not cases:
            return {}
        subjects = [f"$KV.{BUCKET}.{_key(case)}" for case in cases]
        found = await self._bus.direct_get(f"KV_{BUCKET}", {"multi_last": subjects, "batch": len(subjects)})
        reminders = [Reminder.read(message.data) for message in found if message.data]
        return {item.case: item for item in reminders}

    async def remind(self, case_id: str, by: Caller, request_id: str) -> Reminder:
        """Remind the owner of an open review; the request `request_id` sent again has no further effect.

        Raises DecisionRefusedError: where the review is decided, was reminded of within PAUSE, or has no channel.
        """
        history = await self._cases.history(case_id)
        ref, case = current(case_id, history)
        by = await self._cases.authorize(ref, case, by, "reassign")
        entry = await self._bucket.get(_key(case_id))
        if (last := _read(entry)) is not None and last.request_id == request_id:
            await self._send(ref, last)
            return last
        domain.open_review(case, case.review.draft.digest if case.review else "")
        since = escalation_rules.waiting_since(history)
        channels = tuple(item.key for item in self._directory.channels(ref.department, LEVEL))
        if not channels or since is None:
            words = f"The department {ref.department} has no notification channel: nothing can be sent."
            raise DecisionRefusedError("no-channel", words)
        now = self._clock()
        if last is not None and now < last.next_allowed_at:
            raise _too_soon(last)
        reminder = Reminder(
            request_id=request_id,
            case=case_id,
            at=now,
            by=by.subject,
            name=by.name,
            owner=case.owner,
            since=since,
            channels=channels,
        )
        await self._store(reminder, entry)
        await self._send(ref, reminder)
        return reminder

    async def _store(self, reminder: Reminder, before: KvEntry | None) -> None:
        """Store the reminder. Raises DecisionRefusedError where somebody else reminds at the same time."""
        data = reminder.model_dump_json().encode()
        revision = before.revision if before is not None else 0
        try:
            await self._bucket.put(_key(reminder.case), data, revision=revision, ttl=KEPT_S)
        except WrongSequenceError:
            other = await self.last(reminder.case)
            raise _too_soon(other or reminder) from None

    async def _send(self, ref: CaseRef, reminder: Reminder) -> None:
        """Enqueue one message for each channel; repeating it adds nothing."""
        for channel in reminder.channels:
            await enqueue(
                self._bus,
                Notification(
                    department=ref.department,
                    case=ref.id,
                    escalation=derived_id(f"{ref.id}/{reminder.request_id}", "reminder"),
                    level=LEVEL,
                    since=reminder.since,
                    channel=channel,
                    about="reminder",
                    owner=reminder.owner,
                ),
            )


def _key(case_id: str) -> str:
    return f"reminder.{case_id}"


def _read(entry: KvEntry | None) -> Reminder | None:
    return Reminder.read(entry.value) if entry is not None else None


def _too_soon(last: Reminder) -> DecisionRefusedError:
    words = f"{last.name or last.by} sent a reminder at {last.at:%H:%M} UTC; the next one is possible from "
    return DecisionRefusedError("reminded", f"{words}{last.next_allowed_at:%H:%M} UTC.")
