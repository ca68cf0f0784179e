"""Read the file that declares the knowledge base: sources, schedules and promotion rules.

It is read again at every refresh, so a change needs no restart. Paths are relative to the file.
"""

from datetime import time, timedelta
from pathlib import Path
from typing import Annotated, Any, Literal, get_args
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    HttpUrl,
    model_validator,
)

from shared import declarations
from shared.contracts.knowledge import ALL_SOURCES, SOURCE_PATTERN, SearchMode
from shared.contracts.model import Model

Day = Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
DAYS: tuple[Day, ...] = get_args(Day)


def _check_zone(name: str) -> str:
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError):
        raise ValueError("is not an IANA time zone such as Europe/Berlin") from None
    return name


def _clock_time(value: object) -> object:
    """Convert YAML 1.1's reading of an unquoted 02:00, the number 120 (minutes), into a time."""
    if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 24 * 60:
        return time(value // 60, value % 60)
    return value


ClockTime = Annotated[time, BeforeValidator(_clock_time)]
TimeZoneName = Annotated[str, AfterValidator(_check_zone)]


class Schedule(Model):
    """The daily time of a source's refresh."""

    at: ClockTime = time(2, 0)
    time_zone: TimeZoneName = "UTC"

    def __str__(self) -> str:
        return f"{self.at:%H:%M} {self.time_zone}"


class _SourceBase(Model):
    name: Annotated[str, Field(pattern=SOURCE_PATTERN)]
    schedule: Schedule = Schedule()
    golden: Path | None = Field(default=None, description="golden queries that are asked once this source is there")


HostName = Annotated[str, Field(pattern=r"^[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?(:[0-9]{1,5})?$")]


class GuidelineSource(_SourceBase):
    """A folder of documents, or a list of addresses: HTML, PDF, DOCX, Markdown, text."""

    kind: Literal["guideline"]
    folder: Path | None = None
    urls: tuple[HttpUrl, ...] = ()
    redirect_hosts: tuple[HostName, ...] = Field(
        default=(), description="other hosts that the addresses may lead to: name, or name:port"
    )
    internal_hosts: tuple[HostName, ...] = Field(
        default=(), description="hosts of the addresses that are in a private network; others may not be"
    )

    @model_validator(mode="after")
    def _check_one_location(self) -> "GuidelineSource":
        if (self.folder is None) == (not self.urls):
            raise ValueError("needs either a folder or urls")
        return self


class FormularySource(_SourceBase):
    """A CSV or JSON file of medicines, one a row."""

    kind: Literal["formulary"]
    file: Path
    name_column: str = Field(default="name", description="what the medicine is called")
    id_column: str | None = Field(default=None, description="its code; the name where absent")


Source = Annotated[GuidelineSource | FormularySource, Field(discriminator="kind")]


class Promotion(Model):
    """Conditions under which a version goes live."""

    mrr: float = Field(default=0.75, ge=0, le=1, description="MRR@10 over the golden queries, at least")
    margin: float = Field(default=0.02, ge=0, le=1, description="by how much it may be worse than what is live")
    keep_versions: int = Field(default=30, ge=1, description="versions that can be asked and gone back to")


class RelevanceRule(Model):
    """How the similarity threshold for citing a passage is chosen."""

    precision: float = Field(default=0.9, ge=0.5, le=1, description="of what passes, on the golden queries, at least")
    threshold: float | None = Field(default=None, ge=-1, le=1, description="a cosine; instead of choosing one")


class PeakHours(Model):
    """Hours in which a department needs the models for itself: indexing batches are paused."""

    department: str = "all"
    days: tuple[Day, ...] = DAYS[:5]
    start: ClockTime = Field(alias="from")
    end: ClockTime = Field(alias="to")
    time_zone: TimeZoneName = "UTC"

    @model_validator(mode="after")
    def _check_order(self) -> "PeakHours":
        if self.start >= self.end:
            raise ValueError("'from' must come before 'to'; give two windows for one over midnight")
        return self


class KnowledgeFile(Model):
    """The whole file."""

    version: Literal[1] = 1
    embedder: str = Field(default="embedder", pattern=r"^[A-Za-z0-9._-]{1,64}$", description="Triton model")
    chunk_tokens: int = Field(default=160, ge=32, le=240, description="tokens of a chunk, headings apart")
    search: SearchMode = Field(
        default="dense", description="hybrid adds BM25 and fuses: where it pays, docs/explanation/retrieval.md"
    )
    sources: tuple[Source, ...] = ()
    golden: Path | None = None
    golden_managed_in: str | None = Field(
        default=None,
        min_length=1,
        max_length=200,
        description="where golden queries are changed, such as a repository; set: they cannot be edited on the pages",
    )
    promotion: Promotion = Promotion()
    relevance: RelevanceRule = RelevanceRule()
    peak_hours: tuple[PeakHours, ...] = ()
    attempts_apart: timedelta = Field(default=timedelta(minutes=5), description="between two attempts of a refresh")

    @model_validator(mode="after")
    def _check_names(self) -> "KnowledgeFile":
        names = [source.name for source in self.sources]
        if len(set(names)) != len(names):
            raise ValueError("two sources have the same name")
        if ALL_SOURCES in names:
            raise ValueError(f"a source cannot be called '{ALL_SOURCES}'")
        return self

    def source(self, name: str) -> Source | None:
        return next((source for source in self.sources if source.name == name), None)


def read_knowledge_file(path: Path) -> KnowledgeFile:
    """Read the file at `path` and make its paths absolute.

    Raises PermanentError whose reason lists every problem with its location.
    """
    file = declarations.validate(KnowledgeFile, declarations.read_yaml(path), path, _without_kind)
    return _absolute(file, path.resolve().parent)


def _without_kind(part: str) -> str:
    """Leave the kind of a source, which is no key of the file, out of locations."""
    return "" if part in ("guideline", "formulary") else part


def _absolute(file: KnowledgeFile, base: Path) -> KnowledgeFile:
    def moved(item: Any) -> Any:
        places = {
            name: base / getattr(item, name) for name in ("folder", "file", "golden") if getattr(item, name, None)
        }
        return item.model_copy(update=places)

    sources = tuple(moved(source) for source in file.sources)
    return moved(file).model_copy(update={"sources": sources})  # type: ignore[no-any-return]


def missing_paths(file: KnowledgeFile) -> list[str]:
    """Return the paths that the file names and that do not exist."""
    places = [
        (f"sources.{index}.{name}", getattr(source, name, None), name)
        for index, source in enumerate(file.sources)
        for name in ("folder", "file", "golden")
    ]
    places.append(("golden", file.golden, "golden"))
    return [
        f"{where}: {path} is not there"
        for where, path, name in places
        if path is not None and not (path.is_dir() if name == "folder" else path.is_file())
    ]
