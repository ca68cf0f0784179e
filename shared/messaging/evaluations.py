"""The EVALUATIONS stream as the log of evaluations: each event of an evaluation stands there once."""

from collections.abc import AsyncIterator
from datetime import datetime
from typing import TypeVar

from pydantic import ValidationError

from shared.contracts.cloudevents import event_headers
from shared.contracts.errors import PermanentError
from shared.contracts.evaluations import (
    DraftsKept,
    EvaluationEvent,
    EvaluationRequested,
    EvaluationSetMade,
    ItemJudged,
    ItemReady,
    parse_evaluation_subject,
    subject_of,
)
from shared.contracts.subjects import derived_id, evaluation_subject
from shared.messaging.connection import NatsConnection, WrongSequenceError
from shared.messaging.event_store import Clock, RawMessage, raw_message_of
from shared.messaging.stream_pages import read_stream_pages

STREAM = "EVALUATIONS"
Event = TypeVar("Event", EvaluationSetMade, EvaluationRequested, ItemReady, ItemJudged, DraftsKept)


class EvaluationLog:
    """`source` is the service that appends."""

    def __init__(self, bus: NatsConnection, source: str, clock: Clock) -> None:
        self._bus = bus
        self._source = source
        self._clock = clock

    async def append(self, evaluation: str, event: EvaluationEvent) -> bool:
        """Append unless it is there already; return whether this call did it. Raises TransientError, PermanentError."""
        subject = subject_of(evaluation, event)
        headers = event_headers(
            id=derived_id(subject, event.event),
            type=f"countersign.evaluations.{event.event}.v{event.version}",
            source=self._source,
            time=self._clock(),
            subject=evaluation,
        )
        headers["Nats-Expected-Last-Subject-Sequence"] = "0"
        try:
            await self._bus.publish(
                subject, event.model_dump_json(exclude_none=True).encode(), stream=STREAM, headers=headers
            )
        except WrongSequenceError:
            return False
        return True

    async def requests(self) -> AsyncIterator[tuple[str, EvaluationRequested, datetime]]:
        """Yield every evaluation with its request and the time of that, oldest first."""
        async for item in self._scan(evaluation_subject("*", "requested")):
            evaluation, _ = parse_evaluation_subject(item.subject)
            yield evaluation, *_request(item)

    async def request(self, evaluation: str) -> tuple[EvaluationRequested, datetime] | None:
        """Return the request of an evaluation and the time of that; None when there is none."""
        async for item in self._scan(evaluation_subject(evaluation, "requested")):
            return _request(item)
        return None

    async def set_versions(self, name: str | None = None) -> list[EvaluationSetMade]:
        """Return the versions of one evaluation set, or of all; of each set the oldest one first."""
        id = "*" if name is None else evaluation_set_id(name)
        filter = evaluation_subject(id, "set-made", "*")
        return [read_evaluation_event(EvaluationSetMade, item.data) async for item in self._scan(filter)]

    async def judged(self, evaluation: str) -> list[ItemJudged]:
        """Return the stays that were drafted, in the order in which they ended."""
        filter = evaluation_subject(evaluation, "item-judged", "*")
        return [read_evaluation_event(ItemJudged, item.data) async for item in self._scan(filter)]

    async def drafts_kept(self, case: str) -> list[DraftsKept]:
        """Return which drafts of trials are kept among the texts of a case, oldest first."""
        filter = evaluation_subject(kept_drafts_id(case), "drafts-kept", "*")
        return [read_evaluation_event(DraftsKept, item.data) async for item in self._scan(filter)]

    async def is_judged(self, evaluation: str, number: int) -> bool:
        query = {"last_by_subj": evaluation_subject(evaluation, "item-judged", number)}
        return bool(await self._bus.direct_get(STREAM, query))

    async def _scan(self, filter: str) -> AsyncIterator[RawMessage]:
        async for page in read_stream_pages(self._bus, STREAM, filter):
            for message in page:
                yield raw_message_of(message)


def _request(item: RawMessage) -> tuple[EvaluationRequested, datetime]:
    requested = read_evaluation_event(EvaluationRequested, item.data)
    return requested, datetime.fromisoformat(item.headers["ce-time"])


def evaluation_set_id(name: str) -> str:
    """Return the id that stands for an evaluation set in subjects."""
    return derived_id(name, "evaluation-set")


def kept_drafts_id(case: str) -> str:
    """Return the id that stands for the kept drafts of a case in subjects."""
    return derived_id(case, "kept-drafts")


def read_evaluation_event(kind: type[Event], data: bytes) -> Event:
    """Return an event. Raises PermanentError where it breaks the contract."""
    try:
        return kind.read(data)
    except ValidationError:
        raise PermanentError(f"a message of evaluations is no valid {kind.__name__}") from None
