"""The environment of approval."""

import re
from datetime import timedelta
from pathlib import Path
from typing import Annotated

from pydantic import BeforeValidator, Field
from pydantic_settings import NoDecode

from shared.runtime.settings import EhrSettings, ServiceSettings

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
    idle: timedelta = Field(default=timedelta(minutes=30), description="a session nobody uses ends after this")
    session: timedelta = Field(default=timedelta(hours=12), description="a session ends after this in any case")
    sign_within: timedelta = Field(default=timedelta(minutes=15), description="how recent a sign-in a signature wants")
    reconcile_every: timedelta = Field(
        default=timedelta(minutes=5),
        ge=timedelta(milliseconds=100),
        description="how often the EHR is asked for decisions that it did not tell of; one search",
    )
    public_url: str = Field(default="", description="where physicians reach this service; for links in Tasks")
