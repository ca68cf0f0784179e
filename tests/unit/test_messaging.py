"""Retry rows, topology, timers' headers, the journal on a bus in memory, and what a step does with failures."""

import asyncio
import json
from datetime import timedelta
from typing import Any, get_args

import pytest
from nats import errors
from nats.js.errors import APIError

from shared.contracts.case import fold
from shared.contracts.envelope import CHAIN_START
from shared.contracts.errors import CountersignError, PermanentError, RateLimitedError, TransientError
from shared.contracts.events import EVENT_TYPES, CaseEvent, Failed, StepName, name_of
from shared.contracts.retry import RetryPolicy, next_delay
from shared.contracts.steps import EXTRACT, STEPS, appended_by
from shared.contracts.subjects import derived_id, subject_matches
from shared.messaging.broker import ServiceBroker
from shared.messaging.connection import sort_api_error
from shared.messaging.event_store import EventStore, WrongExpectedVersionError
from shared.messaging.permissions import permissions
from shared.messaging.steps import StepContext
from shared.messaging.timers import read_due
from shared.messaging.topology import CONSUMERS, SERVICES, STREAMS, all_consumers, consumer
from tests.support.examples import CASE, T0, event
from tests.support.memory import Delivery, MemoryBus, deliver

ROW = RetryPolicy(timeout=30, max_attempts=3, initial_interval=2, max_interval=5)
FOREVER = RetryPolicy(timeout=30, max_attempts=None, initial_interval=5, max_interval=600, alert_after=2)


@pytest.mark.parametrize(
    ("row", "attempt", "failure", "expected"),
    [
        (ROW, 1, TransientError("x"), 2),
        (ROW, 2, TransientError("x"), 4),
        (ROW, 3, TransientError("x"), None),
        (ROW, 1, PermanentError("x"), None),
        (ROW, 1, RateLimitedError("x", 60), 60),
        (ROW, 1, RateLimitedError("x", 0), 2),
        (ROW, 3, RateLimitedError("x", 60), None),
        (ROW, 1, ValueError("x"), None),
        (FOREVER, 50, TransientError("x"), 600),
    ],
)
def test_retry_rows(row: RetryPolicy, attempt: int, failure: Exception, expected: float | None) -> None:
    assert next_delay(row, attempt, failure) == expected


def test_every_case_event_has_a_place_in_the_stream_and_a_writer() -> None:
    stream = next(item for item in STREAMS if item.name == "DISCHARGE")
    for kind in EVENT_TYPES:
        subject = CASE.subject(kind.model_fields["event"].default)
        assert any(subject_matches(pattern, subject) for pattern in stream.subjects)
        writers = [s for s in SERVICES if any(subject_matches(right, subject) for right in permissions(s).publish)]
        assert writers


def test_only_approval_may_write_what_a_person_decides() -> None:
    for name in ("approved", "rejected", "reassigned", "filed", "escalated"):
        subject = CASE.subject(name)
        writers = [s for s in SERVICES if any(subject_matches(right, subject) for right in permissions(s).publish)]
        assert writers == ["approval"]


def test_no_service_may_change_the_topology_or_read_anothers_consumer() -> None:
    forbidden = ["$JS.API.STREAM.CREATE.DISCHARGE", "$JS.API.STREAM.DELETE.DISCHARGE", "$JS.API.STREAM.PURGE.DISCHARGE"]
    for service in SERVICES:
        others = [f"$JS.API.CONSUMER.MSG.NEXT.{c.stream}.{c.name}" for c in CONSUMERS if c.service != service]
        for subject in [*forbidden, *others]:
            rights = permissions(service).publish
            assert not any(subject_matches(right, subject) for right in rights), (service, subject)


def test_consumer_names_say_service_and_step_and_are_unique() -> None:
    names = [item.name for item in all_consumers()]
    assert len(set(names)) == len(names)
    assert all(item.service in SERVICES for item in all_consumers())


def test_a_fired_timer_that_is_not_ours_is_refused() -> None:
    with pytest.raises(PermanentError):
        read_due("timers.due.escalation.c1.1", {})
    with pytest.raises(PermanentError):
        read_due("timers.due.escalation.c1", {"countersign-department": "x", "countersign-due": T0.isoformat()})


class Bench:
    """A step under test: its handler does what it is told, its bus is in memory."""

    def __init__(self) -> None:
        self.name = EXTRACT.consumer
        self.bus: Any = MemoryBus()
        self.outcome: CaseEvent | Exception = event("context-extracted")
        self.undone: list[str] = []
        self.works: list[StepContext[CaseEvent]] = []
        self.broker = ServiceBroker("drafter", self.bus, lambda: T0)
        self.broker.on(EXTRACT, self.handle, compensate=self.undo)
        self.journal = EventStore(self.bus, "drafter")

    async def handle(self, work: StepContext[CaseEvent]) -> Any:
        self.works.append(work)
        if isinstance(self.outcome, Exception):
            raise self.outcome
        return self.outcome

    async def undo(self, work: StepContext[CaseEvent]) -> None:
        self.undone.append(work.cause.id)

    async def append(self, body: CaseEvent, id: str) -> None:
        history = await self.journal.history(CASE)
        await self.journal.append(CASE, body, after=history[-1].head if history else CHAIN_START, id=id, time=T0)

    async def deliver(self, index: int = 0, attempt: int = 1) -> Delivery:
        events = [item for item in self.bus.kept if item.stream == "DISCHARGE"]
        return await deliver(self.broker, self.name, events[index], attempt)

    async def names(self) -> list[str]:
        return [item.name for item in await self.journal.history(CASE)]

    def in_stream(self, name: str) -> list[Any]:
        return [item for item in self.bus.kept if item.stream == name]


async def test_a_step_appends_what_its_handler_returns_once() -> None:
    bench = Bench()
    await bench.append(event("discharged"), "d1")
    assert [(await bench.deliver(attempt=n)).answer for n in (1, 2, 3)] == ["ack"] * 3
    assert await bench.names() == ["discharged", "context-extracted"]
    assert len(bench.works) == 1, "a redelivery of finished work must not do it again"


async def test_a_transient_failure_comes_back_later_and_a_permanent_one_reaches_a_person() -> None:
    bench = Bench()
    await bench.append(event("discharged"), "d1")
    bench.outcome = RateLimitedError("the EHR asks for patience", 60)
    answer = await bench.deliver(attempt=1)
    assert (answer.answer, answer.delay) == ("nak", 60)
    bench.outcome = PermanentError("the EHR has no such encounter")
    assert (await bench.deliver(attempt=2)).answer == "term"
    failed = (await bench.journal.history(CASE))[-1].body
    assert failed == Failed(step="extract", reason="the EHR has no such encounter", attempts=2)
    (letter,) = bench.in_stream("DEADLETTER")
    assert letter.headers["countersign-reason"] == "the EHR has no such encounter"
    assert letter.data == bench.in_stream("DISCHARGE")[0].data
    assert json.loads(bench.in_stream("ALERTS")[0].data)["consumer"] == "drafter-extract"


async def test_the_last_attempt_gives_up() -> None:
    bench = Bench()
    await bench.append(event("discharged"), "d1")
    bench.outcome = TransientError("down")
    policy = consumer("drafter-extract").retry
    assert policy.max_attempts is not None
    assert (await bench.deliver(attempt=policy.max_attempts - 1)).answer == "nak"
    assert not bench.works[-1].last
    assert (await bench.deliver(attempt=policy.max_attempts)).answer == "term"
    assert bench.works[-1].last
    assert fold(await bench.journal.history(CASE)).state == "failed"


@pytest.mark.parametrize("name", ["drafter-extract", "approval-request"])
def test_what_waits_for_the_ehr_outlasts_a_maintenance_window_and_holds_up_nobody(name: str) -> None:
    target = consumer(name)
    policy = target.retry
    assert policy.max_attempts is not None
    assert policy.alert_after is not None
    waits = [policy.wait(attempt) for attempt in range(1, policy.max_attempts)]
    assert timedelta(hours=20) < timedelta(seconds=sum(waits)) < timedelta(hours=30)
    assert max(waits) <= 300, "it goes on soon after the EHR is back"
    assert 120 <= sum(waits[: policy.alert_after - 1]) <= 600, "a nightly restart tells nobody, an outage does"
    assert target.retry_backlog >= 10_000


async def test_a_step_that_is_still_trying_tells_a_person_once() -> None:
    bench = Bench()
    await bench.append(event("discharged"), "d1")
    bench.outcome = TransientError("the EHR is away")
    alert_after = consumer("drafter-extract").retry.alert_after
    assert alert_after is not None
    for attempt in range(1, alert_after + 3):
        assert (await bench.deliver(attempt=attempt)).answer == "nak"
    (told,) = bench.in_stream("ALERTS")
    assert json.loads(told.data)["attempts"] == alert_after
    bench.outcome = event("context-extracted")
    assert (await bench.deliver(attempt=alert_after + 3)).answer == "ack"
    assert await bench.names() == ["discharged", "context-extracted"]


def test_a_step_that_has_failed_for_weeks_still_has_a_next_attempt() -> None:
    assert next_delay(FOREVER, 5000, TransientError("down")) == FOREVER.max_interval


def test_a_server_that_asks_for_a_year_is_asked_again_within_the_hour() -> None:
    assert next_delay(FOREVER, 1, RateLimitedError("later", 31_536_000)) == 3600


async def test_a_bug_ends_in_front_of_a_person_and_its_words_stay_out_of_everything(
    caplog: pytest.LogCaptureFixture,
) -> None:
    bench = Bench()
    await bench.append(event("discharged"), "d1")
    bench.outcome = ValueError("Jane Doe, born 1950-01-01")
    assert (await bench.deliver()).answer == "term"
    everything = caplog.text + "".join(str(item) for item in bench.bus.kept)
    assert "unexpected ValueError" in everything
    assert "Jane" not in everything


async def test_finished_work_whose_acknowledgement_is_lost_has_not_failed(monkeypatch: pytest.MonkeyPatch) -> None:
    """The server delivers it again, and it is found done."""

    async def lost(self: Delivery) -> None:
        raise errors.OutboundBufferLimitError

    bench = Bench()
    await bench.append(event("discharged"), "d1")
    with monkeypatch.context() as patched:
        patched.setattr(Delivery, "ack", lost)
        with pytest.raises(errors.Error):  # for the puller, which goes on with its work
            await bench.deliver()
    assert await bench.names() == ["discharged", "context-extracted"]
    assert not bench.in_stream("DEADLETTER")
    assert not bench.in_stream("ALERTS")
    assert (await bench.deliver(attempt=2)).answer == "ack"
    assert len(bench.works) == 1


@pytest.mark.parametrize("kind", [PermanentError, TransientError])
async def test_what_cannot_be_buried_is_not_let_go(
    kind: type[CountersignError], monkeypatch: pytest.MonkeyPatch
) -> None:
    async def refused(*_: Any) -> None:
        raise kind("the letter was not taken")

    bench = Bench()
    await bench.append(event("discharged"), "d1")
    bench.outcome = PermanentError("no such encounter")
    with monkeypatch.context() as patched:
        patched.setattr("shared.messaging.delivery.dead_letter", refused)
        assert (await bench.deliver()).answer == "nak"
    assert await bench.names() == ["discharged"]
    assert (await bench.deliver(attempt=2)).answer == "term"
    assert len(bench.in_stream("DEADLETTER")) == 1


async def test_a_message_that_is_no_event_is_a_dead_letter() -> None:
    bench = Bench()
    await bench.append(event("discharged"), "d1")
    bench.bus.kept[0].data = b"junk"
    assert (await bench.deliver()).answer == "term"
    assert "breaks the contract" in bench.in_stream("DEADLETTER")[0].headers["countersign-reason"]
    assert len(bench.in_stream("DISCHARGE")) == 1


async def test_work_for_a_case_that_was_withdrawn_meanwhile_is_undone() -> None:
    bench = Bench()
    await bench.append(event("discharged"), "d1")
    await bench.append(event("withdrawn"), "w1")
    assert (await bench.deliver()).answer == "ack"
    assert await bench.names() == ["discharged", "withdrawn"]
    assert bench.undone == ["d1"]


async def test_a_retried_step_works_on_the_event_it_failed_on() -> None:
    bench = Bench()
    await bench.append(event("discharged"), "d1")
    bench.outcome = PermanentError("down")
    await bench.deliver()
    retried = event("retried").model_copy(update={"step": "extract"})
    await bench.append(retried, "r1")
    bench.outcome = event("context-extracted")
    assert (await bench.deliver(index=2)).answer == "ack"
    history = await bench.journal.history(CASE)
    assert [item.name for item in history] == ["discharged", "failed", "retried", "context-extracted"]
    assert history[-1].id == derived_id("d1", "context-extracted")
    assert bench.works[-1].cause.name == "discharged"


async def test_a_copy_of_the_trail_that_is_behind_does_not_look_like_work_that_is_done() -> None:
    bench = Bench()
    await bench.append(event("discharged"), "d1")
    (message,) = bench.in_stream("DISCHARGE")
    bench.bus.kept.clear()
    delivery = await deliver(bench.broker, bench.name, message, attempt=2)
    assert (delivery.answer, bench.works) == ("nak", [])


async def test_racing_appends_one_wins_and_repeats_are_no_ops() -> None:
    bench = Bench()
    await bench.append(event("discharged"), "d1")
    (head,) = [item.head for item in await bench.journal.history(CASE)]
    body = event("context-extracted")

    async def one(id: str) -> str:
        try:
            await bench.journal.append(CASE, body, after=head, id=id, time=T0)
        except WrongExpectedVersionError:
            return "lost"
        return "won"

    assert sorted(await asyncio.gather(*(one(f"a{n}") for n in range(10)))) == ["lost"] * 9 + ["won"]
    assert await one("a0") == "won", "the same append again is a no-op"
    assert len(await bench.names()) == 2


def test_failures_are_one_family() -> None:
    assert issubclass(RateLimitedError, TransientError)
    assert all(issubclass(kind, CountersignError) for kind in (TransientError, PermanentError))


# 10158: "duplicate message id is in process", of a cluster; 10071: "wrong last sequence"; 10002: "resource limits
# exceeded for account", a full disk in which somebody makes room.
@pytest.mark.parametrize(
    ("code", "number", "kind"),
    [
        (409, 10158, TransientError),
        (503, 10008, TransientError),
        (400, 10002, TransientError),
        (400, 10071, PermanentError),
    ],
)
def test_what_the_server_is_still_doing_is_asked_again(code: int, number: int, kind: type[CountersignError]) -> None:
    sorted_out = sort_api_error(APIError(code=code, err_code=number), "publish")
    assert type(sorted_out) is kind
    assert str(number) in sorted_out.reason


def test_every_step_is_defined_once_and_its_consumer_gets_what_it_consumes_and_retries() -> None:
    assert sorted(step.name for step in STEPS) == sorted(get_args(StepName))
    for step in STEPS:
        target = consumer(step.consumer)
        assert (target.step, target.retry, target.service) == (step.name, step.retry, step.service)
        wanted = {f"discharge.*.*.{name}" for name in (*step.consumed_names, "retried")}
        assert set(target.subjects) == wanted
        for kind in step.appends:
            subject = CASE.subject(name_of(kind))
            assert any(subject_matches(right, subject) for right in permissions(step.service).publish)


def test_who_does_no_step_of_a_case_appends_no_failure_of_one() -> None:
    assert [service for service in SERVICES if Failed in appended_by(service)] == ["drafter", "approval"]
