"""Finds decisions that the EHR did not tell of: one search for all reviews, every few minutes, by a chained timer.

Where the last run came to is kept in the EHR's own time: no clocks are compared, and after a downtime the next run
begins where the last one ended. The same timer has ended cases looked at again (follow_up.py). https://hl7.org/fhir/R4/search.html
"""

import logging
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime, timedelta

from nats.aio.msg import Msg

from services.approval import ehr_word
from services.approval.resources import Resource, instant
from services.approval.reviews import Reviews
from shared.clinical.fhir import FhirClient
from shared.contracts.ehr import TaskFact
from shared.contracts.failures import Failure
from shared.contracts.model import Model
from shared.messaging.buckets import Bucket
from shared.messaging.connection import Bus, WrongSequenceError
from shared.messaging.deadletter import alert
from shared.messaging.ehr_facts import tell_task
from shared.messaging.steps import Clock, Steps
from shared.messaging.timers import Timers

logger = logging.getLogger(__name__)

TIMER, DUE = "timers.reconcile.tasks", "timers.due.reconcile.tasks"
EVERY = "countersign-every"
KEY = "tasks"
# A server may show a change a little later than the time it gives it.
OVERLAP = timedelta(minutes=10)
CLOCKS_APART = timedelta(days=1)  # before the first run has told us the EHR's time
TELL_AFTER = 3  # runs that fail one after the other


class Mark(Model):
    """How far the EHR's Tasks are known."""

    seen: datetime | None = None  # the newest `meta.lastUpdated` so far
    known: tuple[str, ...] = ()  # `task/version` of those within the overlap: told before
    run: datetime | None = None  # when the last complete run was
    failed: int = 0  # runs since then that failed


class Reconciling:
    def __init__(
        self,
        steps: Steps,
        ehr: FhirClient,
        reviews: Reviews,
        every: timedelta,
        clock: Clock,
        new_id: Callable[[], str],
        follow_up: Callable[[], Awaitable[None]],
    ) -> None:
        self._ehr = ehr
        self._reviews = reviews
        self._every = every
        self._clock = clock
        self._new_id = new_id
        self._follow_up = follow_up
        steps.effect("approval-reconcile", self.on_timer)

    async def attach(self, bus: Bus) -> None:
        self._bus = bus
        self._marks = Bucket(bus, "reconciled")
        self._timers = Timers(bus)
        await self._keep_timer()

    async def _keep_timer(self) -> None:
        """One timer, however many processes start; one that is overdue has fired, or fires by itself."""
        wanted = str(self._every)
        for subject in (TIMER, DUE):
            pending = await self._bus.direct_get("TIMERS", {"last_by_subj": subject})
            if pending and dict(pending[0].headers or {}).get(EVERY) == wanted:
                return
        await self._set_timer()

    async def _set_timer(self) -> None:
        await self._timers.set(TIMER, DUE, self._clock() + self._every, {EVERY: str(self._every)})

    async def on_timer(self, message: Msg) -> None:
        """It is time. The next timer is set first, so that no failure of this run ends the chain."""
        await self._set_timer()
        await self.run()
        await self._follow_up()
        await self._set_timer()  # again: the first may have fired, if the run was long, and is purged with this one
        await self._timers.purge(message.subject)

    async def run(self) -> None:
        """Ask once, and tell the bus of each Task that has ended since. Nothing is asked while nobody waits."""
        oldest = self._reviews.oldest_with_task()
        if oldest is None:
            return
        entry = await self._marks.get(KEY)
        mark = Mark.read(entry.value) if entry else Mark()
        try:
            found = await self._ehr.search("Task", query(mark, oldest))
        except Failure as failure:
            following = mark.model_copy(update={"failed": mark.failed + 1})
            await self._tell_failure(following, failure)
        else:
            for task in unknown(mark, found):
                fact = TaskFact(task_id=str(task["id"]), version=_version(task))
                await tell_task(self._bus, fact, source="approval", id=self._new_id())
            following = after(mark, found, self._clock())
        try:
            value = following.model_dump_json(exclude_none=True).encode()
            await self._marks.put(KEY, value, revision=entry.revision if entry else 0)
        except WrongSequenceError:
            return  # another process has done this run too

    async def _tell_failure(self, mark: Mark, failure: Failure) -> None:
        logger.warning("the EHR could not be asked for decisions: %s", failure.reason)
        if mark.failed == TELL_AFTER:
            last = mark.run.isoformat() if mark.run else "never"
            await alert(
                self._bus, "warning", "reconcile-failing", id=f"{last}", reason=failure.reason, runs=mark.failed
            )


def query(mark: Mark, oldest: datetime) -> dict[str, str]:
    """The one search. `oldest` is when the oldest review that waits was asked for."""
    since = mark.seen - OVERLAP if mark.seen is not None else oldest - CLOCKS_APART
    return {
        "code": "http://hl7.org/fhir/CodeSystem/task-code|approve",
        "status": ",".join(ehr_word.ENDED),
        "_lastUpdated": f"ge{instant(since)}",
    }


def unknown(mark: Mark, found: Sequence[Resource]) -> list[Resource]:
    """Reviews of ours that have ended and were not told before."""
    return [task for task in found if ehr_word.asked_by(task) is not None and _key(task) not in mark.known]


def after(mark: Mark, found: Sequence[Resource], now: datetime) -> Mark:
    """How far it is known after a complete run at `now`."""
    times = [(task, time) for task in found if (time := ehr_word.last_updated(task)) is not None]
    seen = max([*(time for _, time in times), *([mark.seen] if mark.seen else [])], default=None)
    known = [_key(task) for task, time in times if seen is not None and time >= seen - OVERLAP]
    return Mark(seen=seen, known=tuple(sorted(known)), run=now)


def _version(task: Resource) -> str | None:
    version = (task.get("meta") or {}).get("versionId")
    return str(version)[:64] if version else None


def _key(task: Resource) -> str:
    return f"{task['id']}/{_version(task)}"
