"""A recurring job has one timer for all processes, and no failed run ends it."""

import json
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import pytest

from shared.contracts.errors import TransientError
from shared.contracts.subjects import reconcile_subjects
from shared.messaging.recurring_timer import FailureAlert, RecurringTimer, by_timer
from tests.support.examples import T0
from tests.support.memory import MemoryBus

HOUR = timedelta(hours=1)
SET, DUE = reconcile_subjects("tasks")


def timer(bus: Any, every: timedelta = HOUR) -> RecurringTimer:
    return RecurringTimer(bus, "tasks", every, lambda: T0)


def times(bus: MemoryBus) -> list[str]:
    return [item.headers["countersign-due"][11:16] for item in bus.kept if item.subject == SET]


async def test_one_timer_is_set_however_many_processes_start() -> None:
    bus = MemoryBus()
    for _ in range(3):
        await timer(bus).start()
    assert times(bus) == ["10:00"]
    await timer(bus, 2 * HOUR).start()
    assert times(bus)[-1] == "11:00", "another interval is another timer"


async def test_a_timer_that_has_fired_is_not_set_again_at_a_start() -> None:
    bus = MemoryBus()
    await bus.publish(DUE, b"", stream="TIMERS", headers={"countersign-every": str(HOUR)})
    await timer(bus).start()
    assert times(bus) == []


@pytest.mark.parametrize(("soon", "then"), [(None, "10:00"), (timedelta(minutes=5), "09:05")])
async def test_after_a_run_the_next_one_is_set_and_the_fired_timer_is_gone(soon: timedelta | None, then: str) -> None:
    bus = MemoryBus()
    await bus.publish(DUE, b"", stream="TIMERS")
    seen: list[list[str]] = []

    async def job() -> timedelta | None:
        seen.append(times(bus))
        return soon

    await timer(bus).run(job)
    assert seen == [["10:00"]], "the next timer stands before the run"
    assert times(bus) == ["10:00", then]
    assert [item.subject for item in bus.kept] == [SET, SET]


@pytest.mark.parametrize("fires", [True, False])
async def test_a_run_that_is_asked_for_during_a_run_takes_place(fires: bool) -> None:
    bus = MemoryBus()
    await bus.publish(DUE, b"", stream="TIMERS")
    asked = timer(bus)

    async def job() -> None:
        if fires:  # what the server does at the time that was asked for
            bus.kept[:] = [item for item in bus.kept if item.subject != SET]
            await bus.publish(DUE, b"", stream="TIMERS")
        else:
            await asked.run_at(T0 + timedelta(seconds=2))

    await asked.run(job, handled=1)
    left = [(item.subject, item.headers.get("countersign-due", "")[11:19]) for item in bus.kept]
    assert left == ([(DUE, ""), (SET, "10:00:00")] if fires else [(SET, "10:00:00"), (SET, "09:00:02")])


async def test_a_run_that_fails_leaves_the_next_timer_and_the_message() -> None:
    bus = MemoryBus()
    await bus.publish(DUE, b"", stream="TIMERS")

    async def job() -> None:
        raise TransientError("the EHR is away")

    with pytest.raises(TransientError):
        await timer(bus).run(job)
    assert [item.subject for item in bus.kept] == [DUE, SET]


async def test_each_timer_runs_its_own_job() -> None:
    ran: list[str] = []

    class Job:
        def __init__(self, name: str) -> None:
            self.timer = RecurringTimer(MemoryBus(), name, HOUR, lambda: T0)  # type: ignore[arg-type]
            self._name = name

        async def on_timer(self, _: Any) -> None:
            ran.append(self._name)

    receive = by_timer(Job("tasks"), Job("checkpoint"))
    for name in ("checkpoint", "tasks"):
        await receive(SimpleNamespace(subject=reconcile_subjects(name)[1]))  # type: ignore[arg-type]
    assert ran == ["checkpoint", "tasks"]
    with pytest.raises(TransientError):
        await receive(SimpleNamespace(subject=reconcile_subjects("new")[1]))  # type: ignore[arg-type]


async def test_the_third_failed_run_of_a_row_is_alerted_once() -> None:
    bus: Any = MemoryBus()
    alert = FailureAlert(bus, "warning", "retention-failing", lambda: T0)
    for _ in range(2):
        await alert.failed("the EHR is away")
    alert.succeeded()
    for number in range(5):
        await alert.failed("the EHR is away")
        assert len(bus.kept) == (number >= 2)
    assert bus.kept[0].subject == "alert.warning.retention-failing"
    assert json.loads(bus.kept[0].data) == {"reason": "the EHR is away"}
