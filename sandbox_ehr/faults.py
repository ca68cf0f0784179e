"""Faults that tests arm to disturb a client of the sandbox. None happens unless it is armed."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field


class Fault(BaseModel):
    """Applies to the next `times` requests that match `method` and `type` (None matches all)."""

    model_config = ConfigDict(extra="forbid")

    kind: Literal["status", "delay", "lost-response", "racing-create"]
    method: str | None = None
    type: str | None = None
    times: int = Field(default=1, ge=1)
    status: int = 500
    retry_after: str | None = None
    seconds: float = 0.0


class Faults:
    """The armed faults."""

    def __init__(self) -> None:
        self.armed: list[Fault] = []

    def consume(self, method: str, type: str) -> Fault | None:
        """Return the fault that applies to this request, and count it as used once; None if there is none."""
        for fault in self.armed:
            if fault.method in (None, method) and fault.type in (None, type):
                fault.times -= 1
                if fault.times == 0:
                    self.armed.remove(fault)
                return fault
        return None
