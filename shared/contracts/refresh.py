"""The events of a refresh of the knowledge base, and their subjects.

KNOWLEDGE stream: knowledge.<source>.<refresh>.<event>[.<n>]; `<source>` is `all` where a refresh covers several.
"""

import re
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Literal, get_args

from pydantic import Field, TypeAdapter

from shared.contracts.errors import PermanentError
from shared.contracts.knowledge import (
    SOURCE_PATTERN,
    Chunk,
    DocumentCounts,
    DocumentEntry,
    QueryResult,
    RelevanceThreshold,
    RetrievalMetrics,
    SearchMode,
    UnreadableDocument,
)
from shared.contracts.model import Model
from shared.contracts.subjects import knowledge_subject

RefreshStep = Literal["prepare", "embed", "settle", "judge"]


class Requested(Model):
    """A person or the schedule requested a refresh of the sources."""

    event: Literal["requested"] = "requested"
    version: Literal[1] = 1
    sources: tuple[str, ...] = ()  # empty: all
    by: str  # subject of the caller, or "schedule"
    full: bool = False  # embed everything again
    judge: bool = False  # only evaluate again


class Started(Model):
    """The refresh has started: it was first in the queue."""

    event: Literal["started"] = "started"
    version: Literal[1] = 1
    sources: tuple[str, ...]  # every one it covers; empty for all that there are
    target: int  # the knowledge version it makes
    embedder: str  # Triton model
    collection: str
    fill: bool  # the collection is filled from scratch
    judge: bool = False


class Skipped(Model):
    """Nothing had changed."""

    event: Literal["skipped"] = "skipped"
    version: Literal[1] = 1
    documents: DocumentCounts
    unreadable: tuple[UnreadableDocument, ...] = ()
    reason: str


class BatchReady(Model):
    """Chunks to be embedded."""

    event: Literal["batch-ready"] = "batch-ready"
    version: Literal[1] = 1
    number: int  # 1 for the first
    last: bool
    target: int
    embedder: str
    collection: str
    chunks: tuple[Chunk, ...]
    entries: tuple[DocumentEntry, ...] = ()  # of the documents that are complete with it; a restart continues from them


class Planned(Model):
    """Every source was scanned, and every batch is in the queue."""

    event: Literal["planned"] = "planned"
    version: Literal[1] = 1
    target: int
    documents: DocumentCounts
    unreadable: tuple[UnreadableDocument, ...] = ()
    chunks_new: int
    chunks_kept: int
    chunks_removed: int
    batches: int


class BatchIndexed(Model):
    """A batch is in the vector store. Batches are appended in order, so the last `done` is their number."""

    event: Literal["batch-indexed"] = "batch-indexed"
    version: Literal[1] = 1
    number: int
    done: int  # this one included
    batches: int | None = None  # how many there are, once the last has been seen


class Embedded(Model):
    """The last batch is in the vector store."""

    event: Literal["embedded"] = "embedded"
    version: Literal[1] = 1
    target: int
    batches: int


class Indexed(Model):
    """The version is complete and shows exactly what the sources contain."""

    event: Literal["indexed"] = "indexed"
    version: Literal[1] = 1
    target: int
    embedder: str
    collection: str
    points: int  # that the version shows
    repaired: int = 0  # points that were missing and embedded again


class Evaluated(Model):
    """The golden queries were evaluated."""

    event: Literal["evaluated"] = "evaluated"
    version: Literal[1] = 1
    target: int
    metrics: RetrievalMetrics | None = None  # None: it could not be evaluated; `reason` says why
    live: RetrievalMetrics | None = None  # of the live version, on the same queries
    live_version: int | None = None
    search: SearchMode = "dense"
    threshold: float
    margin: float
    relevance: RelevanceThreshold | None = None  # None in events written before thresholds existed
    queries: tuple[QueryResult, ...] = ()
    golden: int | None = None  # version of the set of golden queries; None in events before sets had versions
    promote: bool
    reason: str


class Promoted(Model):
    """The version is live."""

    event: Literal["promoted"] = "promoted"
    version: Literal[1] = 1
    target: int
    previous: int | None = None


class HeldBack(Model):
    """The version did not meet the promotion rule; the live version stays."""

    event: Literal["held-back"] = "held-back"
    version: Literal[1] = 1
    target: int
    reason: str


class AttemptFailed(Model):
    """A step gave up. With `again_at` another attempt follows, without it the refresh has ended."""

    event: Literal["failed"] = "failed"
    version: Literal[1] = 1
    step: RefreshStep
    reason: str
    attempt: int
    again_at: datetime | None = None


class Resumed(Model):
    """Another attempt continues where the last one ended."""

    event: Literal["resumed"] = "resumed"
    version: Literal[1] = 1
    attempt: int


RefreshEvent = (
    Requested
    | Started
    | Skipped
    | BatchReady
    | Planned
    | BatchIndexed
    | Embedded
    | Indexed
    | Evaluated
    | Promoted
    | HeldBack
    | AttemptFailed
    | Resumed
)
REFRESH_EVENT_TYPES: tuple[type[RefreshEvent], ...] = get_args(RefreshEvent)
REFRESH_EVENT_ADAPTER: TypeAdapter[RefreshEvent] = TypeAdapter(Annotated[RefreshEvent, Field(discriminator="event")])
BATCH_EVENTS = (BatchReady, BatchIndexed)  # one of each for every batch, identified by its number


@dataclass(frozen=True, slots=True)
class RefreshRef:
    """A refresh as subjects name it."""

    source: str
    id: str

    def subject(self, event: str, number: int | None = None) -> str:
        return knowledge_subject(self.source, self.id, event, number)

    @property
    def subject_filter(self) -> str:
        """Return the subject filter of its events without the batches."""
        return knowledge_subject("*", self.id, "*")


def parse_refresh_subject(subject: str) -> tuple[RefreshRef, str, int | None]:
    """Return refresh, event and batch number of a KNOWLEDGE subject. Raises PermanentError for any other form."""
    tokens = subject.split(".")
    if len(tokens) not in (4, 5) or tokens[0] != "knowledge" or not re.fullmatch(SOURCE_PATTERN, tokens[1]):
        raise PermanentError("the subject is not knowledge.<source>.<refresh>.<event>[.<n>]")
    if len(tokens) == 5 and not tokens[4].isdigit():
        raise PermanentError("the subject's last token is not a number")
    return RefreshRef(tokens[1], tokens[2]), tokens[3], int(tokens[4]) if len(tokens) == 5 else None


@dataclass(frozen=True, slots=True)
class RecordedRefreshEvent:
    """An event of a refresh as it is stored in the stream."""

    ref: RefreshRef
    id: str
    time: datetime
    sequence: int
    body: RefreshEvent
