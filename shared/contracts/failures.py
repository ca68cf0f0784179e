"""The three kinds of failure. Every edge sorts what it meets into one of them, here and nowhere else.

Messages reach operators, logs and events: they name steps, codes and resource ids, never patient data.
"""

from collections.abc import Iterator
from contextlib import contextmanager


class Failure(Exception):
    """Base of the three kinds. `reason` is one sentence without patient data."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class TransientError(Failure):
    """The same call may succeed later: network errors, 5xx, a server that is not ready."""


class RateLimitedError(TransientError):
    """The server said when to come back (HTTP 429 or 503 with Retry-After).

    `retry_after` is in seconds.
    """

    def __init__(self, reason: str, retry_after: float) -> None:
        super().__init__(reason)
        self.retry_after = retry_after


class PermanentError(Failure):
    """No retry mends it: a missing encounter, a refused request, a payload that breaks the contract."""


class ErasedError(PermanentError):
    """What is asked for was erased: nobody can read it any more."""


@contextmanager
def never_permanent(but: type[PermanentError] | None = None) -> Iterator[None]:
    """For work that is not given up, whatever a server answers: a PermanentError of the block becomes transient.

    One of the kind `but` stays what it is.
    """
    try:
        yield
    except PermanentError as error:
        if but is not None and isinstance(error, but):
            raise
        raise TransientError(error.reason) from None
