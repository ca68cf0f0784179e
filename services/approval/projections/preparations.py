"""The projection of stays that are prepared before their discharge, in memory. It may lag behind."""

from collections.abc import Callable, Collection, Iterator
from datetime import datetime
from itertools import chain

from pydantic import Field

from services.approval.projections.catch_up import CatchUpSubscription
from shared.contracts.envelope import decode
from shared.contracts.model import Model
from shared.contracts.preparation import PreparationRequested, PreparationTrigger, Prepared
from shared.messaging.connection import NatsConnection
from shared.messaging.event_store import RawMessage

EVENTS = ("preparation-requested", "prepared", "preparation-ended", "discharged", "erasure-ordered", "reimported")


class Preparation(Model):
    """One line of the list: ids and times, no patient data."""

    case_id: str
    department: str
    encounter: str
    trigger: PreparationTrigger
    requested_at: datetime
    expected_at: datetime | None = None
    ends_at: datetime = Field(description="the preparation ends then if no discharge is reported")
    owner: str | None = None  # the attending physician
    draft: str | None = None  # digest; None until it is prepared
    title: str = Field(default="", description="title of the document; empty: not drafted yet")


class PreparationsProjection:
    """Projection of all preparations that have not ended; `changed` is called with the id of each case that changes."""

    def __init__(self, changed: Callable[[str], None]) -> None:
        self._changed = changed
        self._rows: dict[str, tuple[Preparation, tuple[int, ...]]] = {}  # with the sequences of their events

    async def start(self, bus: NatsConnection) -> None:
        """Subscribe; events are read in the background."""
        self._rows.clear()  # of a start that failed
        await CatchUpSubscription("preparations", EVENTS, self._apply_message, self._live_sequences).start(bus)

    def _live_sequences(self) -> Iterator[int]:
        return chain.from_iterable(sequences for _, sequences in self._rows.values())

    def _apply_message(self, message: RawMessage) -> None:
        event = decode(message.subject, message.headers, message.data, message.sequence)
        before = self._rows.pop(event.case.id, None)
        match event.body:
            case PreparationRequested() as request:
                row = Preparation(
                    case_id=event.case.id,
                    department=event.case.department,
                    encounter=f"Encounter/{request.encounter_id}",
                    trigger=request.trigger,
                    requested_at=event.time,
                    expected_at=request.expected_at,
                    ends_at=request.ends_at,
                    owner=before[0].owner if before else request.attending,
                    draft=before[0].draft if before and request.prepared is not None else None,
                    title=before[0].title if before else "",
                )
                known = before[1] if before else ()
                self._rows[event.case.id] = row, (*known[-1:], event.head.sequence)
            case Prepared() as prepared if before is not None:
                facts = {
                    "owner": prepared.stay.attending,
                    "draft": prepared.draft.digest,
                    "title": prepared.draft.type.title,
                }
                self._rows[event.case.id] = before[0].model_copy(update=facts), (*before[1], event.head.sequence)
            case _:
                pass
        self._changed(event.case.id)

    def of(self, departments: Collection[str] | None) -> list[Preparation]:
        """Return the preparations of the departments, in no order. None: all."""
        return [row for row, _ in self._rows.values() if departments is None or row.department in departments]

    def page(self, departments: Collection[str] | None, limit: int) -> list[Preparation]:
        """Return the first `limit` preparations: those that are expected to be discharged first, then the oldest."""
        return sorted(self.of(departments), key=expected_first)[:limit]

    def count(self, departments: Collection[str] | None) -> int:
        """Return how many preparations there are. `departments` None: in all."""
        return sum(departments is None or row.department in departments for row, _ in self._rows.values())

    def due(self, now: datetime) -> list[str]:
        """Return the cases whose preparation should have ended by `now`."""
        return [case for case, (row, _) in self._rows.items() if row.ends_at <= now]


def expected_first(row: Preparation) -> tuple[float, float, str]:
    """Return the position of a preparation in its list: by the expected discharge, then by age."""
    return (row.expected_at or row.ends_at).timestamp(), row.requested_at.timestamp(), row.case_id
