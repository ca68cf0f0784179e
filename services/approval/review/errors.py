"""Errors of decisions that may not be taken."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Literal

Field = Literal["resolutions", "acknowledged", "written", "text"]
AfterFiling = Literal["not-filed", "no-draft", "changed", "unchanged", "asked", "not-asked", "same-person"]
BeforeFiling = Literal["not-open", "stale", "incomplete", "unresolved", "misleading"]
Reminding = Literal["reminded", "no-channel"]
Filing = Literal["not-unfiled", "not-by-hand", "no-document"]
Withdrawing = Literal["not-withdrawable"]
RatingCode = Literal["not-signed"]
Ending = Literal["held", "not-held", "erased", "not-ended"]
RefusalCode = (
    Literal["unknown", "decided", "forbidden", "no-such-person", "key-used", "no-reason", "sign-in-too-old"]
    | BeforeFiling
    | AfterFiling
    | Filing
    | Reminding
    | RatingCode
    | Ending
    | Withdrawing
)


@dataclass(frozen=True, slots=True)
class Obstacle:
    """One thing that has to be done first: the `field` of the request that does it, and the `index` it is about."""

    field: Field
    detail: str
    index: int | None = None
    digest: str | None = None  # of the sentence, where it is none of the draft's


class DecisionRefusedError(Exception):
    """A decision that may not be taken. `code` determines the answer, `obstacles` are what has to be done first."""

    def __init__(self, code: RefusalCode, detail: str, obstacles: Sequence[Obstacle] = ()) -> None:
        super().__init__(detail)
        self.code, self.detail, self.obstacles = code, detail, tuple(obstacles)


class StepUpRequiredError(DecisionRefusedError):
    """The signature needs a sign-in that is no older than `max_age` (RFC 9470)."""

    def __init__(self, max_age: timedelta) -> None:
        super().__init__("sign-in-too-old", "The sign-in is too long ago.")
        self.max_age = max_age
