"""Entries of the ACCESS stream: who viewed or exported a case, signed in or was denied. Ids only."""

from datetime import datetime
from typing import Literal

from pydantic import BaseModel, ConfigDict

AccessLogEvent = Literal["viewed", "refused", "signed-in", "signed-out", "exported"]


class AccessLogEntry(BaseModel):
    """One entry. `detail` names the draft that was viewed, what was exported, or the reason of a denial."""

    model_config = ConfigDict(frozen=True)

    event: AccessLogEvent
    case_id: str | None
    time: datetime
    subject: str | None
    role: str | None
    method: str | None
    detail: str
    practitioner: str | None = None  # FHIR reference of the person; None where the token has none
