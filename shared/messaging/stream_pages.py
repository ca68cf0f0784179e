"""Read the messages below a subject, one page in memory at a time, by the server's direct-get API (ADR-31)."""

from collections.abc import AsyncIterator
from typing import Any

from nats.aio.msg import Msg

from shared.messaging.connection import NatsConnection

PAGE = 512  # messages; the server sends fewer where these would be too many bytes


async def read_stream_pages(
    bus: NatsConnection, stream: str, filter: str, *, start: int = 1, size: int = PAGE
) -> AsyncIterator[list[Msg]]:
    """Yield pages of messages from sequence `start` on, in stream order. Raises TransientError, PermanentError.

    The end is where the server reports no more pending messages; a short page need not be the last.
    """
    while True:
        query: dict[str, Any] = {"seq": start, "next_by_subj": filter, "batch": size}
        page = await bus.direct_get(stream, query)
        if not page:
            return
        yield page
        last = page[-1].headers or {}
        if int(last["Nats-Num-Pending"]) == 0:
            return
        start = int(last["Nats-Sequence"]) + 1
