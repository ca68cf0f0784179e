"""Why a document is held instead of tried again: only a person can change it."""

from shared.contracts.errors import PermanentError
from shared.messaging.event_store import StepNoLongerAwaitedError


class HeldError(PermanentError):
    """The document does not reach the chart by itself: the case fails, an alert is sent, and a person releases it."""


def check_first(doubt: str) -> None:
    """Hold a document that the chart may have already, where we cannot read the chart. Raises HeldError."""
    if doubt:
        raise HeldError(f"{doubt}. If it is there, confirm it; otherwise have it filed again")


class LeftToAPersonError(StepNoLongerAwaitedError):
    """A person takes the document to the chart and confirms it: the step has nothing more to do."""
