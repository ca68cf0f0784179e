"""Take in every signature and rating of a draft into the figures of its configuration, in the bucket `comparisons`."""

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import NamedTuple, TypeVar

from nats.aio.msg import Msg

from services.evaluator.feedback import DrafterFeedback, RatingComparison, is_compared
from shared.contracts.draft import DrafterStamp
from shared.contracts.envelope import RecordedEvent, decode
from shared.contracts.errors import TransientError
from shared.contracts.events import Approved, Drafted
from shared.contracts.model import Model
from shared.contracts.ratings import Rated, Rating
from shared.messaging.buckets import Bucket
from shared.messaging.connection import NatsConnection, WrongSequenceError
from shared.messaging.drafter_registry import DrafterRegistry
from shared.messaging.event_store import EventStore

BUCKET = "comparisons"
CONSUMER = "evaluator-feedback"
ModelT = TypeVar("ModelT", bound=Model)


class _Rated(NamedTuple):
    """A rating, the one that it replaces, and when its draft was written."""

    rating: Rating
    before: Rating | None
    drafted_at: datetime | None


class FeedbackProjection:
    """Each figure is stored with the sequence of the last event, by compare-and-set: what comes twice counts once."""

    def __init__(self, bus: NatsConnection, registry: DrafterRegistry) -> None:
        self._registry = registry
        self._cases = EventStore(bus, "evaluator")
        self._bucket = Bucket(bus, BUCKET)

    async def feedback(self, configuration: str) -> DrafterFeedback:
        """Return what is known of the signed drafts of a configuration; empty where there are none."""
        stored = await self._bucket.get(_feedback_key(configuration))
        return DrafterFeedback.read(stored.value) if stored else DrafterFeedback(configuration=configuration)

    async def ratings(self, canary: str, began: int) -> RatingComparison:
        """Return the ratings since a canary began with the event at `began`."""
        stored = await self._bucket.get(_ratings_key(canary))
        return _same_canary(RatingComparison.read(stored.value) if stored else None, canary, began)

    async def receive(self, message: Msg) -> None:
        """Take in the event of a delivered message. Raises TransientError, PermanentError."""
        sequence = message.metadata.sequence.stream
        await self.apply(decode(message.subject, message.headers or {}, message.data, sequence))

    async def apply(self, event: RecordedEvent) -> None:
        """Take in a signature or a rating. Raises TransientError, PermanentError."""
        match event.body:
            case Approved() as signed if signed.draft.drafter is not None:
                configuration = signed.draft.drafter.configuration
                await self._update_feedback(
                    configuration, lambda now: now.with_signature(event.case.id, signed, event.head.sequence)
                )
            case Rated() as rated if rated.draft.drafter is not None:
                await self._apply_rating(event, rated, rated.draft.drafter)
            case _:
                pass  # a draft of before configurations were recorded

    async def _apply_rating(self, event: RecordedEvent, body: Rated, stamp: DrafterStamp) -> None:
        rated = _with_history(await self._cases.history_with(event), event, body)
        sequence = event.head.sequence
        await self._update_feedback(
            stamp.configuration, lambda now: now.with_rating(rated.rating, rated.before, sequence)
        )
        canary = (await self._registry.state(body.draft.kind)).canary
        if canary is None or rated.drafted_at is None or not is_compared(canary, stamp, rated.drafted_at):
            return
        digest, began = canary.configuration, canary.began

        def compared(stored: RatingComparison | None) -> RatingComparison:
            now = _same_canary(stored, digest, began)
            return now.with_rating(stamp, rated.rating, rated.before, sequence)

        await self._update(_ratings_key(digest), RatingComparison, compared)

    async def _update_feedback(self, configuration: str, change: Callable[[DrafterFeedback], DrafterFeedback]) -> None:
        def changed(stored: DrafterFeedback | None) -> DrafterFeedback:
            return change(stored or DrafterFeedback(configuration=configuration))

        await self._update(_feedback_key(configuration), DrafterFeedback, changed)

    async def _update(self, key: str, kind: type[ModelT], change: Callable[[ModelT | None], ModelT]) -> None:
        """Store what `change` makes of the stored value, if it differs. Raises TransientError at a conflict."""
        stored = await self._bucket.get(key)
        before = kind.read(stored.value) if stored is not None else None
        after = change(before)
        if after == before:
            return
        try:
            await self._bucket.put(key, after.model_dump_json().encode(), revision=stored.revision if stored else 0)
        except WrongSequenceError:
            raise TransientError("another process took in an event of the same drafter configuration") from None


def _feedback_key(configuration: str) -> str:
    return f"feedback.{configuration}"


def _ratings_key(canary: str) -> str:
    return f"ratings.{canary}"


def _same_canary(stored: RatingComparison | None, canary: str, began: int) -> RatingComparison:
    """Return the stored comparison, or an empty one where it is of an earlier time as a canary."""
    return stored if stored is not None and stored.began == began else RatingComparison(canary=canary, began=began)


def _with_history(history: Sequence[RecordedEvent], event: RecordedEvent, body: Rated) -> _Rated:
    """Return a rating with what the case says of its draft."""
    before, drafted_at = None, None
    for item in history:
        if item.head.sequence >= event.head.sequence:
            break
        if isinstance(item.body, Drafted) and item.body.draft.digest == body.draft.digest:
            drafted_at = item.time
        if isinstance(item.body, Rated) and item.body.draft.digest == body.draft.digest:
            before = item.body.rating
    return _Rated(body.rating, before, drafted_at)
