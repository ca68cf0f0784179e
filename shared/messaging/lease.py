"""A lease in a key-value bucket: only the process that holds it may do the work.

It is taken by compare-and-set and ends by itself (`Nats-TTL`) when its holder has died. It is not renewed: a holder has
to be done before the lease ends, and must begin nothing that could last longer.
"""

import asyncio
import logging
import math
import random
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from shared.contracts.errors import CountersignError, TransientError
from shared.messaging.buckets import Bucket
from shared.messaging.connection import NatsConnection, WrongSequenceError

logger = logging.getLogger(__name__)

# The value is replaced and not deleted: a deletion leaves a marker, an entry that has ended leaves none.
TAKEN, FREE = b"taken", b"free"
FIRST_POLL_S, LONGEST_POLL_S = 0.05, 0.5


class Lease:
    """`seconds` is how long a holder that has died keeps the others out; the server ends it up to two seconds later."""

    def __init__(
        self,
        bus: NatsConnection,
        bucket: str,
        key: str,
        seconds: int,
        busy: str,
        share: Callable[[], float] = random.random,
    ) -> None:
        """`busy` is the error text when another process holds it.

        A process that has just released the lease waits before it acquires it again, so that others get their turn:
        `share` returns the part of a poll interval to wait, 0 to 1.
        """
        self._bucket = Bucket(bus, bucket)
        self._key = key
        self._seconds = seconds
        self._busy = busy
        self._share = share
        self._released_at = -math.inf

    @asynccontextmanager
    async def hold(self, timeout_s: float) -> AsyncIterator[float]:
        """Hold the lease while the block runs; yields the time of the event loop at which it ends.

        Raises TransientError where others have held it for `timeout_s` seconds, or the bucket does not answer.
        """
        revision, until = await self._acquire(timeout_s)
        try:
            yield until
        finally:
            await self._release(revision)

    async def _acquire(self, timeout_s: float) -> tuple[int, float]:
        loop = asyncio.get_running_loop()
        deadline, poll = loop.time() + timeout_s, FIRST_POLL_S
        wait = loop.time() - self._released_at < FIRST_POLL_S
        while True:
            if wait:
                await asyncio.sleep(poll * self._share())
            wait, begun = True, loop.time()  # `begun` is before the server counts: the lease ends later there
            entry = await self._bucket.get(self._key)
            if entry is None or entry.value == FREE:
                poll = FIRST_POLL_S
                revision = entry.revision if entry is not None else 0
                try:
                    taken = await self._bucket.put(self._key, TAKEN, revision=revision, ttl=self._seconds)
                except WrongSequenceError:  # another process was first
                    continue
                return taken, begun + self._seconds
            if begun > deadline:
                raise TransientError(self._busy)
            poll = min(LONGEST_POLL_S, poll * 2)

    async def _release(self, revision: int) -> None:
        self._released_at = asyncio.get_running_loop().time()
        try:
            await self._bucket.put(self._key, FREE, revision=revision)
        except WrongSequenceError:
            return  # it has ended, and others may hold it
        except CountersignError as error:
            logger.warning("a lease was not released and ends in %d s: %s", self._seconds, error.reason)
