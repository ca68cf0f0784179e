"""Take in every decision about a draft: roll a canary back that is worse, and have signed stays drafted by a shadow."""

import logging
from functools import partial

from nats.aio.msg import Msg

from services.evaluator.canary import Comparison, outcome_of
from services.evaluator.evaluations import Evaluations
from shared.contracts import drafter_states as states
from shared.contracts.case_values import Actor
from shared.contracts.draft import DrafterRole
from shared.contracts.drafter_states import DocumentDrafters, DrafterEntry, MoveRefusedError
from shared.contracts.envelope import RecordedEvent, decode
from shared.contracts.errors import TransientError
from shared.contracts.events import Approved, Drafted, Rejected
from shared.messaging.buckets import Bucket
from shared.messaging.connection import NatsConnection, WrongSequenceError
from shared.messaging.dead_letter_queue import publish_alert
from shared.messaging.drafter_registry import DrafterRegistry
from shared.messaging.event_store import EventStore

logger = logging.getLogger(__name__)

BUCKET = "comparisons"
CONSUMER = "evaluator-compare"
WATCH = Actor(subject="evaluator", role="service")
Decision = Approved | Rejected


class CanaryWatch:
    """`threshold` is the evidence at which a canary is rolled back."""

    def __init__(
        self, bus: NatsConnection, registry: DrafterRegistry, evaluations: Evaluations, threshold: float
    ) -> None:
        self._bus = bus
        self._registry = registry
        self._evaluations = evaluations
        self._threshold = threshold
        self._cases = EventStore(bus, "evaluator")
        self._bucket = Bucket(bus, BUCKET)

    async def comparison(self, entry: DrafterEntry) -> Comparison | None:
        """Return how a configuration compares, or did when it was a canary last; None where it never was one."""
        stored = await self._bucket.get(entry.configuration)
        return Comparison.read(stored.value) if stored is not None else None

    async def receive(self, message: Msg) -> None:
        """Take in the decision of a delivered message. Raises TransientError, PermanentError."""
        sequence = message.metadata.sequence.stream
        decided = decode(message.subject, message.headers or {}, message.data, sequence)
        if isinstance(decided.body, Approved | Rejected):
            await self._take_in(decided, decided.body)

    async def _take_in(self, decided: RecordedEvent, body: Decision) -> None:
        state = await self._registry.state(body.draft.kind)
        await self._evaluations.shadow(state, decided)
        canary, stamp = state.canary, body.draft.drafter
        if canary is None or stamp is None or not _is_compared(state, stamp.configuration):
            return
        drafted = await self._drafted(decided, body)
        # What is compared has to be of the same time: a draft of before the canary is left out.
        if drafted is None or drafted.time < canary.since or not isinstance(drafted.body, Drafted):
            return
        role: DrafterRole = "canary" if stamp.configuration == canary.configuration else "live"
        outcome = outcome_of(drafted.body, body)
        if outcome is None:
            return
        stored = await self._bucket.get(canary.configuration)
        comparison = Comparison.read(stored.value) if stored is not None else None
        if comparison is None or comparison.began != canary.began:
            comparison = Comparison(canary=canary.configuration, began=canary.began)
        after = comparison.add(role, outcome, decided.head.sequence)
        if after is not comparison:
            data = after.model_dump_json().encode()
            try:
                await self._bucket.put(canary.configuration, data, revision=stored.revision if stored else 0)
            except WrongSequenceError:
                raise TransientError("another process took in a decision about the same canary") from None
        if after.is_worse(self._threshold):
            await self._roll_back(state, after)

    async def _drafted(self, decided: RecordedEvent, body: Decision) -> RecordedEvent | None:
        """Return the event of the draft that was decided about."""
        history = await self._cases.history_with(decided)
        for item in history:
            if isinstance(item.body, Drafted) and item.body.draft.digest == body.draft.digest:
                return item
        return None

    async def _roll_back(self, state: DocumentDrafters, comparison: Comparison) -> None:
        pairs = comparison.worse + comparison.better
        reason = (
            f"worse than the live configuration in {comparison.worse} of {pairs} pairs of decisions that differ "
            f"(evidence {comparison.evidence:.3g}, threshold {self._threshold:.3g})"
        )
        digest = comparison.canary
        # First the alert: once the canary is taken back, a redelivery ends before it comes here.
        await publish_alert(
            self._bus,
            "warning",
            "canary-rolled-back",
            id=f"{digest}-{comparison.began}",
            document=state.document,
            configuration=digest,
            reason=reason,
        )
        try:
            move = partial(states.roll_back_canary, digest=digest, by=WATCH, reason=reason)
            await self._registry.move(state.document, move)
        except MoveRefusedError:
            return  # somebody else has ended it in the meantime
        logger.warning("%s: the canary %s is rolled back: %s", state.document, digest[:12], reason)


def _is_compared(state: DocumentDrafters, configuration: str) -> bool:
    return any(entry is not None and entry.configuration == configuration for entry in (state.canary, state.live))
