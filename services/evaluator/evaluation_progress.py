"""Track which stays of evaluations are still to be drafted, and which evaluations are complete."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from shared.contracts.evaluations import EvaluationRequested, ItemJudged, ItemReady, parse_evaluation_subject
from shared.contracts.events import name_of
from shared.contracts.subjects import EVALUATION_EVENTS
from shared.messaging.connection import NatsConnection
from shared.messaging.evaluations import STREAM, read_evaluation_event
from shared.messaging.event_store import RawMessage, raw_message_of
from shared.messaging.stream_pages import read_stream_pages

WINDOW = 20_000  # messages at the end of the stream that a process begins with
LONGEST = timedelta(days=7)  # an evaluation that is older is not waited for any more


@dataclass(slots=True)
class Progress:
    """An evaluation. Of a shadow, whose stays come in as they are signed, `wanted` is 0."""

    document: str
    requested: datetime
    wanted: int
    ready: dict[int, datetime] = field(default_factory=dict)  # stays that wait, by number, and since when
    judged: int = 0
    drafted: datetime | None = None  # when the last stay was drafted

    @property
    def role(self) -> str:
        return "candidate" if self.wanted else "shadow"

    @property
    def waiting(self) -> int:
        """Return the number of stays that are still to be drafted."""
        return self.wanted - self.judged if self.wanted else len(self.ready)

    def stalled(self, now: datetime) -> float:
        """Return the seconds since a stay was drafted, while others wait; 0 where none waits."""
        since = self.requested if self.wanted else min(self.ready.values(), default=now)
        if not self.waiting or now - since >= LONGEST:
            return 0.0
        return max((now - max(since, self.drafted or since)).total_seconds(), 0.0)


@dataclass(slots=True)
class EvaluationProgress:
    """Progress of the evaluations that were read so far; one whose request was not read is left out. Pure."""

    evaluations: dict[str, Progress] = field(default_factory=dict)
    complete: dict[str, str] = field(default_factory=dict)  # by document: the evaluation that was completed last

    def add(self, messages: Iterable[RawMessage]) -> None:
        for item in messages:
            evaluation, event = parse_evaluation_subject(item.subject)
            time = datetime.fromisoformat(item.headers["ce-time"])
            found = self.evaluations.get(evaluation)
            if event == name_of(EvaluationRequested):
                request = read_evaluation_event(EvaluationRequested, item.data)
                self.evaluations[evaluation] = Progress(request.document, time, len(request.items))
            elif found is None:
                continue
            elif event == name_of(ItemReady):
                found.ready[read_evaluation_event(ItemReady, item.data).number] = time
            elif event == name_of(ItemJudged):
                self._judged(evaluation, found, read_evaluation_event(ItemJudged, item.data).number, time)

    def _judged(self, evaluation: str, found: Progress, number: int, time: datetime) -> None:
        found.ready.pop(number, None)
        found.drafted = time
        found.judged += 1
        if found.wanted and found.judged >= found.wanted:
            self.complete[found.document] = evaluation
            del self.evaluations[evaluation]

    def stalled(self, document: str, role: str, now: datetime) -> float:
        """Return the longest stall (s) among the evaluations of a kind of document; 0 where none waits."""
        return max((item.stalled(now) for item in self._select(document, role)), default=0.0)

    def waiting(self, document: str, role: str) -> int:
        return sum(item.waiting for item in self._select(document, role))

    def judged(self, evaluation: str) -> int:
        """Return how many stays of an incomplete evaluation, or of a shadow, were judged."""
        found = self.evaluations.get(evaluation)
        return found.judged if found is not None else 0

    def _select(self, document: str, role: str) -> list[Progress]:
        return [item for item in self.evaluations.values() if (item.document, item.role) == (document, role)]


class ProgressReader:
    """Reads what has come into the EVALUATIONS stream since the last read."""

    def __init__(self, bus: NatsConnection) -> None:
        self._bus = bus
        self._progress = EvaluationProgress()
        self._read: int | None = None  # sequence of the last message that was read

    async def read(self) -> EvaluationProgress:
        """Read the progress of all evaluations. Raises TransientError, PermanentError."""
        if self._read is None:
            last = await self._bus.direct_get(STREAM, {"last_by_subj": EVALUATION_EVENTS})
            sequences = [int((message.headers or {})["Nats-Sequence"]) for message in last]
            self._read = max(max(sequences, default=0) - WINDOW, 0)
        async for page in read_stream_pages(self._bus, STREAM, EVALUATION_EVENTS, start=self._read + 1):
            found = [raw_message_of(message) for message in page]
            self._progress.add(item for item in found if item.sequence > self._read)
            self._read = found[-1].sequence
        return self._progress
