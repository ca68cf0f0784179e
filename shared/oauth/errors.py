"""Errors of token requests that a plain repetition does not repair."""

from shared.contracts.errors import TransientError


class TokenRefusedError(TransientError):
    """The server refuses our client, or its answers cannot be used: a person must change a setting or a registration.

    It is transient, as the same request succeeds after the change: no case fails because of it. `code` is the OAuth
    error code, or the name of what is wrong. `fix` says what to do.
    """

    def __init__(self, reason: str, code: str, fix: str) -> None:
        super().__init__(reason)
        self.code = code
        self.fix = fix


class SlowDownError(TransientError):
    """The server asks for fewer requests (`slow_down`, RFC 8628, section 3.5)."""


class SpentCodeError(TransientError):
    """A sign-in failed after its authorization code was exchanged: it must begin anew, as the code is good once."""
