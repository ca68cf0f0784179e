"""Run work until a signal stops it."""

import asyncio
import signal
from collections.abc import Coroutine
from typing import Any


async def run_until_signal(work: Coroutine[Any, Any, None]) -> None:
    """Run `work` until it ends, or until SIGINT or SIGTERM cancels it; further signals are ignored."""
    task = asyncio.ensure_future(work)
    received: list[signal.Signals] = []

    def end(sent: signal.Signals) -> None:
        if not received:
            task.cancel()
        received.append(sent)

    for sent in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(sent, end, sent)
    try:
        await task
    except asyncio.CancelledError:
        if not received:
            raise
