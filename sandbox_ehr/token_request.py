"""Read token requests: the form, and a client's id and secret in the header."""

import base64
import binascii
from urllib.parse import parse_qs, unquote_plus


class TokenError(Exception):
    """A refused token request: its OAuth code, and which check failed."""

    def __init__(self, code: str, description: str, status: int = 400) -> None:
        super().__init__(description)
        self.code, self.description, self.status = code, description, status


def parse_form(body: bytes) -> dict[str, str]:
    """Return the fields of a form. Raises TokenError where one repeats (RFC 6749, section 3.2)."""
    try:
        found = parse_qs(body.decode("ascii"), keep_blank_values=True)
    except ValueError:
        raise TokenError("invalid_request", "form") from None
    if any(len(values) > 1 for values in found.values()):
        raise TokenError("invalid_request", "a field repeats")
    return {name: values[0] for name, values in found.items()}


def parse_basic(header: str) -> tuple[str, str] | None:
    scheme, _, encoded = header.partition(" ")
    if scheme.lower() != "basic":
        return None
    try:
        id, _, secret = base64.b64decode(encoded, validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError):
        raise TokenError("invalid_client", "secret", 401) from None
    return unquote_plus(id), unquote_plus(secret)
