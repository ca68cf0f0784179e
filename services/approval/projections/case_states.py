"""Count cases by state for the metrics; runs only where metrics are exported."""

import logging
from collections import Counter
from collections.abc import Iterator
from datetime import datetime

from services.approval.projections.catch_up import CatchUpSubscription
from services.approval.projections.open_reviews import OpenReviewsProjection
from shared.contracts.case import CaseState
from shared.contracts.errors import TransientError
from shared.contracts.subjects import parse_case_subject
from shared.messaging.connection import NatsConnection
from shared.messaging.event_store import RawMessage
from shared.messaging.steps import Clock
from shared.telemetry import instruments
from shared.telemetry.metric_definitions import DEPARTMENT, LEVEL, STATE

logger = logging.getLogger(__name__)

# What a case is after an event, by the event's name alone: the bodies are not read. None: it has come to its end.
AFTER: dict[str, CaseState | None] = {
    "preparation-requested": "preparing",
    "prepared": "prepared",
    "preparation-ended": None,
    "discharged": "drafting",
    "redraft-requested": "drafting",
    "retried": "drafting",
    "review-requested": "awaiting-review",
    "approved": "approved",
    "amended": "approved",
    "addended": "approved",
    "retracted": "retracted",
    "failed": "failed",
    "filed": None,
    "retraction-filed": None,
    "closed": None,
    "withdrawn": None,
    "erased": None,
    "reimported": None,
}


class CaseStateProjection:
    """The states of all cases that have not ended."""

    def __init__(self, reviews: OpenReviewsProjection, clock: Clock) -> None:
        self._reviews = reviews
        self._clock = clock
        self._states: dict[
            str, tuple[str, CaseState, int]
        ] = {}  # by case: its department and state, and since which event

    async def start(self, bus: NatsConnection) -> None:
        """Subscribe; events are read in the background."""
        if not instruments.metrics_enabled():
            return
        self._states.clear()  # of a start that failed
        following = CatchUpSubscription(
            "census", tuple(AFTER), self._apply_message, self._live_sequences, headers_only=True
        )
        try:
            await following.start(bus)
        except TransientError as failure:
            logger.warning("cases are not counted by state: %s", failure.reason)

    def _live_sequences(self) -> Iterator[int]:
        return (sequence for _, _, sequence in self._states.values())

    def _apply_message(self, message: RawMessage) -> None:
        case, name = parse_case_subject(message.subject)
        state = AFTER.get(name)
        if state is None:
            self._states.pop(case.id, None)
        else:
            self._states[case.id] = case.department, state, message.sequence

    async def collect_gauges(self) -> None:
        counts = Counter((department, state) for department, state, _ in self._states.values())
        instruments.replace_gauge(
            "countersign.cases", [({DEPARTMENT: place, STATE: state}, n) for (place, state), n in counts.items()]
        )
        now = self._clock()
        instruments.replace_gauge("countersign.review.oldest", self._ages(now))
        instruments.set_gauge("countersign.review.unescalated", self._reviews.overdue_escalations(now))

    def _ages(self, now: datetime) -> list[tuple[dict[str, str | int], float]]:
        return [
            ({DEPARTMENT: department, LEVEL: level}, (now - since).total_seconds())
            for (department, level), since in self._reviews.oldest().items()
        ]
