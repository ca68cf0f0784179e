"""What the doctor finds: one line each, of what it means and what to do."""

from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import Literal

Level = Literal["ok", "warning", "fault"]


@dataclass(frozen=True, slots=True)
class Finding:
    """`says` is what was found; `do`, what mends it (empty where nothing is to be done)."""

    group: str
    what: str
    level: Level
    says: str
    do: str = ""


class Group:
    """Findings about one group of things."""

    def __init__(self, name: str) -> None:
        self._name = name
        self.found: list[Finding] = []

    def ok(self, what: str, says: str) -> None:
        self.found.append(Finding(self._name, what, "ok", says))

    def warning(self, what: str, says: str, do: str) -> None:
        self.found.append(Finding(self._name, what, "warning", says, do))

    def fault(self, what: str, says: str, do: str) -> None:
        self.found.append(Finding(self._name, what, "fault", says, do))


Findings = AsyncIterator[Finding]
ProgressCallback = Callable[[str], None]
