"""Takes messages from a durable pull consumer: as many as can be worked on, asked for in batches, never polled.

One standing request covers many messages, which is what a hop's CPU goes into otherwise.
https://github.com/nats-io/nats-architecture-and-design/blob/main/adr/ADR-37.md
"""

import asyncio
import json
import logging
from collections.abc import Awaitable, Callable
from contextlib import suppress

from nats import errors
from nats.aio.msg import Msg
from nats.aio.subscription import Subscription

from shared.messaging.connection import Bus
from shared.messaging.topology import Consumer

logger = logging.getLogger(__name__)

EXPIRES = 30.0  # seconds a request stands; finite, because a server that restarts never answers it
HEARTBEAT = 5.0
SILENCE = 2.5 * HEARTBEAT  # without a word for this long, the request is lost
GRACE = 4.0  # seconds that work gets when the process is told to stop: a process ends within ten, whatever it does
TIMES = {"expires": int(EXPIRES * 1e9), "idle_heartbeat": int(HEARTBEAT * 1e9)}  # the server reads nanoseconds

Receiver = Callable[[Msg], Awaitable[None]]


class Puller:
    """Hands the consumer's messages to `receive`, each in a task of its own, at most `target.workers` at once."""

    def __init__(self, bus: Bus, target: Consumer, receive: Receiver) -> None:
        self._bus = bus
        self._target = target
        self._receive = receive
        self._subject = f"$JS.API.CONSUMER.MSG.NEXT.{target.stream}.{target.name}"
        self._asked = 0  # messages that standing requests may still bring
        self._heard = 0.0  # loop time of the last message or heartbeat
        self._tasks: set[asyncio.Task[None]] = set()
        self._stopping = False

    async def start(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._inbox = self._bus.client.new_inbox()
        self._subscription: Subscription = await self._bus.client.subscribe(self._inbox, cb=self._on_message)
        self._bus.on_reconnect(self._ask_anew)
        self._watcher = asyncio.create_task(self._watch())
        await self._ask_anew()

    async def stop(self) -> None:
        """Take nothing new and let the work that runs come to its end."""
        self._stopping = True
        self._watcher.cancel()
        with suppress(errors.Error):  # the connection is gone, and the requests with it
            await self._subscription.unsubscribe()
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=GRACE)
        for task in self._tasks:
            task.cancel()  # the server delivers the message again, to whoever is there

    async def _on_message(self, message: Msg) -> None:
        self._heard = self._loop.time()
        status = (message.headers or {}).get("Status")
        if status is None and self._stopping:
            await message.nak()  # it came for a request that stood when we stopped: whoever is there takes it
        elif status is None:
            self._asked -= 1
            task = self._loop.create_task(self._work(message))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        elif status != "100":  # a request has ended: its time is up, or the consumer is gone for now
            self._asked = max(0, self._asked - int((message.headers or {}).get("Nats-Pending-Messages", self._asked)))
            if status == "408":
                await self._ask()

    async def _work(self, message: Msg) -> None:
        try:
            await self._receive(message)
        except errors.Error as error:  # the connection is gone: the server will deliver the message again
            logger.warning("%s: not acknowledged: %s", self._target.name, type(error).__name__)
        finally:
            await self._ask(done=1)

    async def _ask(self, done: int = 0) -> None:
        """Ask for what there is room for: when nothing stands any more, or when it is worth a request."""
        room = self._target.workers - (len(self._tasks) - done) - self._asked
        if self._stopping or room <= 0 or (self._asked > 0 and 2 * room < self._target.workers):
            return
        self._asked += room
        request = {"batch": room} | TIMES
        try:
            await self._bus.client.publish(self._subject, json.dumps(request).encode(), reply=self._inbox)
        except errors.Error as error:
            self._asked = 0
            logger.warning("%s: not asked for work: %s", self._target.name, type(error).__name__)

    async def _ask_anew(self) -> None:
        self._asked = 0
        self._heard = self._loop.time()
        await self._ask()

    async def _watch(self) -> None:
        while True:
            await asyncio.sleep(HEARTBEAT)
            if self._asked == 0 or self._loop.time() - self._heard > SILENCE:
                await self._ask_anew()
