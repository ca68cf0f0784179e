"""Order the erasures that retention demands, one process at a time, a few cases in each run.

The position is stored. After a crash the same cases are checked again, and an order is appended once. The step
`approval-erase` carries orders out.
"""

import logging
from datetime import timedelta

from nats.aio.msg import Msg

from services.approval.erasure import rules
from services.approval.erasure.rules import Retention
from shared.contracts.errors import CountersignError, PermanentError
from shared.contracts.subjects import CaseRef, case_filter, derived_id, parse_case_subject
from shared.messaging.buckets import Bucket
from shared.messaging.connection import NatsConnection
from shared.messaging.event_store import STREAM, EventStore, WrongExpectedVersionError, raw_message_of
from shared.messaging.recurring_timer import FailureAlert, RecurringTimer
from shared.messaging.steps import Clock

logger = logging.getLogger(__name__)

JOB = "retention"
# In the bucket `reconciled`: the sequence from which the next run looks for cases by these events. A stay may have been
# prepared and never discharged.
KEYS = {"retention": "discharged", "retention-prepared": "preparation-requested"}
MAX_CASES_PER_RUN = 50
CONTINUE_DELAY = timedelta(seconds=1)  # until the next run, while the end of the event stream has not come


class RetentionScheduler:
    """Scans cases for texts whose retention has ended; does nothing where no retention is set."""

    def __init__(self, bus: NatsConnection, retention: Retention, every: timedelta, clock: Clock) -> None:
        """`every` is how often all cases are scanned."""
        self._retention = retention
        self._clock = clock
        self._alert = FailureAlert(bus, "warning", "retention-failing", clock)
        self._bus = bus
        self._event_store = EventStore(bus, "approval")
        self._marks = Bucket(bus, "reconciled")
        self.timer = RecurringTimer(bus, JOB, every, clock)

    async def start(self) -> None:
        if self._retention.any:
            await self.timer.start()

    async def on_timer(self, _: Msg) -> None:
        """Handle the timer. A failed run does not hold up the consumer: the next run is due soon."""
        if self._retention.any:
            await self.timer.run(self._run)
        else:
            await self.timer.purge()

    async def _run(self) -> timedelta | None:
        """Run one batch; return CONTINUE_DELAY where more cases are to be checked at once."""
        try:
            more = await self.check_next_cases()
        except CountersignError as failure:
            logger.warning("retention could not check its cases: %s", failure.reason)
            await self._alert.failed(failure.reason)
            return None
        self._alert.succeeded()
        return CONTINUE_DELAY if more else None

    async def check_next_cases(self) -> bool:
        """Check the next cases, in the order in which they were opened; return False after the last one."""
        return any([await self._scan(key, event) for key, event in KEYS.items()])

    async def _scan(self, key: str, event: str) -> bool:
        """Check the next cases that have an `event`; return False after the last one."""
        entry = await self._marks.get(key)
        at = int(entry.value) if entry is not None else 1
        query = {"seq": at, "next_by_subj": case_filter(event), "batch": MAX_CASES_PER_RUN}
        page = [raw_message_of(message) for message in await self._bus.direct_get(STREAM, query)]
        for item in page:
            await self._check_case(parse_case_subject(item.subject)[0])
            at = item.sequence + 1
        more = len(page) == MAX_CASES_PER_RUN
        await self._marks.put(key, str(at if more else 1).encode())
        return more

    async def _check_case(self, case: CaseRef) -> None:
        try:
            history = await self._event_store.history(case)
            ordered = rules.due(history, self._retention, self._clock())
        except PermanentError as error:  # an event of it cannot be read: `audit verify` reports it, nothing is erased
            logger.warning("case %s: retention skips it: %s", case.id, error.reason)
            return
        if ordered is None:
            return
        last = history[-1]
        id = derived_id(f"{last.id}/retention", ordered.event)
        try:
            await self._event_store.append(last.case, ordered, after=last.head, id=id, time=self._clock())
        except WrongExpectedVersionError:
            return  # something happened in it: it is checked again in the next scan
