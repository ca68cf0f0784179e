"""The subscriber with one standing request, on a connection that does what the test says."""

import asyncio
import json
from collections.abc import Awaitable, Callable

import pytest
from faststream.nats import NatsBroker
from nats import errors
from nats.aio.msg import Msg

from shared.messaging import pull_subscriber
from shared.messaging.pull_subscriber import StandingPullSubscriber, raw_message

NEXT = "$JS.API.CONSUMER.MSG.NEXT.ORDERS.worker"


class Connection:
    """What the subscriber uses of a client of nats-py, with what was asked of the server."""

    def __init__(self) -> None:
        self.batches: list[int] = []
        self.answers: list[bytes] = []  # ACK, NAK, TERM
        self.subscribed = False
        self.lost = False
        self.asked_again = asyncio.Event()
        self.deliver: Callable[[Msg], Awaitable[None]]

    def new_inbox(self) -> str:
        return "_INBOX.1"

    async def subscribe(self, _: str, *, cb: Callable[[Msg], Awaitable[None]]) -> "Connection":
        self.deliver, self.subscribed = cb, True
        return self

    async def unsubscribe(self) -> None:
        self.subscribed = False

    async def publish(self, subject: str, data: bytes = b"", *, reply: str = "") -> None:
        if self.lost:
            raise errors.ConnectionClosedError
        if subject == NEXT:
            assert reply == "_INBOX.1"
            request = json.loads(data)
            assert request["expires"] > request["idle_heartbeat"] > 0
            self.batches.append(request["batch"])
            if len(self.batches) > 1:
                self.asked_again.set()
        else:
            self.answers.append(data)

    async def message(self, number: int = 1) -> None:
        reply = f"$JS.ACK.ORDERS.worker.1.{number}.{number}.1767225600000000000.0"
        await self.deliver(Msg(_client=self, subject="orders.new", reply=reply, data=b"{}"))  # type: ignore[arg-type]

    async def status(self, code: str, **headers: str) -> None:
        await self.deliver(Msg(_client=self, headers={"Status": code, **headers}))  # type: ignore[arg-type]


class Work:
    """A handler whose messages end when they are told to."""

    def __init__(self) -> None:
        self.open: list[asyncio.Event] = []
        self.most = 0
        self.running = 0
        self.cancelled = 0

    async def handle(self, message: Msg) -> None:
        self.running += 1
        self.most = max(self.most, self.running)
        self.open.append(event := asyncio.Event())
        try:
            await event.wait()
            await message.ack()
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        finally:
            self.running -= 1

    async def end(self, count: int) -> None:
        for _ in range(count):
            self.open.pop(0).set()
        await settled()


async def settled() -> None:
    """Everything that can run has run."""
    for _ in range(20):
        await asyncio.sleep(0)


async def started(connection: Connection, work: Work, workers: int = 4) -> StandingPullSubscriber:
    broker = NatsBroker(logger=None, apply_types=False, decoder=raw_message, graceful_timeout=None)
    broker.config.connection_state.connect(connection, None)  # type: ignore[arg-type]
    broker._setup_logger()
    made = pull_subscriber.pull_subscriber(
        broker, stream="ORDERS", durable="worker", filter_subjects=["orders.new"], max_workers=workers
    )
    made(work.handle)
    assert broker.subscribers == [made]
    await made.start()
    return made


@pytest.fixture
def parts() -> tuple[Connection, Work]:
    return Connection(), Work()


async def test_one_request_stands_and_is_renewed_when_half_of_it_is_used(parts: tuple[Connection, Work]) -> None:
    connection, work = parts
    made = await started(connection, work)
    assert connection.batches == [4]
    for number in range(4):
        await connection.message(number)
        await settled()
    assert connection.batches == [4], "no more is asked for than there is room"
    assert work.running == 4
    await work.end(1)
    assert connection.batches == [4, 1], "nothing stands any more"
    await work.end(1)
    assert connection.batches == [4, 1], "one more is not worth a request"
    await work.end(1)
    assert connection.batches == [4, 1, 2]
    await work.end(1)
    await made.stop()


async def test_no_more_messages_are_in_work_than_there_are_workers(parts: tuple[Connection, Work]) -> None:
    connection, work = parts
    made = await started(connection, work, workers=3)
    delivered = 0
    for _ in range(30):
        while delivered < sum(connection.batches):  # the server brings what it was asked for
            await connection.message(delivered)
            delivered += 1
        await settled()
        if work.open:
            await work.end(1)
    assert work.most == 3
    assert delivered > 20
    assert len(connection.answers) == delivered - work.running, "each is acknowledged by its handler"
    await work.end(len(work.open))
    await made.stop()


@pytest.mark.parametrize(("code", "again"), [("408", [4, 4]), ("409", [4]), ("100", [4])])
async def test_a_request_whose_time_is_up_is_followed_by_another(
    parts: tuple[Connection, Work], code: str, again: list[int]
) -> None:
    connection, work = parts
    made = await started(connection, work)
    await connection.status(code, **{"Nats-Pending-Messages": "4"} if code != "100" else {})
    assert connection.batches == again
    await made.stop()


@pytest.mark.parametrize("code", ["409", None])
async def test_a_request_that_the_server_has_lost_is_made_again(
    parts: tuple[Connection, Work], code: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pull_subscriber, "IDLE_HEARTBEAT", 0.01)
    connection, work = parts
    made = await started(connection, work)
    if code is not None:  # said so; otherwise it is silent
        await connection.status(code)
    await asyncio.wait_for(connection.asked_again.wait(), 10)
    assert connection.batches[:2] == [4, 4]
    await made.stop()


async def test_the_connection_is_asked_anew_after_a_loss(parts: tuple[Connection, Work]) -> None:
    connection, work = parts
    made = await started(connection, work)
    connection.lost = True
    await made.request_anew()
    connection.lost = False
    await made.request_anew()
    assert connection.batches == [4, 4]
    await made.stop()
    await made.request_anew()
    assert connection.batches == [4, 4], "who has stopped asks for nothing"


async def test_who_stops_takes_nothing_new_and_lets_work_end(parts: tuple[Connection, Work]) -> None:
    connection, work = parts
    made = await started(connection, work)
    await connection.message()
    await settled()
    stopping = asyncio.create_task(made.stop())
    await settled()
    assert not connection.subscribed
    await connection.message(2)  # it was on its way
    assert connection.answers[-1].startswith(b"-NAK")
    assert not stopping.done()
    await work.end(1)
    await stopping
    assert work.cancelled == 0
    assert connection.batches == [4]


async def test_work_that_does_not_end_is_cancelled(
    parts: tuple[Connection, Work], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pull_subscriber, "STOP_TIMEOUT_S", 0.01)
    connection, work = parts
    made = await started(connection, work)
    await connection.message()
    await settled()
    await made.stop()
    await settled()
    assert work.cancelled == 1
    assert not connection.answers, "it is delivered again"
