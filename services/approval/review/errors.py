"""Why a decision may not be taken."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

Field = Literal["resolutions", "acknowledged", "written", "text"]
AfterFiling = Literal["not-filed", "no-draft", "changed", "unchanged", "asked", "not-asked", "same-person"]
BeforeFiling = Literal["not-open", "stale", "incomplete", "unresolved", "misleading"]
Ending = Literal["held", "not-held", "erased", "not-ended"]
RefusalCode = (
    Literal["unknown", "decided", "forbidden", "no-such-person", "key-used"] | BeforeFiling | AfterFiling | Ending
)


@dataclass(frozen=True, slots=True)
class Obstacle:
    """One thing that has to be done before: `field` of the request that does it, `index` of what it is about."""

    field: Field
    detail: str
    index: int | None = None
    digest: str | None = None  # of the sentence, where it is none of the draft's


class DecisionRefusedError(Exception):
    """A decision that may not be taken. `code` tells the edge which answer to give, `obstacles` what is to be done."""

    def __init__(self, code: RefusalCode, detail: str, obstacles: Sequence[Obstacle] = ()) -> None:
        super().__init__(detail)
        self.code, self.detail, self.obstacles = code, detail, tuple(obstacles)
