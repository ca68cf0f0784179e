"""Sessions in memory: a page is served without a request to NATS for each of its requests.

Every change of a bucket is a message on `$KV.<bucket>.<key>`, which all processes receive. An entry is kept until such
a message names it, and `MAX_AGE` at most, should one be lost. Nothing is kept while it is not certain that messages
arrive: before an own message came back, after a connection was lost, or where the NATS user may not subscribe.
https://docs.nats.io/nats-concepts/jetstream/key-value-store
"""

import asyncio
import logging
from collections import OrderedDict
from collections.abc import Callable
from datetime import datetime, timedelta

from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.errors import Error

from shared.contracts.errors import CountersignError
from shared.messaging.buckets import Bucket, KvEntry
from shared.messaging.connection import NatsConnection

logger = logging.getLogger(__name__)

MAX_AGE = timedelta(seconds=30)
REPLICA_LAG = timedelta(
    seconds=5
)  # after a change, in which a replica that lags behind may still answer with the entry before
MAX_ENTRIES = 10_000
PROBE_TIMEOUT_S = 5.0
PROBE_TTL_S = 60


class SessionCache:
    """Reads of the bucket `name`. `new_id` gives ids of probes, which show whether messages arrive."""

    def __init__(
        self, bus: NatsConnection, name: str, clock: Callable[[], datetime], new_id: Callable[[], str]
    ) -> None:
        self._bus = bus
        self._bucket = Bucket(bus, name)
        self._prefix = f"$KV.{name}."
        self._clock = clock
        self._new_id = new_id
        self._kept: OrderedDict[str, tuple[KvEntry, datetime]] = OrderedDict()
        self._changed: OrderedDict[str, datetime] = OrderedDict()  # keys, and when they were changed last
        self._probe: tuple[str, asyncio.Event] | None = None
        self._client: Client | None = None  # whose subscription works
        self._trying: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Subscribe, and keep entries from when a message has come back. Where none does, every read asks NATS."""
        client = self._bus.client
        self._client = None
        try:
            await client.subscribe(f"{self._prefix}>", cb=self._on_change)
        except Error as error:
            logger.warning("sessions are read from NATS for every request: %s", type(error).__name__)
            return
        if self._probe is None:
            self._bus.on_reconnect(self._try_again)
        await self._try()

    async def _try_again(self) -> None:
        """Try in the background: messages are not received while the client waits for this to return."""
        self._client = None
        self._trying = asyncio.create_task(self._try())

    async def _try(self) -> None:
        """Find out whether messages arrive."""
        self._client = None
        self._kept.clear()
        key = f"probe.{self._new_id()}"
        arrived = asyncio.Event()
        self._probe = key, arrived
        client = self._bus.client
        try:
            await self._bucket.put(key, b"", ttl=PROBE_TTL_S)
            await asyncio.wait_for(arrived.wait(), PROBE_TIMEOUT_S)
        except (TimeoutError, CountersignError):
            logger.warning("sessions are read from NATS for every request: changes do not arrive")
            return
        self._client = client

    async def _on_change(self, message: Msg) -> None:
        key = message.subject.removeprefix(self._prefix)
        if self._probe is not None and key == self._probe[0]:
            self._probe[1].set()
        self.forget(key)

    def forget(self, key: str) -> None:
        """Drop an entry that was changed."""
        self._kept.pop(key, None)
        self._changed[key] = self._clock()
        self._changed.move_to_end(key)
        while len(self._changed) > MAX_ENTRIES:
            self._changed.popitem(last=False)

    async def get(self, key: str) -> KvEntry | None:
        """Return the entry under `key`; None when there is none. Raises TransientError."""
        now = self._clock()
        if self._receives_changes and (kept := self._kept.get(key)) is not None and now - kept[1] < MAX_AGE:
            return kept[0]
        found = await self._bucket.get(key)
        changed = self._changed.get(key)
        if found is not None and self._receives_changes and (changed is None or now - changed > REPLICA_LAG):
            self._kept[key] = found, now
            while len(self._kept) > MAX_ENTRIES:
                self._kept.popitem(last=False)
        return found

    @property
    def _receives_changes(self) -> bool:
        return self._client is not None and self._client is self._bus.client and self._bus.connected
