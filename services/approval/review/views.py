"""A case and a review as the API and the pages show them."""

import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from types import MappingProxyType
from typing import Any, Literal

from pydantic import BaseModel, Field

from services.approval.filing.write_back import profile_of
from services.approval.review import manual_narrative
from services.approval.review.case_reader import CaseReader
from services.approval.review.operator_reasons import reason_digest
from shared.contracts.case import CaseState, fold
from shared.contracts.case_values import WriteBackProfile
from shared.contracts.draft import Draft
from shared.contracts.envelope import RecordedEvent
from shared.contracts.events import ReviewRequested
from shared.contracts.preparation import PreparationRequested
from shared.contracts.retention import ErasureOrdered, HoldPlaced
from shared.messaging.event_store import UnreadableEvent
from shared.runtime.problems import ProblemError

TRACEPARENT = re.compile(r"00-([0-9a-f]{32})-[0-9a-f]{16}-[0-9a-f]{2}")

NO_REASONS: Mapping[str, str] = MappingProxyType({})


class EventSummary(BaseModel):
    """One event of a case."""

    event: str = Field(description="name of the event")
    time: datetime
    actor: str = Field(description="who did it: a person, or a service")
    digest: str
    detail: dict[str, Any] = Field(description="ids, codes and digests of the event")
    reason: str | None = Field(default=None, description="an operator's words: why it was retried or withdrawn")
    trace_id: str | None = Field(default=None, description="of the trace of the work that wrote it, 32 hex digits")


class EndingView(BaseModel):
    """A legal hold, or an order to erase every text."""

    time: datetime
    by: str
    ground: str
    reference: str | None


class UnreadableEventSummary(BaseModel):
    """A message in the event stream that cannot be read as an event."""

    case_id: str
    department: str
    event: str = Field(description="name of the event, as its subject says")
    sequence: int
    reason: str


class CaseView(BaseModel):
    """A case and its events. Ids, codes and digests; no text."""

    case_id: str
    department: str
    state: CaseState = Field(description="state of the case")
    owner: str | None
    document_reference: str | None
    provenance: str | None
    write_back: WriteBackProfile | None = Field(
        default=None, description="how the document reached the chart; null: nothing is filed"
    )
    hold: EndingView | None = Field(default=None, description="keeps every text of the case")
    erasure: EndingView | None = Field(default=None, description="the texts of the case can no longer be read")
    events: list[EventSummary] = Field(description="its events, oldest first")
    unreadable: list[UnreadableEventSummary] = Field(
        description="messages of the case that cannot be read as events: the state is that of the other events, and no "
        "step continues the case"
    )


class DraftView(BaseModel):
    """The draft under review with its evidence. `digest` is what `If-Match` must carry."""

    digest: str
    text: str = Field(description="the document as it is drafted")
    to_write: str = Field(
        description="the document with the facts of the record and an open place for each narrative: fill them in, and "
        "send it as `text` of the approval"
    )
    sentences: list[dict[str, Any]] = Field(description="sentences of the narrative with their evidence")
    parts: list[dict[str, Any]] = Field(description="the document by part, with facts and narrative")
    kind: str = Field(description="kind of document")
    document: dict[str, Any] | None = Field(description="title and LOINC code of the document")
    routing: dict[str, Any] | None = Field(description="why it is of this kind, and which configuration wrote it")
    number: int = Field(description="drafts of the stay so far, this one included")
    by_hand: str | None = Field(description="why a person has to write the narrative; null: none has to")
    composed: int = Field(description="sentences that rules composed from the record")
    replaced: int = Field(description="sentences of the model that were replaced")
    model_silent: str | None = Field(description="why it has no text of the model; null: it has some")
    left_out: list[str] = Field(description="entries of the record that are not in the document")
    open_points: list[dict[str, Any]] = Field(description="what a physician has to look at before the signature")
    model: str = Field(description="the model that wrote; empty: none")
    prompt: dict[str, Any] = Field(description="name, version and digest of the prompt")
    drafter: dict[str, Any] | None = Field(
        description="configuration that drafted, and whether it was live or a canary"
    )
    context_digest: str = Field(description="SHA-256 of the record that it was made from")
    knowledge: dict[str, Any] | None = Field(description="version of the knowledge base, and passages that were cited")


class PreparationView(BaseModel):
    """A preparation: the stay is not discharged, and nothing can be signed."""

    trigger: str
    expected_at: datetime | None
    ends_at: datetime = Field(description="the preparation ends then if no discharge is reported")


class LineChange(BaseModel):
    """A line of the document before and after; empty where there is none. `under` is the heading above it."""

    kind: Literal["changed", "added", "removed"] = Field(description="what became of the line")
    under: str = Field(description="heading above it")
    before: str = Field(description="the line before; empty: there was none")
    after: str = Field(description="the line after; empty: there is none")


class UnmergedEdit(BaseModel):
    """Lines that the caller edited and whose facts have changed since: the new text is in the document."""

    before: str = Field(description="the lines as they were prepared")
    edited: str = Field(description="the caller's lines")
    now: str = Field(description="the lines of the new draft")


class PreparedView(BaseModel):
    """What has changed since a draft was prepared, and what became of the caller's edits to it."""

    digest: str = Field(description="of the prepared draft")
    kept: list[str] = Field(description="narratives whose facts are the same: their text was kept")
    anew: list[str] = Field(description="narratives that were drafted anew")
    changes: list[LineChange] = Field(description="lines of the document that differ from the prepared draft")
    more: int = Field(description="changed lines beyond those")
    edited_text: str | None = Field(description="the draft with the caller's edits; null where there are none")
    unmerged: list[UnmergedEdit] = Field(description="edits that are not in `edited_text`, as their facts have changed")


class ReviewView(BaseModel):
    """One review, or before the discharge a prepared draft."""

    case_id: str
    department: str
    state: CaseState = Field(description="state of the case")
    encounter: str
    owner: str | None
    level: int
    deadlines: list[datetime]
    draft: DraftView
    preparation: PreparationView | None = Field(default=None, description="before the discharge: nothing can be signed")
    prepared: PreparedView | None = Field(default=None, description="where a draft was prepared before this one")


def summarize_unreadable(items: Iterable[UnreadableEvent]) -> list[UnreadableEventSummary]:
    return [
        UnreadableEventSummary(
            case_id=item.case.id,
            department=item.case.department,
            event=item.event,
            sequence=item.sequence,
            reason=item.reason,
        )
        for item in items
    ]


def case_view(
    history: list[RecordedEvent], unreadable: Iterable[UnreadableEvent] = (), reasons: Mapping[str, str] = NO_REASONS
) -> CaseView:
    """Return the case with each of its events. `reasons`: the words of operators by their digest."""
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
            EventSummary(
                event=event.name,
                time=event.time,
                actor=event.actor,
                digest=event.head.digest,
                detail=event.body.model_dump(mode="json", exclude_none=True, exclude={"event", "version"}),
                reason=reasons.get(reason_digest(event) or ""),
                trace_id=trace_id(event),
            )
            for event in history
        ],
        unreadable=summarize_unreadable(unreadable),
    )


def trace_id(event: RecordedEvent) -> str | None:
    """Return the trace id of an event (W3C Trace Context); None where it has none."""
    found = TRACEPARENT.fullmatch(event.traceparent or "")
    return found[1] if found else None


def ending_view(event: RecordedEvent | None) -> EndingView | None:
    """Return who ordered the end, when and why."""
    if event is None or not isinstance(event.body, ErasureOrdered | HoldPlaced):
        return None
    body = event.body
    return EndingView(time=event.time, by=event.actor, ground=body.ground, reference=body.reference)


def erasure_of(history: Sequence[RecordedEvent]) -> EndingView | None:
    """Return the last order to erase texts of the case, of any kind."""
    return ending_view(next((item for item in reversed(history) if isinstance(item.body, ErasureOrdered)), None))


async def review_view(
    cases: CaseReader, history: list[RecordedEvent], prepared: "PreparedView | None" = None
) -> ReviewView:
    """Return the case's last review, or before the discharge its prepared draft. Raises ProblemError without either.

    `prepared` is the comparison with the draft that was prepared before.
    """
    case = fold(history)
    draft = await cases.draft_of(history[-1].case.id, case)
    if draft is None or case.shown is None:
        raise ProblemError(404, "There is no draft to review yet", f"The case is {case.state}.")
    review = case.shown if isinstance(case.shown, ReviewRequested) else None
    return ReviewView(
        case_id=history[-1].case.id,
        department=history[-1].case.department,
        state=case.state,
        encounter=case.shown.stay.encounter,
        owner=case.owner,
        level=case.level,
        deadlines=list(review.deadlines) if review else [],
        draft=_draft_view(draft, case.shown.draft.digest),
        preparation=case.preparation and _preparation_view(case.preparation),
        prepared=prepared,
    )


def _preparation_view(request: PreparationRequested) -> PreparationView:
    return PreparationView(trigger=request.trigger, expected_at=request.expected_at, ends_at=request.ends_at)


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
