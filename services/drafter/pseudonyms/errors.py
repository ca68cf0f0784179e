"""Why a text is not sent, or an answer not used. No message quotes either."""

from shared.contracts.errors import PermanentError
from shared.inference.generation import NotGeneratedError, Usage


class PseudonymError(PermanentError):
    """No answer can be used. `shown` is what the physician reads."""

    shown = "the text could not be pseudonymised with certainty"


class NotReplaceableError(NotGeneratedError, PseudonymError):
    """The text cannot be pseudonymised so that it can be restored: it is not sent."""


class NotRestorableError(PseudonymError):
    """The answer has a surrogate or a date that cannot be restored for certain.

    `usage` is what the server has counted for it.
    """

    shown = "names, numbers or dates in the model's answer could not be restored with certainty"

    def __init__(self, reason: str, usage: Usage | None = None) -> None:
        super().__init__(reason)
        self.usage = usage
