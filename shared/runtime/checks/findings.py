"""Findings of health checks: what was checked, the result, and how to fix it."""

from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import Literal

Level = Literal["ok", "warning", "fault", "unknown"]


@dataclass(frozen=True, slots=True)
class Finding:
    """`says` is the result; `do` is how to fix it (empty if nothing is to be done). The names are those of the JSON.

    `unknown`: it could not be checked here; `do` says who can.
    """

    group: str
    what: str
    level: Level
    says: str
    do: str = ""


class Group:
    """Collects the findings of one group of checks."""

    def __init__(self, name: str) -> None:
        self._name = name
        self.found: list[Finding] = []

    def ok(self, what: str, message: str) -> None:
        self.found.append(Finding(self._name, what, "ok", message))

    def warning(self, what: str, message: str, fix: str) -> None:
        self.found.append(Finding(self._name, what, "warning", message, fix))

    def fault(self, what: str, message: str, fix: str) -> None:
        self.found.append(Finding(self._name, what, "fault", message, fix))

    def unknown(self, what: str, says: str, do: str) -> None:
        self.found.append(Finding(self._name, what, "unknown", says, do))


Findings = AsyncIterator[Finding]
ProgressCallback = Callable[[str], None]
