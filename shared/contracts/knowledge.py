"""The knowledge base: chunks, documents and versions.

A version is the state of the sources at one time. Every point in the vector store carries the version from which it is
valid (`since`) and the one from which it is not (`until`): version N shows `since <= N < until`. A refresh makes
version N+1 and changes nothing that N shows.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Literal

from pydantic import Field

from shared.contracts.envelope import sha256_hex
from shared.contracts.model import Model
from shared.contracts.subjects import derived_id

ALL_SOURCES = "all"
SOURCE_PATTERN = r"^[a-z0-9][a-z0-9-]{0,39}$"
BATCH_SIZE = 20  # chunks in a message and in a request to the model server
STILL_VALID = 2**31 - 1  # `until` of a point that is still valid

SearchMode = Literal["dense", "sparse", "hybrid"]
# A cosine of the shipped embedding model above which nearly every passage is relevant, for versions without a chosen
# threshold (docs/explanation/retrieval.md).
DEFAULT_THRESHOLD = 0.6


class Chunk(Model):
    """A passage of a document. `id` is derived from the embedded text, so the same passage keeps its id."""

    id: str = Field(description="id of the passage")
    source: str
    document: str = Field(description="its document: path, address or code within its source")
    title: str = Field(description="title of its document")
    path: tuple[str, ...] = Field(default=(), description="headings above it")
    text: str = Field(description="the passage")
    url: str | None = None

    @property
    def text_to_embed(self) -> str:
        """Return the text for the embedding model: the headings, then the passage."""
        return "\n".join((" > ".join(dict.fromkeys((self.title, *self.path))), self.text))


def chunk_id(source: str, document: str, title: str, path: Sequence[str], text: str) -> str:
    return derived_id("\x1f".join((source, document, title, *path)), text)


def point_id(chunk: str, since: int) -> str:
    """Return the id of a point. A chunk that is added again is another point, so earlier versions do not change."""
    return derived_id(chunk, str(since))


class Fingerprint(Model):
    """What a document's change is detected by: cheap attributes first, the digest of its content last."""

    digest: str = ""  # SHA-256; empty without content
    size: int | None = None
    mtime_ns: int | None = None
    etag: str | None = None
    last_modified: str | None = None


class DocumentEntry(Model):
    """The state of one document: an entry of the `sources` bucket."""

    source: str
    document: str
    fingerprint: Fingerprint
    collection: str
    target: int  # the version that this state belongs to
    refresh: str  # that wrote it
    change: Literal["new", "changed", "removed"]
    chunks: tuple[tuple[str, int], ...] = ()  # chunk id and the version it came with
    retired: tuple[tuple[str, int], ...] = ()  # that left with `target`
    unreadable: str | None = None  # why its newest content could not be read; the chunks are the previous ones

    @property
    def key(self) -> str:
        return entry_key(self.source, self.document)

    @property
    def removed(self) -> bool:
        return self.change == "removed"


def entry_key(source: str, document: str) -> str:
    """Return the key in the `sources` bucket: document names may contain characters that keys may not."""
    return f"{source}.{sha256_hex(document.encode())[:32]}"


class DocumentCounts(Model):
    """Documents of a refresh by what happened to them."""

    new: int = Field(default=0, description="new documents")
    changed: int = Field(default=0, description="changed documents")
    removed: int = Field(default=0, description="documents that are gone")
    unchanged: int = Field(default=0, description="documents that stay as they are")
    unreadable: int = 0


class UnreadableDocument(Model):
    """A document that was left out, and why."""

    source: str
    document: str = Field(description="name of the document in its source")
    reason: str


class RetrievalMetrics(Model):
    """Retrieval quality over the golden queries; each metric is between 0 and 1."""

    queries: int
    mrr_at_10: float = Field(description="mean reciprocal rank of the first right passage")
    recall_at_5: float = Field(description="mean share of the right passages among the first 5")
    recall_at_10: float = Field(description="mean share of the right passages among the first 10")
    ndcg_at_10: float = Field(description="mean normalized discounted cumulative gain of the first 10")


class QueryResult(Model):
    """The metrics of one golden query. `found` are the first documents of the ranking."""

    id: str = Field(description="id of the golden query")
    reciprocal_rank: float = Field(description="1 divided by the rank of the first right passage; 0: not found")
    recall_at_5: float = Field(description="share of the right passages among the first 5")
    recall_at_10: float = Field(description="share of the right passages among the first 10")
    ndcg_at_10: float = Field(description="normalized discounted cumulative gain of the first 10")
    found: tuple[str, ...] = Field(default=(), description="the first documents of the ranking")


class RelevanceThreshold(Model):
    """The similarity that a passage needs to be cited, for one version of the knowledge base."""

    threshold: float = Field(
        default=DEFAULT_THRESHOLD, description="least cosine of the vectors of the problem's name and of the passage"
    )
    origin: Literal["golden", "declared", "default"] = Field(
        default="default", description="chosen on golden queries, declared by the file, or neither"
    )
    queries: int = 0  # golden queries that it was chosen on
    precision: float | None = Field(
        default=None, description="precision of the passages above it, of the golden queries"
    )
    recall: float | None = Field(default=None, description="recall of the passages above it, of the golden queries")
    reason: str = "this version was judged before thresholds were chosen"


class Pin(Model):
    """Keeps the live version live until it is removed: refreshes are evaluated, and end held back."""

    by: str  # subject of the caller
    since: datetime = Field(description="since when it is pinned")
    reason: str


class LiveMove(Model):
    """What a person did to the live version. Numbered from 1 without a gap."""

    number: int = Field(description="number of the move, from 1")
    action: Literal["rolled-back", "promoted", "pinned", "unpinned"] = Field(description="what was done")
    version: int = Field(description="version that is live after it")
    previous: int | None = Field(default=None, description="version that was live before")
    pinned: bool = Field(default=False, description="whether refreshes are held back after it")
    by: str  # subject of the caller
    reason: str = ""
    time: datetime
