"""The knowledge base: chunks, documents and versions.

A version is the state of the sources at one time. Every point in Qdrant carries the version it came with (`since`) and
the one it left with (`until`): version N shows `since <= N < until`. A refresh makes version N+1 and changes nothing
that N shows.
"""

from collections.abc import Sequence
from typing import Literal

from shared.contracts.envelope import digest
from shared.contracts.model import Model
from shared.contracts.subjects import derived_id

ALL = "all"
SOURCE = r"^[a-z0-9][a-z0-9-]{0,39}$"
BATCH = 20  # chunks a message and a request to the model server
OPEN = 2**31 - 1  # `until` of what no version has removed

Search = Literal["dense", "sparse", "hybrid"]
# A cosine of the shipped embedding model at which nearly nothing is about something else: what a version is
# asked with for which none was chosen (docs/explanation/retrieval.md).
DEFAULT_THRESHOLD = 0.6


class Chunk(Model):
    """A passage of a document. `id` is derived from what is embedded: the same passage has the same id for ever."""

    id: str
    source: str
    document: str  # path, address or code within its source
    title: str
    path: tuple[str, ...] = ()  # headings above it
    text: str
    url: str | None = None

    @property
    def embedded(self) -> str:
        """What the model gets: the headings say what the passage is about."""
        return "\n".join((" > ".join(dict.fromkeys((self.title, *self.path))), self.text))


def chunk_id(source: str, document: str, title: str, path: Sequence[str], text: str) -> str:
    return derived_id("\x1f".join((source, document, title, *path)), text)


def point_id(chunk: str, since: int) -> str:
    """A chunk that left and came back is another point: what earlier versions showed stays."""
    return derived_id(chunk, str(since))


class Fingerprint(Model):
    """How a document is recognised: what is cheap to ask first, the digest of its content last."""

    digest: str = ""  # SHA-256; empty where there was nothing to digest
    size: int | None = None
    mtime_ns: int | None = None
    etag: str | None = None
    last_modified: str | None = None


class DocumentEntry(Model):
    """What is known of one document: an entry of the `sources` bucket."""

    source: str
    document: str
    fingerprint: Fingerprint
    collection: str
    target: int  # the version that this state came with
    refresh: str  # that wrote it
    change: Literal["new", "changed", "removed"]
    chunks: tuple[tuple[str, int], ...] = ()  # chunk id and the version it came with
    retired: tuple[tuple[str, int], ...] = ()  # that left with `target`
    unreadable: str | None = None  # why its newest content could not be read; the chunks are those of before

    @property
    def key(self) -> str:
        return entry_key(self.source, self.document)

    @property
    def removed(self) -> bool:
        return self.change == "removed"


def entry_key(source: str, document: str) -> str:
    """Key in the `sources` bucket: documents may be called anything, keys may not."""
    return f"{source}.{digest(document.encode())[:32]}"


class Counts(Model):
    """Documents of a refresh, told apart."""

    new: int = 0
    changed: int = 0
    removed: int = 0
    unchanged: int = 0
    unreadable: int = 0


class Unreadable(Model):
    """A document that was left out, and why."""

    source: str
    document: str
    reason: str


class Metrics(Model):
    """Retrieval quality over the golden queries; each between 0 and 1."""

    queries: int
    mrr_at_10: float
    recall_at_5: float
    recall_at_10: float
    ndcg_at_10: float


class QueryResult(Model):
    """How one golden query did. `found` are the documents that came first."""

    id: str
    reciprocal_rank: float
    recall_at_5: float
    recall_at_10: float
    ndcg_at_10: float
    found: tuple[str, ...] = ()


class Relevance(Model):
    """How similar a passage must be to a problem to be about it, in one version of the base."""

    threshold: float = DEFAULT_THRESHOLD  # cosine of the vectors of the problem's name and of the passage
    origin: Literal["golden", "declared", "default"] = "default"  # chosen on golden queries, by the file, or neither
    queries: int = 0  # golden queries that it was chosen on
    precision: float | None = None  # of what it lets pass among them
    recall: float | None = None
    reason: str = "this version was judged before thresholds were chosen"
