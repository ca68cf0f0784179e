"""What the proof of the trail comes to."""

from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing that does not hold. Without a `case` it is about the trail as a whole."""

    case: str
    event: str
    sequence: int  # in the stream; 0: it is about none of its messages
    reason: str

    def __str__(self) -> str:
        where = ": ".join(
            part
            for part in (
                f"case {self.case}" if self.case else "the trail",
                f"event {self.event} (sequence {self.sequence})" if self.event else "",
            )
            if part
        )
        return f"{where}: {self.reason}"


@dataclass(frozen=True, slots=True)
class Report:
    """What was checked, what did not hold, and what could not be looked at."""

    cases: int
    events: int
    faults: tuple[Fault, ...]
    unchecked: tuple[str, ...] = ()
    checkpoints: int = 0

    @property
    def verified(self) -> bool:
        return not self.faults

    def as_dict(self) -> dict[str, Any]:
        found = asdict(self)
        return {"verified": self.verified, **found, "faults": [asdict(fault) for fault in self.faults]}
