"""How many cases wait for what: followed on the trail, while somebody watches from outside."""

import asyncio
import logging
from collections import Counter
from datetime import datetime

from nats import errors
from nats.aio.msg import Msg
from nats.js.api import ConsumerConfig
from nats.js.errors import APIError

from services.approval.reviews import Reviews
from shared.contracts.case import State
from shared.contracts.failures import PermanentError
from shared.contracts.subjects import parse_case_subject
from shared.messaging.connection import Bus
from shared.messaging.journal import STREAM
from shared.messaging.steps import Clock
from shared.telemetry import instruments
from shared.telemetry.catalogue import DEPARTMENT, LEVEL, STATE

logger = logging.getLogger(__name__)

# What a case is after an event, by the event's name alone: the bodies are not read. None: it has come to its end.
AFTER: dict[str, State | None] = {
    "discharged": "drafting",
    "redraft-requested": "drafting",
    "retried": "drafting",
    "review-requested": "awaiting-review",
    "approved": "approved",
    "failed": "failed",
    "filed": None,
    "closed": None,
    "withdrawn": None,
}


class Census:
    """States of all cases that have not come to their end."""

    def __init__(self, reviews: Reviews, clock: Clock) -> None:
        self._reviews = reviews
        self._clock = clock
        self._states: dict[str, tuple[str, State]] = {}  # by case: its department and state

    async def start(self, bus: Bus) -> None:
        """Follow from the trail's beginning, in the background: headers only."""
        if not instruments.measuring():
            return
        subjects = [f"discharge.*.*.{name}" for name in AFTER]
        config = ConsumerConfig(filter_subjects=subjects, headers_only=True)
        try:
            await bus.jetstream.subscribe("", stream=STREAM, config=config, ordered_consumer=True, cb=self._on_message)
        except (errors.Error, APIError, TimeoutError) as error:
            logger.warning("cases are not counted by state (%s)", type(error).__name__)

    async def _on_message(self, message: Msg) -> None:
        try:
            case, name = parse_case_subject(message.subject)
        except PermanentError:
            return
        state = AFTER.get(name)
        if state is None:
            self._states.pop(case.id, None)
        else:
            self._states[case.id] = case.department, state
        await asyncio.sleep(0)  # a long trail is read beside the work, not before it

    async def look(self) -> None:
        counts = Counter(self._states.values())
        instruments.levels(
            "countersign.cases", [({DEPARTMENT: place, STATE: state}, n) for (place, state), n in counts.items()]
        )
        now = self._clock()
        instruments.levels("countersign.review.oldest", self._ages(now))
        instruments.level("countersign.review.unescalated", self._reviews.untold(now))

    def _ages(self, now: datetime) -> list[tuple[dict[str, str | int], float]]:
        return [
            ({DEPARTMENT: department, LEVEL: level}, (now - since).total_seconds())
            for (department, level), since in self._reviews.oldest().items()
        ]
