"""The base of everything that is stored or sent."""

from pydantic import BaseModel, ConfigDict


class Model(BaseModel):
    """Frozen, and closed: an unknown field is a contract break, not something to drop silently."""

    model_config = ConfigDict(frozen=True, extra="forbid")
