"""Of one message, a process handles one delivery at a time; of different messages, any number."""

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest

from shared.messaging.delivery import Delivery
from tests.support.examples import T0


class Message:
    """A delivery of the message with this sequence of the stream DISCHARGE."""

    def __init__(self, sequence: int, attempt: int) -> None:
        metadata = SimpleNamespace(
            consumer="approval-file", num_delivered=attempt, sequence=SimpleNamespace(stream=sequence)
        )
        self.raw_message = SimpleNamespace(metadata=metadata, subject="discharge.ward.c1.approved")
        self.headers: dict[str, str] = {}
        self.acknowledged = False

    async def ack(self) -> None:
        self.acknowledged = True


@pytest.mark.parametrize(("sequences", "at_once"), [((7, 7, 7), 1), ((7, 8, 9), 3)])
async def test_deliveries_of_one_message_are_handled_one_after_the_other(
    sequences: tuple[int, ...], at_once: int
) -> None:
    running: list[int] = []
    most = 0

    async def handle(message: Any) -> None:
        nonlocal most
        running.append(message.raw_message.metadata.num_delivered)
        most = max(most, len(running))
        for _ in range(10):  # others may begin
            await asyncio.sleep(0)
        running.pop()

    delivery = Delivery("approval", None, lambda: T0)  # type: ignore[arg-type]
    deliveries: list[Any] = [Message(sequence, number) for number, sequence in enumerate(sequences, 1)]
    await asyncio.gather(*(delivery.consume(handle, message) for message in deliveries))
    assert most == at_once
    assert all(message.acknowledged for message in deliveries)
