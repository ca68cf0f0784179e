"""The environment of approval."""

import re
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, Field
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from services.approval.erasure.rules import Retention
from services.approval.filing.profile_choice import Setting as WriteBackSetting
from services.approval.filing.renditions.make import CONTENT_TYPES, PDF, TEXT, XHTML
from services.approval.filing.renditions.pdf import Paper
from shared.contracts.retention import TEXT_KINDS
from shared.runtime.launch_settings import LaunchSettings
from shared.runtime.mdm_settings import MdmSettings
from shared.runtime.page_settings import PageSettings
from shared.runtime.prometheus_settings import PrometheusSettings, check_url
from shared.runtime.settings import EhrSettings, NameList

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


MIN_RETENTION = timedelta(days=1)
RetentionTime = Annotated[timedelta | None, Field(ge=MIN_RETENTION)]


class RetentionSettings(BaseSettings):
    """How long texts are kept after a case has ended, as ISO 8601 says it (P90D); what is not set, for ever."""

    model_config = SettingsConfigDict(env_prefix="COUNTERSIGN_", extra="ignore", frozen=True)

    retain_record: RetentionTime = Field(
        default=None, description="how long the record that was read from the EHR is kept; not set: for ever"
    )
    retain_draft: RetentionTime = Field(
        default=None, description="how long unsigned drafts are kept; not set: for ever"
    )
    retain_words: RetentionTime = Field(
        default=None,
        description="how long the reasons of rejections, reassignments, corrections and retractions are kept",
    )
    retain_signed: RetentionTime = Field(
        default=None, description="how long signed texts and their drafts are kept; not set: for ever"
    )
    retain_renditions: RetentionTime = Field(
        default=None, description="how long the PDF, XHTML and FHIR renditions are kept; not set: for ever"
    )
    retain_unfiled: RetentionTime = Field(
        default=None, description="how long all texts of a case without a filed document are kept; not set: for ever"
    )
    retain_every: timedelta = Field(
        default=timedelta(days=1),
        ge=timedelta(milliseconds=100),
        description="interval at which retention scans all cases",
    )

    @property
    def rules(self) -> Retention:
        kinds = {kind: keep for kind in TEXT_KINDS if (keep := getattr(self, f"retain_{kind}")) is not None}
        return Retention(kinds, self.retain_unfiled)


class WebhookSettings(BaseSettings):
    """Settings of webhooks."""

    model_config = SettingsConfigDict(env_prefix="COUNTERSIGN_WEBHOOK_", extra="ignore", frozen=True)

    internal_hosts: NameList = Field(
        default=(),
        description="hosts in private networks that webhooks may post to, also without TLS, comma-separated; without "
        "them only public addresses",
    )
    retry_for: timedelta = Field(
        default=timedelta(days=3),
        ge=timedelta(minutes=1),
        description="how long a delivery is tried again; an endpoint that failed for as long is disabled",
    )


TRACE_ID = "{trace_id}"


def check_trace_url(value: str) -> str:
    """Return `value` where it is empty, or an http or https URL with a place for the trace id. Raises ValueError."""
    if value and TRACE_ID not in urlsplit(value)._replace(scheme="", netloc="").geturl():
        raise ValueError(f"give a URL that contains {TRACE_ID} in its path, query or fragment")
    return check_url(value)


class ApprovalSettings(PageSettings):
    escalate_after: Escalations = Field(
        default=(timedelta(hours=24), timedelta(hours=72), timedelta(days=7)),
        description="when the supervisor is notified, notified again, and takes over; units s, m, h, d",
    )
    supervisors: dict[str, str] = Field(
        default={}, description="department → FHIR reference of its supervisor; `*` for all other departments"
    )
    directory: Path | None = Field(
        default=None, description="escalation directory: supervisors, deputies, channels and delays for each department"
    )
    ehr: EhrSettings = Field(default_factory=EhrSettings)
    ehr_shows_draft: bool = Field(
        default=False,
        description="the EHR displays the draft beside its Task, so signing there needs no visit to our page",
    )
    ehr_contents: ContentTypes = Field(
        default=CONTENT_TYPES, description="content types to file in one DocumentReference, comma-separated"
    )
    paper: Paper = Field(default="us-letter", description="paper size of the PDF")
    write_back: WriteBackSetting = Field(
        default="fhir",
        description="how documents reach the chart: fhir, fhir-basic (without our identifier), mdm (HL7v2), none (a "
        "person transfers them), or auto (by the EHR's CapabilityStatement)",
    )
    basic_content: Literal["text", "xhtml", "pdf"] = Field(
        default="text", description="what fhir-basic files: the text, XHTML or PDF"
    )
    mdm: MdmSettings = Field(default_factory=MdmSettings)
    idle: timedelta = Field(default=timedelta(minutes=30), description="idle timeout of a session")
    session: timedelta = Field(default=timedelta(hours=12), description="maximum age of a session")
    sign_within: timedelta = Field(
        default=timedelta(minutes=15), description="maximum age of the sign-in when a physician signs"
    )
    reconcile_every: timedelta = Field(
        default=timedelta(minutes=5),
        ge=timedelta(milliseconds=100),
        description="interval at which approval polls the EHR for completed Tasks",
    )
    end_preparations_every: timedelta = Field(
        default=timedelta(minutes=15),
        ge=timedelta(milliseconds=100),
        description="interval at which preparations are ended that no discharge has followed in time",
    )
    checkpoint_dir: Path | None = Field(
        default=None,
        description="folder for signed checkpoints, shared by all approval processes; not set: none are made",
    )
    checkpoint_key_file: Path | None = Field(
        default=None, description="Ed25519 private key (PEM) that signs checkpoints"
    )
    checkpoint_every: timedelta = Field(
        default=timedelta(minutes=10), ge=timedelta(milliseconds=100), description="interval between checkpoints"
    )
    erasure_dir: Path | None = Field(
        default=None,
        description="folder for the list of erasures, shared by all approval processes; a restore reads it",
    )
    retention: RetentionSettings = Field(default_factory=RetentionSettings)
    launch: LaunchSettings = Field(default_factory=LaunchSettings)
    webhooks: WebhookSettings = Field(default_factory=WebhookSettings)
    prometheus: PrometheusSettings = Field(default_factory=PrometheusSettings)
    trace_url: Annotated[str, AfterValidator(check_trace_url)] = Field(
        default="",
        description="URL of a trace in the tracing system's pages, with {trace_id} in it; cases link to their traces",
    )

    @property
    def basic_content_type(self) -> str:
        return {"text": TEXT, "xhtml": XHTML, "pdf": PDF}[self.basic_content]
