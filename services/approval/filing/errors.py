"""Errors of filing that no retry resolves: a person has to act."""

from shared.contracts.errors import PermanentError
from shared.messaging.event_store import StepNoLongerAwaitedError


class DocumentHeldError(PermanentError):
    """The document is not filed automatically: the case fails, an alert is sent, and a person releases it."""


def require_chart_check(doubt: str) -> None:
    """Raise DocumentHeldError if there is a `doubt`: the chart may have the document already."""
    if doubt:
        raise DocumentHeldError(f"{doubt}. If it is there, confirm it; otherwise have it filed again")


class ManualTransferRequiredError(StepNoLongerAwaitedError):
    """A person enters the document into the chart and confirms it: the step is done."""
