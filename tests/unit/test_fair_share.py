"""Whose case goes ahead of a queue."""

import asyncio
from typing import Any

from shared.contracts.envelope import RecordedEvent
from shared.contracts.subjects import CaseRef
from shared.messaging.fair_share import DepartmentQueue, FairShareScheduler, QueuedEvent
from shared.messaging.topology import consumer


def line(*departments: str, places: int = 20, near: int = 2, **at_work: int) -> DepartmentQueue:
    made = DepartmentQueue(places, near)
    made.waiting.extend(
        QueuedEvent(number, CaseRef(name, f"case-{number}")) for number, name in enumerate(departments, 1)
    )
    made.in_progress.update(at_work)
    return made


def test_the_oldest_case_of_the_department_with_least_at_work_goes_ahead() -> None:
    queue = line("surgery", "surgery", "surgery", "icu", "ward", "icu", surgery=16, ward=1)
    assert queue.pop_next() == QueuedEvent(4, CaseRef("icu", "case-4"))
    with queue.working("icu"), queue.working("icu"):
        assert queue.pop_next() == QueuedEvent(5, CaseRef("ward", "case-5"))
    assert queue.pop_next() == QueuedEvent(6, CaseRef("icu", "case-6"))


def test_who_has_half_an_equal_part_waits_for_its_turn() -> None:
    assert line("surgery", "surgery", "icu", surgery=11, icu=5).pop_next() is None
    assert line("surgery", "surgery", "icu", surgery=12, icu=4).pop_next() is not None


def test_a_department_alone_has_nobody_to_overtake() -> None:
    assert line(*["surgery"] * 9, surgery=16).pop_next() is None


def test_the_first_of_the_queue_keep_their_turn_and_those_it_has_reached_are_forgotten() -> None:
    queue = line("icu", "surgery", "icu", "surgery", surgery=16)
    queue.discard_delivered(1)
    assert [item.sequence for item in queue.waiting] == [2, 3, 4]
    assert queue.pop_next() is None, "the third is among the first two now"


class Queue:
    """A bus that counts how often it is asked where the queue is; nothing stands further back."""

    asked = 0

    async def consumer_info(self, stream: str, name: str) -> dict[str, Any]:
        self.asked += 1
        return {"delivered": {"stream_seq": 1}}

    async def direct_get(self, stream: str, query: dict[str, Any]) -> list[Any]:
        return []


async def test_a_flood_of_one_department_is_looked_through_once_in_two_rounds() -> None:
    async def run(_: RecordedEvent) -> None: ...

    bus: Any = Queue()
    ahead = FairShareScheduler(bus, "drafter", consumer("drafter-draft"), run)
    for _ in range(10 * ahead.queue.lookahead_start):
        ahead.on_delivery(pending=5000)
        await asyncio.sleep(0)
    assert 0 < bus.asked <= 10
