"""The projection of documents that are signed and not in the chart yet, in memory."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime

from services.approval.projections.catch_up import CatchUpSubscription
from shared.contracts.envelope import decode
from shared.contracts.events import Failed
from shared.contracts.subjects import CaseRef, parse_case_subject
from shared.messaging.connection import NatsConnection
from shared.messaging.event_store import RawMessage
from shared.messaging.steps import Clock
from shared.runtime.authentication import Caller
from shared.telemetry import instruments
from shared.telemetry.metric_definitions import DEPARTMENT, STATE

SIGNS = ("approved", "amended", "addended", "retracted")
ENDS = ("filed", "retraction-filed", "erasure-ordered", "reimported")
EVENTS = (*SIGNS, "failed", "retried", *ENDS)


@dataclass(frozen=True, slots=True)
class UnfiledDocument:
    """One signature that is not in the chart. `held`: why filing was given up, until a person releases it."""

    ref: CaseRef
    event: str  # approved, amended, addended, retracted
    signed_at: datetime
    held: str | None
    sequences: tuple[int, ...]  # of the events that it is made of


class UnfiledProjection:
    """Signed documents that are not in the chart, oldest first."""

    def __init__(self, clock: Clock, changed: Callable[[str], None] = lambda _: None) -> None:
        """Call `changed` with the case of each event, after it was applied."""
        self._clock = clock
        self._changed = changed
        self._waiting: dict[str, UnfiledDocument] = {}

    async def start(self, bus: NatsConnection) -> None:
        """Subscribe; stored events are read in the background. Raises TransientError."""
        self._waiting.clear()  # of a start that failed
        await CatchUpSubscription("unfiled", EVENTS, self.apply, self._live_sequences).start(bus)

    def of(self, who: Caller) -> list[UnfiledDocument]:
        """Return those of the caller's departments."""
        mine = [item for item in self._waiting.values() if who.can_access_department(item.ref.department)]
        return sorted(mine, key=lambda item: item.signed_at)

    def apply(self, message: RawMessage) -> None:
        """Apply one event. Raises TransientError, PermanentError for one that cannot be read."""
        case, name = parse_case_subject(message.subject)
        known = self._waiting.get(case.id)
        if name in SIGNS:
            at = datetime.fromisoformat(message.headers["ce-time"])
            self._waiting[case.id] = UnfiledDocument(case, name, at, None, (message.sequence,))
        elif name in ENDS:
            self._waiting.pop(case.id, None)
        elif known is not None and name == "retried":
            self._waiting[case.id] = replace(known, held=None, sequences=known.sequences[:1])
        elif known is not None:
            body = decode(message.subject, message.headers, message.data, message.sequence).body
            if isinstance(body, Failed) and body.step == "file":
                sequences = (known.sequences[0], message.sequence)
                self._waiting[case.id] = replace(known, held=body.reason, sequences=sequences)
        self._changed(case.id)

    async def collect_gauges(self) -> None:
        """Set the age of the oldest one of each department, by whether it is held."""
        now, oldest = self._clock(), dict[tuple[str, str], float]()
        for item in self._waiting.values():
            key = item.ref.department, "held" if item.held is not None else "waiting"
            oldest[key] = max(oldest.get(key, 0.0), (now - item.signed_at).total_seconds())
        values = [({DEPARTMENT: place, STATE: state}, age) for (place, state), age in oldest.items()]
        instruments.replace_gauge("countersign.filing.oldest", values)

    def _live_sequences(self) -> Iterator[int]:
        return (sequence for item in self._waiting.values() for sequence in item.sequences)
