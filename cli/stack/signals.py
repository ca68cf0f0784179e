"""Work that ends in order when we are told to stop."""

import asyncio
import signal
from collections.abc import Coroutine
from typing import Any


async def run_until_signal(work: Coroutine[Any, Any, None]) -> None:
    """Run `work`; SIGINT and SIGTERM cancel it, once: told again, it is ending already."""
    task = asyncio.ensure_future(work)
    told: list[signal.Signals] = []

    def end(sent: signal.Signals) -> None:
        if not told:
            task.cancel()
        told.append(sent)

    for sent in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(sent, end, sent)
    try:
        await task
    except asyncio.CancelledError:
        if not told:
            raise
