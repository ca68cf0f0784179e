"""Errors of absences that may not be set."""

from typing import Literal

AbsenceCode = Literal["same-person", "period", "too-many", "overlaps"]


class AbsenceRefusedError(Exception):
    """An absence that may not be set. `code` determines the answer; the message says why."""

    def __init__(self, code: AbsenceCode, detail: str) -> None:
        super().__init__(detail)
        self.code, self.detail = code, detail


class UnknownAbsenceError(Exception):
    """There is no such absence, or it is of a department that the caller may not see."""
