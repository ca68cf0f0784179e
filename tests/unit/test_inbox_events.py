"""The stream that tells a page of one case, when more changes at once than it has room for."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any, cast

import pytest

from services.approval.web import inbox


@pytest.mark.parametrize(("room", "told"), [(3, True), (64, False)])
async def test_who_does_not_keep_up_looks_again(room: int, told: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inbox, "BATCH_WINDOW", 0)
    monkeypatch.setattr(inbox, "HEARTBEAT", 0.2)
    queue: asyncio.Queue[str] = asyncio.Queue(room)

    @contextmanager
    def watching() -> Iterator[asyncio.Queue[str]]:
        yield queue

    async def readable(_: str) -> tuple[list[Any], list[Any]]:
        return [], []

    async def gone() -> bool:
        return False

    api = SimpleNamespace(open_reviews=SimpleNamespace(watching=watching), cases=SimpleNamespace(readable=readable))
    changes = inbox._changes(cast(Any, api), "the-case", gone)
    await anext(changes)  # one comes at once
    for number in range(10):  # of other cases: what came after the first ones was dropped
        if not queue.full():
            queue.put_nowait(f"other-{number}")
    following = await anext(changes)
    assert following.startswith("event: changed" if told else "event: signed-out")
