"""The three kinds of error that every adapter converts into.

CountersignError is the base: TransientError (with RateLimitedError) may succeed later, PermanentError (with
ErasedError) never does. Messages reach operators, logs and events: they name steps, codes and resource ids, never
patient data.
"""

from collections.abc import Iterator
from contextlib import contextmanager


class CountersignError(Exception):
    """Base of the three kinds. `reason` is one sentence without patient data."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class TransientError(CountersignError):
    """The same call may succeed later: network errors, 5xx, a server that is not ready."""


class RateLimitedError(TransientError):
    """The server said when to come back (HTTP 429 or 503 with Retry-After).

    `retry_after` is in seconds.
    """

    def __init__(self, reason: str, retry_after: float) -> None:
        super().__init__(reason)
        self.retry_after = retry_after


class PermanentError(CountersignError):
    """No retry helps: a missing encounter, a refused request, a payload that breaks the contract."""


class ErasedError(PermanentError):
    """The content was erased and cannot be read any more."""


@contextmanager
def as_transient(but: type[PermanentError] | None = None) -> Iterator[None]:
    """Convert a PermanentError of the block into a TransientError, for work that never gives up.

    An error of the class `but` is not converted.
    """
    try:
        yield
    except PermanentError as error:
        if but is not None and isinstance(error, but):
            raise
        raise TransientError(error.reason) from None
