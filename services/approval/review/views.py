"""A case and a review as the API and the pages show them."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

from pydantic import BaseModel, Field

from services.approval.filing.write_back import profile_of
from services.approval.review import manual_narrative
from services.approval.review.case_reader import CaseReader
from shared.contracts.case import CaseState, fold
from shared.contracts.case_values import WriteBackProfile
from shared.contracts.draft import Draft
from shared.contracts.envelope import RecordedEvent
from shared.contracts.retention import ErasureOrdered, HoldPlaced
from shared.messaging.event_store import UnreadableEvent
from shared.runtime.problems import ProblemError


class EventLine(BaseModel):
    """One event of a case."""

    event: str
    time: datetime
    actor: str
    digest: str
    detail: dict[str, Any]


class EndingView(BaseModel):
    """A legal hold, or an order to erase every text."""

    time: datetime
    by: str
    ground: str
    reference: str | None


class UnreadableLine(BaseModel):
    """A message in the event stream that cannot be read as an event."""

    case_id: str
    department: str
    event: str
    sequence: int
    reason: str


class CaseView(BaseModel):
    """A case and its events. Ids, codes and digests; no text."""

    case_id: str
    department: str
    state: CaseState
    owner: str | None
    document_reference: str | None
    provenance: str | None
    write_back: WriteBackProfile | None = Field(
        default=None, description="how the document reached the chart; null: nothing is filed"
    )
    hold: EndingView | None = Field(default=None, description="keeps every text of the case")
    erasure: EndingView | None = Field(default=None, description="the texts of the case can be read no more")
    events: list[EventLine]
    unreadable: list[UnreadableLine] = Field(
        description="messages of the case that cannot be read as events: the state is that of the other events, and no "
        "step continues the case"
    )


class DraftView(BaseModel):
    """The draft under review with its evidence. `digest` is what `If-Match` must carry."""

    digest: str
    text: str
    to_write: str = Field(
        description="the document with the facts of the record and an open place for each narrative: fill them in, and "
        "send it as `text` of the approval"
    )
    sentences: list[dict[str, Any]]
    parts: list[dict[str, Any]]
    kind: str
    document: dict[str, Any] | None  # title and LOINC code
    routing: dict[str, Any] | None  # why it is of this kind, and by which configuration it was written
    number: int
    by_hand: str | None
    composed: int
    replaced: int
    model_silent: str | None
    left_out: list[str]
    open_points: list[dict[str, Any]]
    model: str
    prompt: dict[str, Any]
    context_digest: str
    knowledge: dict[str, Any] | None


class ReviewView(BaseModel):
    """One review."""

    case_id: str
    department: str
    state: CaseState
    encounter: str
    owner: str | None
    level: int
    deadlines: list[datetime]
    draft: DraftView


def unreadable_lines(items: Iterable[UnreadableEvent]) -> list[UnreadableLine]:
    return [
        UnreadableLine(
            case_id=item.case.id,
            department=item.case.department,
            event=item.event,
            sequence=item.sequence,
            reason=item.reason,
        )
        for item in items
    ]


def case_view(history: list[RecordedEvent], unreadable: Iterable[UnreadableEvent] = ()) -> CaseView:
    """Return the case with each of its events."""
    case = fold(history)
    return CaseView(
        case_id=history[-1].case.id,
        department=history[-1].case.department,
        state=case.state,
        owner=case.owner,
        document_reference=case.document.document_reference if case.document else None,
        provenance=(case.document.provenance or None) if case.document else None,
        write_back=profile_of(case.document) if case.document else None,
        hold=ending_view(case.hold),
        erasure=ending_view(case.erasure),
        events=[
            EventLine(
                event=event.name,
                time=event.time,
                actor=event.actor,
                digest=event.head.digest,
                detail=event.body.model_dump(mode="json", exclude_none=True, exclude={"event", "version"}),
            )
            for event in history
        ],
        unreadable=unreadable_lines(unreadable),
    )


def ending_view(event: RecordedEvent | None) -> EndingView | None:
    """Return who ordered the end, when and why."""
    if event is None or not isinstance(event.body, ErasureOrdered | HoldPlaced):
        return None
    body = event.body
    return EndingView(time=event.time, by=event.actor, ground=body.ground, reference=body.reference)


def erasure_of(history: Sequence[RecordedEvent]) -> EndingView | None:
    """Return the last order to erase texts of the case, of any kind."""
    return ending_view(next((item for item in reversed(history) if isinstance(item.body, ErasureOrdered)), None))


async def review_view(cases: CaseReader, history: list[RecordedEvent]) -> ReviewView:
    """Return the case's last review. Raises ProblemError when no draft has been in review yet."""
    case = fold(history)
    draft = await cases.draft_of(history[-1].case.id, case)
    if draft is None or case.review is None:
        raise ProblemError(404, "There is no draft to review yet", f"The case is {case.state}.")
    return ReviewView(
        case_id=history[-1].case.id,
        department=history[-1].case.department,
        state=case.state,
        encounter=case.review.stay.encounter,
        owner=case.owner,
        level=case.level,
        deadlines=list(case.review.deadlines),
        draft=_draft_view(draft, case.review.draft.digest),
    )


def _draft_view(draft: Draft, digest: str) -> DraftView:
    sentences = [
        item.model_dump(mode="json") | {"supported": item.supported, "support": item.support}
        for item in draft.sentences
    ]
    return DraftView(
        digest=digest,
        to_write=manual_narrative.to_write(draft),
        sentences=sentences,
        parts=[part.model_dump(mode="json") for part in draft.parts],
        **draft.model_dump(mode="json", exclude={"version", "parts"}),
    )
