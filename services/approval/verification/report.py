"""The result of verifying the event stream."""

from dataclasses import asdict, dataclass
from typing import Any

from services.approval.case_verification.fault import Fault


@dataclass(frozen=True, slots=True)
class VerificationReport:
    """What was verified, what is wrong, and what could not be checked."""

    cases: int
    events: int
    faults: tuple[Fault, ...]
    unchecked: tuple[str, ...] = ()
    checkpoints: int = 0
    erased: int = 0  # cases whose texts were erased: proven by their events, and by the chart where it has them
    reimported: tuple[str, ...] = ()  # cases of which something was taken over from the chart after a restore

    @property
    def verified(self) -> bool:
        return not self.faults

    def as_dict(self) -> dict[str, Any]:
        found = asdict(self)
        return {"verified": self.verified, **found, "faults": [asdict(fault) for fault in self.faults]}
