"""Find decisions that the EHR did not report: one search for all reviews, every few minutes.

The watermark is in the EHR's own time: no clocks are compared, and after a downtime the next run starts where the last
one ended. The same timer starts the follow-up of ended cases (`filing/late_write_check.py`). https://hl7.org/fhir/R4/search.html
"""

import logging
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta

from nats.aio.msg import Msg

from services.approval.ehr_tasks.watermark import (
    EndedTask,
    Watermark,
    advance,
    ended,
    middle_of,
    query,
    search_start,
    unknown,
    version_of,
)
from services.approval.projections.open_reviews import OpenReviewsProjection
from shared.clinical.fhir_client import FhirClient
from shared.contracts.ehr import TaskChanged
from shared.contracts.errors import CountersignError
from shared.messaging.buckets import Bucket
from shared.messaging.connection import NatsConnection, WrongSequenceError
from shared.messaging.dead_letter_queue import publish_alert
from shared.messaging.ehr_publisher import publish_task_changed
from shared.messaging.recurring_timer import RecurringTimer
from shared.messaging.steps import Clock

logger = logging.getLogger(__name__)

JOB = "tasks"
KEY = "tasks"
MAX_TASKS_PER_INTERVAL = 500  # Tasks of one part of the time
MAX_INTERVALS_PER_RUN = 50  # time slices in one run; the next run continues
ALERT_AFTER_FAILURES = 3  # runs that fail one after the other; notified again after twice as many


class TaskReconciler:
    def __init__(
        self,
        bus: NatsConnection,
        ehr: FhirClient,
        reviews: OpenReviewsProjection,
        every: timedelta,
        clock: Clock,
        new_id: Callable[[], str],
        follow_up: Callable[[], Awaitable[None]],
        most: int = MAX_TASKS_PER_INTERVAL,
    ) -> None:
        """`most` is the largest number of Tasks that one time slice may contain."""
        self._ehr = ehr
        self._reviews = reviews
        self._clock = clock
        self._new_id = new_id
        self._follow_up = follow_up
        self._most = most
        self._bus = bus
        self._marks = Bucket(bus, "reconciled")
        self.timer = RecurringTimer(bus, JOB, every, clock)

    async def start(self) -> None:
        await self.timer.start()

    async def on_timer(self, _: Msg) -> None:
        await self.timer.run(self._run_both)

    async def _run_both(self) -> None:
        await self.run()
        await self._follow_up()

    async def run(self) -> None:
        """Publish each Task that has ended since the watermark. Nothing is searched while no review is open.

        The watermark is kept after each part of the time: a run that fails or dies loses no more than one of them.
        """
        oldest = self._reviews.oldest_with_task()
        if oldest is None:
            return
        for _ in range(MAX_INTERVALS_PER_RUN):
            entry = await self._marks.get(KEY)
            watermark = Watermark.read(entry.value) if entry else Watermark()
            try:
                following, whole = await self._batch(watermark, oldest)
            except CountersignError as failure:
                following, whole = watermark.model_copy(update={"failed": watermark.failed + 1}), False
                await self._alert_failure(following, failure)
            try:
                value = following.model_dump_json(exclude_none=True).encode()
                await self._marks.put(KEY, value, revision=entry.revision if entry else 0)
            except WrongSequenceError:
                return  # another process has done this run too
            if following.failed or whole:
                return
            logger.info("ended Tasks of the EHR are known up to %s, the next ones follow", following.seen)

    async def _batch(self, watermark: Watermark, oldest: datetime) -> tuple[Watermark, bool]:
        """Publish the Tasks of an interval with at most `most`; return the watermark, and whether that was everything.

        Raises CountersignError.
        """
        start, end = search_start(watermark, oldest), None
        while True:
            half = middle_of(start, end, self._clock())
            found = await self._part(watermark, start, end, self._most if half is not None else None)
            if found is not None:
                if end is not None and any(item.time >= end for item in found):
                    end = None  # a server that ignores `lt` has returned everything
                elif end is not None and not await self._has_tasks_from(end):
                    end = None  # the EHR's time may not have come to `end` yet: what ends before it is still to come
                return advance(watermark, found, self._clock(), end), end is None
            end = half

    async def _has_tasks_from(self, time: datetime) -> bool:
        """Return whether a Task ended at `time` or later in the EHR's own time. Raises CountersignError."""
        async for page in self._ehr.each_page("Task", query(time, None)):
            if any(item.time >= time for item in ended(page.matches)):
                return True
        return False

    async def _part(
        self, watermark: Watermark, start: datetime, end: datetime | None, most: int | None
    ) -> list[EndedTask] | None:
        """Publish each Task that ended in this time, page by page; None where there are more than `most`."""
        found: list[EndedTask] = []
        count = 0
        async for page in self._ehr.each_page("Task", query(start, end)):
            count += len(page.matches)
            if most is not None and count > most:
                return None
            for task in unknown(watermark, page.matches):
                fact = TaskChanged(task_id=str(task["id"]), version=version_of(task))
                await publish_task_changed(self._bus, fact, source="approval", id=self._new_id())
            found += ended(page.matches)
        return found

    async def _alert_failure(self, watermark: Watermark, failure: CountersignError) -> None:
        logger.warning("the EHR could not be asked for decisions: %s", failure.reason)
        if should_alert(watermark.failed):
            last = watermark.run.isoformat() if watermark.run else "never"
            id = f"{last}-{watermark.failed}"
            await publish_alert(
                self._bus, "warning", "reconcile-failing", id=id, reason=failure.reason, runs=watermark.failed
            )


def should_alert(failed: int) -> bool:
    """Return whether to alert after so many failed runs: the third, the sixth, the twelfth, …"""
    times, rest = divmod(failed, ALERT_AFTER_FAILURES)
    return rest == 0 and times > 0 and times & (times - 1) == 0
