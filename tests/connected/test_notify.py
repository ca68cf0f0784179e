"""One message to one channel: sent once, whatever overlaps, times out or is lost. Real bus, a channel that is told."""

import asyncio
import threading
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta, tzinfo
from pathlib import Path
from typing import Any

import pytest

from services.approval.escalation.directory import Directory
from services.approval.escalation.directory_file import read
from services.approval.notifications.handlers import NotificationDispatcher
from services.approval.notifications.notification import Notification
from services.approval.notifications.transfer import TransferNotifier
from shared.contracts.envelope import CHAIN_START
from shared.contracts.errors import TransientError
from shared.messaging.connection import NatsConnection
from shared.messaging.event_store import EventStore
from tests.support.channels import write_directory
from tests.support.examples import CASE, T0, event
from tests.support.memory import Delivery, StoredMessage
from tests.support.server import NatsServer
from tests.support.stack import NEVER, until

pytestmark = pytest.mark.connected

LINK = "https://countersign.test/reviews/x"


class Channel:
    """What takes messages in place of the library: it counts, and holds each for as long as it is `shut`."""

    def __init__(self) -> None:
        self.sent: list[tuple[str, ...]] = []
        self.begun = 0
        self.fails = 0
        self._open = threading.Event()
        self._open.set()

    def shut(self) -> None:
        self._open.clear()

    def open(self) -> None:
        self._open.set()

    def __call__(self, *message: str) -> None:
        self.begun += 1
        assert self._open.wait(20)
        if self.fails:
            self.fails -= 1
            raise TransientError("told to fail")
        self.sent.append(message)


class Bench:
    """An escalated case on a real bus, and what tells of it."""

    def __init__(self, bus: NatsConnection, file: Path, threads: ThreadPoolExecutor) -> None:
        self.bus = bus
        self.channel = Channel()
        self.threads = threads
        self.directory = Directory(None, {}, NEVER, read(file))  # type: ignore[arg-type]
        self.notify = self.fresh()
        self.journal = EventStore(bus, "approval")

    def fresh(self) -> NotificationDispatcher:
        """As after a restart: nothing is remembered."""
        return NotificationDispatcher(
            self.bus, self.directory, lambda case: LINK, lambda: T0, self.channel, self.threads, dict[str, tzinfo]().get
        )

    async def append(self, *names: str) -> None:
        for name in names:
            history = await self.journal.history(CASE)
            after = history[-1].head if history else CHAIN_START
            await self.journal.append(CASE, event(name), after=after, id=f"{name}-{after.sequence}", time=T0)

    async def announce(self) -> Notification:
        """Put up what there is to say of the latest escalation; returns the one message."""
        stored = (await self.journal.stored(CASE.filter))[-1]
        kept = StoredMessage("DISCHARGE", stored.sequence, stored.subject, dict(stored.headers), stored.data)
        await self.notify.announce(Delivery(kept, 1))  # type: ignore[arg-type]
        (found,) = await self.under("notify.>")
        return Notification.model_validate_json(found.data)

    async def under(self, subjects: str) -> list[Any]:
        return await self.bus.direct_get("NOTIFY", {"seq": 1, "next_by_subj": subjects, "batch": 10})

    async def deliver(self, notice: Notification, attempt: int = 1) -> None:
        kept = StoredMessage("NOTIFY", 1, notice.subject, {}, notice.model_dump_json().encode())
        await self.notify.deliver(Delivery(kept, attempt))  # type: ignore[arg-type]


@pytest.fixture
async def bench(nats: NatsServer, tmp_path: Path) -> AsyncIterator[Bench]:
    await nats.provision()
    bus = await nats.connect("admin")
    threads = ThreadPoolExecutor(4)
    made = Bench(bus, write_directory(tmp_path / "directory.yaml", "json://127.0.0.1/x"), threads)
    await made.append("discharged", "context-extracted", "drafted", "review-requested", "escalated")
    yield made
    made.channel.open()
    threads.shutdown()
    await bus.close()


async def begun(bench: Bench) -> None:
    async def there() -> bool:
        return bench.channel.begun > 0

    await until(there, "the message to be on its way")


async def test_an_escalation_is_put_up_once_also_long_after_the_dedupe_window(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    await bench.announce()
    real = NatsConnection.publish

    async def without_id(bus: NatsConnection, *args: Any, **sent: Any) -> Any:
        return await real(bus, *args, **sent | {"id": None})

    monkeypatch.setattr(NatsConnection, "publish", without_id)
    await bench.announce()
    assert len(await bench.under("notify.>")) == 1


async def test_two_deliveries_at_once_send_one_message(bench: Bench) -> None:
    notice = await bench.announce()
    bench.channel.shut()
    both = asyncio.gather(bench.deliver(notice), bench.deliver(notice, attempt=2))
    await begun(bench)
    bench.channel.open()
    await both
    assert len(bench.channel.sent) == 1
    address, title, text, weight = bench.channel.sent[0]
    assert (address, weight) == ("json://127.0.0.1/x", "warning")
    assert title.endswith("escalation 1 of 3")
    assert LINK in text


async def test_an_attempt_that_ran_out_of_time_is_waited_for_and_not_repeated(bench: Bench) -> None:
    notice = await bench.announce()
    bench.channel.shut()
    first = asyncio.create_task(bench.deliver(notice))
    await begun(bench)
    first.cancel()
    second = asyncio.create_task(bench.deliver(notice, attempt=2))
    bench.channel.open()
    await second
    assert len(bench.channel.sent) == 1
    assert len(await bench.under("notified.>")) == 1


async def test_a_message_whose_receipt_was_not_stored_is_not_sent_again_by_the_same_process(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    notice = await bench.announce()

    async def lost(*args: Any, **sent: Any) -> Any:
        raise TransientError("told to fail")

    with monkeypatch.context() as patch:
        patch.setattr(NatsConnection, "publish", lost)
        with pytest.raises(TransientError):
            await bench.deliver(notice)
    await bench.deliver(notice, attempt=2)
    assert len(bench.channel.sent) == 1
    bench.notify = bench.fresh()
    await bench.deliver(notice, attempt=3)
    assert len(bench.channel.sent) == 1, "the receipt is found after a restart"


async def test_a_failure_is_tried_again(bench: Bench) -> None:
    notice = await bench.announce()
    bench.channel.fails = 1
    with pytest.raises(TransientError):
        await bench.deliver(notice)
    await bench.deliver(notice, attempt=2)
    assert len(bench.channel.sent) == 1


@pytest.mark.parametrize("name", ["approved", "rejected", "withdrawn", "reassigned"])
async def test_nothing_is_sent_once_the_clock_has_ended(bench: Bench, name: str) -> None:
    notice = await bench.announce()
    if name == "reassigned":
        history = await bench.journal.history(CASE)
        due = tuple(T0 + wait for wait in (timedelta(days=1), timedelta(days=2), timedelta(days=3)))
        made = event("reassigned").model_copy(update={"deadlines": due})
        await bench.journal.append(CASE, made, after=history[-1].head, id="r", time=T0)
    else:
        await bench.append(name)
    await bench.deliver(notice)
    assert bench.channel.sent == []
    assert await bench.under("notified.>") == []


async def test_a_document_to_be_transferred_is_told_once_and_not_after_it_is_filed(bench: Bench) -> None:
    await bench.append("approved")
    (*_, decision) = await bench.journal.history(CASE)
    notifier = TransferNotifier(bench.bus, bench.directory)
    await notifier.notify(decision)
    await notifier.notify(decision)
    (found,) = await bench.under("notify.>")
    notice = Notification.model_validate_json(found.data)
    await bench.deliver(notice)
    ((_, title, text, _),) = bench.channel.sent
    assert title == "A signed document waits for its transfer to the chart"
    assert LINK in text
    await bench.append("filed")
    bench.notify = bench.fresh()
    await bench.deliver(notice.model_copy(update={"channel": "another"}))
    assert len(bench.channel.sent) == 1


@pytest.mark.parametrize("after", ["approved", "reassigned"])
async def test_a_reminder_is_sent_to_the_owner_and_dropped_once_it_is_not_their_review(
    bench: Bench, after: str
) -> None:
    escalation = await bench.announce()
    changes = {"about": "reminder", "owner": "Practitioner/dr-1", "escalation": "r-1"}
    reminder = escalation.model_copy(update=changes)
    await bench.deliver(reminder)
    ((_, title, text, _),) = bench.channel.sent
    assert title == "Reminder: a discharge summary waits for its review"
    assert "Owner: Practitioner/dr-1\n" in text
    await bench.append(after)
    await bench.deliver(reminder.model_copy(update={"escalation": "r-2"}))
    assert len(bench.channel.sent) == 1
