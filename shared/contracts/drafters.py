"""Drafter configurations, and the events by which one of them drafts a kind of document.

DRAFTERS stream: drafters.<document>.<event>; the events of one kind of document are a chain. A configuration is stored
once in the bucket `drafters`, under its digest: what a draft was made by can be looked up as long as the draft exists.
"""

import re
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Literal, Self, get_args

from pydantic import Field, TypeAdapter

from shared.contracts.case_values import Actor
from shared.contracts.draft import NAME_PATTERN, Prompt
from shared.contracts.envelope import ChainHead, sha256_hex
from shared.contracts.model import Model
from shared.contracts.quality_gate import MetricLimits

Policy = Literal["strict", "marked"]
DIGEST_PATTERN = r"^[0-9a-f]{64}$"
Digest = Annotated[str, Field(pattern=DIGEST_PATTERN)]
Reason = Annotated[str, Field(min_length=1, max_length=1000)]
DIVIDER = "\n=====\n"
MAX_PROMPT_CHARACTERS = 50_000


class PromptText(Model):
    """A prompt: its text with the placeholders `{facts}` and `{words}`, and where an answer ends."""

    name: str = Field(pattern=NAME_PATTERN, max_length=64, description="name of the prompt")
    version: int = Field(ge=1, description="its version")
    text: str = Field(max_length=MAX_PROMPT_CHARACTERS, description="the prompt")
    stop: tuple[str, ...] = Field(default=(), description="where the answer ends")
    max_tokens: int = Field(ge=1, le=8192)

    @property
    def stamp(self) -> Prompt:
        return Prompt(name=self.name, version=self.version, digest=sha256_hex(self.text.encode()))

    @classmethod
    def parse(cls, name: str, content: str) -> Self:
        """Read a prompt file: a header (`key: value` lines, history), a divider, the text.

        Raises KeyError or ValueError for an invalid one.
        """
        header, divider, text = content.partition(DIVIDER)
        if not divider:
            raise ValueError("there is no line ===== between the header and the text")
        if "{facts}" not in text:
            raise ValueError("the text has no placeholder {facts}")
        fields = dict(line.split(": ", 1) for line in header.splitlines() if re.match(r"[a-z_]+: ", line))
        return cls(
            name=name,
            version=int(fields["version"]),
            text=text.rstrip("\n") + "\n",
            stop=tuple(fields["stop"].split()),
            max_tokens=int(fields["max_tokens"]),
        )


class DrafterSampling(Model):
    """Sampling parameters. `temperature` 0 is greedy; the same seed gives the same text."""

    temperature: float = Field(default=0.0, ge=0, le=2, description="0: always the likeliest word")
    seed: int = Field(default=0, ge=0, le=2**31 - 1, description="seed of the model server")
    repetition_penalty: float = Field(default=1.1, gt=0, le=2, description="above 1: repeats less; null: the server's")


class DrafterConfiguration(Model):
    """What decides the narrative of one kind of document, besides the record."""

    document: str = Field(pattern=NAME_PATTERN, max_length=64)  # name of the kind of document
    model: str = Field(pattern=r"^[A-Za-z0-9_-]{1,64}$")  # name of an endpoint, or a model of the Triton server
    served: str = Field(default="", max_length=300)  # the endpoint's kind, model and revision as they are declared
    prompt: PromptText
    sampling: DrafterSampling = DrafterSampling()
    policy: Policy = "strict"

    @property
    def digest(self) -> str:
        """Return the SHA-256 of the stored form, which identifies the configuration."""
        return sha256_hex(self.stored())

    def stored(self) -> bytes:
        """Return the form that is stored. Defaults are left out: a new field changes the digest of none without it."""
        return self.model_dump_json(exclude_defaults=True).encode()


class Declared(Model):
    """A drafter has started, and its settings and files declare this configuration."""

    event: Literal["declared"] = "declared"
    version: Literal[1] = 1
    configuration: Digest
    gate: dict[str, MetricLimits] = Field(
        default={}, description="limits of the gate by metric, as the kind of document declares them"
    )


class Added(Model):
    """Somebody has added a configuration. It drafts nothing yet."""

    event: Literal["added"] = "added"
    version: Literal[1] = 1
    configuration: Digest
    by: Actor
    reason: Reason


class Shadowed(Model):
    """Stays that are signed from now on are drafted again by the configuration; nobody sees its drafts."""

    event: Literal["shadowed"] = "shadowed"
    version: Literal[1] = 1
    configuration: Digest
    live: Digest  # that it is compared with
    by: Actor
    reason: Reason


class CanaryStarted(Model):
    """The configuration drafts a share of the cases, or another share than before."""

    event: Literal["canary-started"] = "canary-started"
    version: Literal[1] = 1
    configuration: Digest
    share: float = Field(gt=0, lt=1)
    by: Actor
    reason: Reason
    evaluation: str | None = None  # id of the one that it has passed; None: somebody went without


class DrafterPromoted(Model):
    """The configuration drafts every case. The one that did so before is retired."""

    event: Literal["promoted"] = "promoted"
    version: Literal[1] = 1
    configuration: Digest
    previous: Digest | None = None
    by: Actor
    reason: Reason
    evaluation: str | None = None  # as above; a canary needs no other


class RolledBack(Model):
    """The configuration is taken back. `live` drafts every case again."""

    event: Literal["rolled-back"] = "rolled-back"
    version: Literal[1] = Field(default=1, description="number of the version that is live now")
    configuration: Digest
    live: Digest
    by: Actor
    reason: Reason


class Retired(Model):
    """The configuration will not be used."""

    event: Literal["retired"] = "retired"
    version: Literal[1] = 1
    configuration: Digest
    by: Actor
    reason: Reason


class BaselineReset(Model):
    """What becomes of the live configuration's drafts from now on is the level that it is watched against."""

    event: Literal["baseline-reset"] = "baseline-reset"
    version: Literal[1] = 1
    configuration: Digest
    by: Actor
    reason: Reason


DrafterEvent = Declared | Added | Shadowed | CanaryStarted | DrafterPromoted | RolledBack | Retired | BaselineReset
DRAFTER_EVENT_TYPES: tuple[type[DrafterEvent], ...] = get_args(DrafterEvent)
DRAFTER_EVENT_ADAPTER: TypeAdapter[DrafterEvent] = TypeAdapter(Annotated[DrafterEvent, Field(discriminator="event")])


@dataclass(frozen=True, slots=True)
class RecordedDrafterEvent:
    """An event as it is stored in the DRAFTERS stream."""

    document: str
    id: str
    source: str
    time: datetime
    prevdigest: str
    body: DrafterEvent
    head: ChainHead  # its own sequence and digest

    @property
    def actor(self) -> str:
        """Return who acted: the person's subject, else the service."""
        return self.source.rpartition("/")[2] if isinstance(self.body, Declared) else self.body.by.subject

    @property
    def reason(self) -> str:
        return "declared by its settings" if isinstance(self.body, Declared) else self.body.reason
