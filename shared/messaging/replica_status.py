"""Check that all replicas of streams and consumers are in sync."""

import asyncio
import time
from collections.abc import Callable, Collection
from dataclasses import dataclass

from nats import errors
from nats.js.api import StreamInfo
from nats.js.errors import APIError

from shared.contracts.errors import TransientError
from shared.messaging.connection import NatsConnection, sort_api_error

POLL_INTERVAL = 0.05  # seconds
PROGRESS_TIMEOUT = 30.0  # seconds without progress after which waiting has failed


@dataclass(frozen=True, slots=True)
class ReplicaStatus:
    """The servers that store a stream; `behind` are those that have not caught up, or do not run."""

    stream: str
    wanted: int
    servers: tuple[str, ...]
    behind: tuple[str, ...]
    lag: int  # messages and other entries that they lack

    @property
    def moving(self) -> bool:
        """Return whether the stream is being moved: new replicas are not in sync yet."""
        return len(self.servers) > self.wanted

    @property
    def whole(self) -> bool:
        return len(self.servers) == self.wanted and not self.behind


def copies(info: StreamInfo) -> ReplicaStatus:
    """Return the server's status of a stream's replicas. Without a cluster it is complete."""
    name, wanted = str(info.config.name), info.config.num_replicas or 1
    if info.cluster is None:
        return ReplicaStatus(name, wanted, ("",) * wanted, (), 0)
    others = info.cluster.replicas or []
    late = [peer for peer in others if peer.offline or not peer.current]
    servers = (*filter(None, [info.cluster.leader]), *(str(peer.name) for peer in others))
    return ReplicaStatus(
        name, wanted, servers, tuple(str(peer.name) for peer in late), sum(peer.lag or 0 for peer in late)
    )


async def wait_until_in_sync(
    bus: NatsConnection, names: Collection[str], report_progress: Callable[[int], None]
) -> None:
    """Wait until all replicas of the streams are in sync; `report_progress` receives how many streams are.

    Raises TransientError when the replicas stop catching up.
    """
    last: list[ReplicaStatus] = []
    moved = time.monotonic()
    while True:
        found = [item for item in await _replica_statuses(bus) if item.stream in names]
        whole = {item.stream for item in found if item.whole}
        report_progress(len(whole))
        missing = sorted(set(names) - whole)  # one without a leader is not listed at all
        if not missing:
            return
        if found != last:
            last, moved = found, time.monotonic()
        if time.monotonic() - moved > PROGRESS_TIMEOUT:
            raise TransientError(f"stream {missing[0]} has not caught up on all its servers: see that they run")
        await asyncio.sleep(POLL_INTERVAL)


async def _replica_statuses(bus: NatsConnection) -> list[ReplicaStatus]:
    try:
        return [copies(item) for item in await bus.jetstream.streams_info()]
    except APIError as error:
        raise sort_api_error(error, "reading the streams") from None
    except errors.Error as error:
        raise TransientError(f"reading the streams: {type(error).__name__}") from None
