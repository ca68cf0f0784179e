"""The environment of approval."""

import re
from datetime import timedelta
from pathlib import Path
from typing import Annotated

from pydantic import BeforeValidator, Field
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from services.approval.erasure.rules import Retention
from services.approval.filing.renditions.make import CONTENT_TYPES
from services.approval.filing.renditions.pdf import Paper
from shared.contracts.retention import TEXT_KINDS
from shared.runtime.public_origin import PublicOrigin
from shared.runtime.settings import EhrSettings, NameList, ServiceSettings

_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}
LEVELS = 3


def parse_durations(value: object) -> object:
    """`"24h,72h,7d"` → three timedeltas.

    Raises ValueError saying what is wrong with it.
    """
    if not isinstance(value, str):
        return value
    parts = [part.strip() for part in value.split(",")]
    matches = [re.fullmatch(r"(\d+(?:\.\d+)?)([smhd])", part) for part in parts]
    if len(parts) != LEVELS or not all(matches):
        raise ValueError("give three durations such as 24h,72h,7d (units: s, m, h, d)")
    durations = [timedelta(**{_UNITS[match[2]]: float(match[1])}) for match in matches if match]
    if durations != sorted(set(durations)):
        raise ValueError("each escalation must come later than the one before it")
    return tuple(durations)


Escalations = Annotated[tuple[timedelta, ...], NoDecode, BeforeValidator(parse_durations)]


def parse_content_types(value: object) -> object:
    """`"text/plain,application/pdf"` → content types, in the order in which they are filed.

    Raises ValueError for one that we do not write.
    """
    if not isinstance(value, str):
        return value
    chosen = {part.strip().lower() for part in value.split(",")}
    if not chosen <= set(CONTENT_TYPES):
        raise ValueError(f"give some of {', '.join(CONTENT_TYPES)}")
    return tuple(item for item in CONTENT_TYPES if item in chosen)


ContentTypes = Annotated[tuple[str, ...], NoDecode, BeforeValidator(parse_content_types)]


KEPT_AT_LEAST = timedelta(days=1)
Kept = Annotated[timedelta | None, Field(ge=KEPT_AT_LEAST)]


class RetentionSettings(BaseSettings):
    """How long texts are kept after a case has ended, as ISO 8601 says it (P90D); what is not set, for ever."""

    model_config = SettingsConfigDict(env_prefix="COUNTERSIGN_", extra="ignore", frozen=True)

    retain_record: Kept = Field(default=None, description="what was read of the EHR for the draft")
    retain_draft: Kept = Field(default=None, description="drafts that nobody signed")
    retain_words: Kept = Field(default=None, description="reasons of refusals, corrections and retractions")
    retain_signed: Kept = Field(default=None, description="signed texts and the drafts that they were made of")
    retain_renditions: Kept = Field(default=None, description="the files that were made of signed texts")
    retain_unfiled: Kept = Field(default=None, description="everything of a case that ended without a document")
    retain_every: timedelta = Field(
        default=timedelta(days=1), ge=timedelta(milliseconds=100), description="how often all cases are looked at"
    )

    @property
    def kept(self) -> Retention:
        kinds = {kind: keep for kind in TEXT_KINDS if (keep := getattr(self, f"retain_{kind}")) is not None}
        return Retention(kinds, self.retain_unfiled)


class ApprovalSettings(ServiceSettings):
    escalate_after: Escalations = Field(
        default=(timedelta(hours=24), timedelta(hours=72), timedelta(days=7)),
        description="supervisor told, told again, takes over",
    )
    supervisors: dict[str, str] = Field(
        default={}, description="department → FHIR reference of its supervisor; `*` for all others"
    )
    directory: Path | None = Field(
        default=None, description="file that names supervisors, deputies, channels and times by department"
    )
    ehr: EhrSettings = Field(default_factory=EhrSettings)
    ehr_shows_draft: bool = Field(
        default=False,
        description="the EHR shows the draft itself beside its Task: nobody has to open our page to sign there",
    )
    ehr_contents: ContentTypes = Field(
        default=CONTENT_TYPES, description="content types that the EHR takes in one document, with commas between"
    )
    paper: Paper = Field(default="us-letter", description="size of a printed page: us-letter or a4")
    idle: timedelta = Field(default=timedelta(minutes=30), description="a session nobody uses ends after this")
    session: timedelta = Field(default=timedelta(hours=12), description="a session ends after this in any case")
    sign_within: timedelta = Field(default=timedelta(minutes=15), description="how recent a sign-in a signature wants")
    reconcile_every: timedelta = Field(
        default=timedelta(minutes=5),
        ge=timedelta(milliseconds=100),
        description="how often the EHR is asked for decisions that it did not tell of; one search",
    )
    checkpoint_dir: Path | None = Field(
        default=None,
        description="folder, the same for every process, to which signed checkpoints of the trail are added",
    )
    checkpoint_key_file: Path | None = Field(default=None, description="Ed25519 private key, PEM, that signs them")
    checkpoint_every: timedelta = Field(
        default=timedelta(minutes=10), ge=timedelta(milliseconds=100), description="how often one is made"
    )
    erasure_dir: Path | None = Field(
        default=None,
        description="folder, the same for every process, to which each erasure is written: a restore reads it",
    )
    retention: RetentionSettings = Field(default_factory=RetentionSettings)
    public_url: str = Field(default="", description="where physicians reach this service; for links in Tasks")
    origins: NameList = Field(default=(), description="further origins of its pages, https://…, with commas between")

    @property
    def public(self) -> PublicOrigin:
        return PublicOrigin(self.public_url, self.origins)
