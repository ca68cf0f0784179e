"""Entries of the ACCESS stream: who viewed or exported a case, signed in or was denied. Ids only."""

from datetime import datetime
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

AccessLogEvent = Literal["viewed", "refused", "signed-in", "signed-out", "exported"]


class AccessLogEntry(BaseModel):
    """One entry. `detail` names the draft that was viewed, what was exported, or the reason of a denial."""

    model_config = ConfigDict(frozen=True)

    event: AccessLogEvent = Field(description="what was done")
    case_id: str | None
    time: datetime
    subject: str | None = Field(description="the person, as their sign-in names them")
    role: str | None
    method: str | None
    detail: str = Field(description="what it was about, such as the digest of the draft")
    practitioner: str | None = None  # FHIR reference of the person; None where the token has none
