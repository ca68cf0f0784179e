"""A fault that the verification of a case found."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault. Without a `case` it is about all event streams."""

    case: str
    event: str
    sequence: int  # in the stream; 0: it is about none of its messages
    reason: str
    unanswered: bool = (
        False  # nothing is known about it yet: the EHR did not answer, or a newer version knows the event
    )

    def __str__(self) -> str:
        where = ": ".join(
            part
            for part in (
                f"case {self.case}" if self.case else "the event stream",
                f"event {self.event} (sequence {self.sequence})" if self.event else "",
            )
            if part
        )
        return f"{where}: {self.reason}"
