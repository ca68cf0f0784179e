"""Tokens of people who signed in: one file for each context, which only its owner can read. Imports little.

Not in the keyring of the desktop: commands also run where there is none, and a second store would need a second set of
rules for locking.
"""

import fcntl
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from cli.contexts import ApiContext, check_token, config_dir, write_file
from cli.errors import CommandError

RENEW_BEFORE_S = 60.0
MAX_LIFE_S = 1e9


@dataclass(frozen=True, slots=True, kw_only=True)
class SignIn:
    """Tokens of a person at the installation `url`, and where they are renewed and revoked.

    `expires_at` is in seconds since 1970; None where the provider does not say when the access token expires.
    """

    url: str
    issuer: str
    client_id: str
    token_endpoint: str
    revocation_endpoint: str = ""
    resource: str = ""  # resource indicator of token requests (RFC 8707)
    access_token: str = field(repr=False)
    refresh_token: str = field(default="", repr=False)
    expires_at: float | None = None
    subject: str = ""
    name: str = ""

    def expires_within(self, seconds: float, now: float) -> bool:
        """Return whether the access token is good for less than that."""
        return self.expires_at is not None and self.expires_at - now < seconds

    def with_tokens(self, answer: dict[str, Any], now: float) -> "SignIn":
        """Return the sign-in with the tokens of a token endpoint; a refresh token that is not replaced stays.

        Raises CommandError where the answer has no bearer token.
        """
        token = answer.get("access_token")
        if not isinstance(token, str) or str(answer.get("token_type", "")).lower() != "bearer":
            raise CommandError("The identity provider issued no bearer token.")
        check_token(token, "The access token of the identity provider")
        renewal, life = answer.get("refresh_token"), answer.get("expires_in")
        expires_at = now + life if isinstance(life, int | float) and 0 <= life < MAX_LIFE_S else None
        renews = renewal if isinstance(renewal, str) and renewal else self.refresh_token
        return replace(self, access_token=token, refresh_token=renews, expires_at=expires_at)


def sign_in_file(name: str) -> Path:
    """Return where the tokens of a context are kept."""
    return config_dir() / "sign-ins" / f"{name}.json"


def read_sign_in(context: ApiContext) -> SignIn | None:
    """Return the sign-in of a context; None where nobody is signed in. Raises CommandError."""
    path = sign_in_file(context.name)
    try:
        found = SignIn(**json.loads(path.read_text()))
    except FileNotFoundError:
        return None
    except OSError as error:
        raise CommandError(f"{path} cannot be read ({error.strerror}).") from None
    except (ValueError, TypeError):
        raise CommandError(f"{path} is not valid. Run: countersign login --context {context.name}") from None
    # A token belongs to the installation of the sign-in, also if the context was edited since.
    return found if found.url == context.url else None


def write_sign_in(context: ApiContext, found: SignIn) -> None:
    """Store a sign-in, replacing the file at once. Raises CommandError."""
    write_file(sign_in_file(context.name), json.dumps(asdict(found), indent=1))


def forget_sign_in(name: str) -> bool:
    """Delete the tokens of a context; returns whether there were any. Raises CommandError."""
    path = sign_in_file(name)
    try:
        path.unlink()
    except FileNotFoundError:
        return False
    except OSError as error:
        raise CommandError(f"{path} cannot be removed ({error.strerror}).") from None
    return True


@contextmanager
def locked(name: str) -> Iterator[None]:
    """Let one command at a time change the tokens of a context: a refresh token is often good once.

    The lock ends with the process. Its file stays: who waits holds it open.
    """
    path = sign_in_file(name).with_suffix(".lock")
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise CommandError(f"{path} cannot be written ({error.strerror}).") from None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)
