"""An entry of the ACCESS stream: who looked at what, who signed in, who was refused. Ids only."""

from datetime import datetime
from typing import Literal

from pydantic import BaseModel, ConfigDict

AccessEvent = Literal["viewed", "refused", "signed-in", "signed-out"]


class Access(BaseModel):
    """One entry. `detail` says which draft, or why not."""

    model_config = ConfigDict(frozen=True)

    event: AccessEvent
    case_id: str | None
    time: datetime
    subject: str | None
    role: str | None
    method: str | None
    detail: str
    practitioner: str | None = None  # FHIR reference of the person; None where the token says none
