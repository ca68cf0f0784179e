"""Who calls. Bearer tokens are kept as SHA-256 in one file; a token stands for a subject with one role."""

import hashlib
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Literal, get_args

from fastapi import Request
from pydantic import BaseModel, ConfigDict, ValidationError

from shared.contracts.events import Actor
from shared.contracts.failures import PermanentError
from shared.runtime.problems import Problem

Role = Literal["ingest", "physician", "supervisor", "operator", "auditor"]
ROLES: tuple[Role, ...] = get_args(Role)
COOKIE = "countersign_session"
SAFE_METHODS = ("GET", "HEAD", "OPTIONS")


class Grant(BaseModel):
    """One token. `practitioner` is the FHIR reference it signs as; None: as the review's owner (demo stacks only)."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    sha256: str
    subject: str
    role: Role
    practitioner: str | None = None

    @property
    def actor(self) -> Actor:
        return Actor(subject=self.subject, role=self.role, practitioner=self.practitioner)


class Grants(BaseModel):
    """The tokens file."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    tokens: tuple[Grant, ...]


def read_grants(path: Path) -> Grants:
    """The tokens file.

    Raises PermanentError when it is missing or not as it must be.
    """
    try:
        return Grants.model_validate_json(path.read_bytes())
    except OSError as error:
        raise PermanentError(f"the tokens file cannot be read ({type(error).__name__}): {path}") from None
    except ValidationError:
        raise PermanentError(f"the tokens file is not as it must be: {path}") from None


def token_digest(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()


class Guard:
    """Turns a request into a Grant, or refuses it."""

    def __init__(self, grants: Grants) -> None:
        self._grants = {grant.sha256: grant for grant in grants.tokens}

    def find(self, token: str) -> Grant | None:
        return self._grants.get(token_digest(token))

    def allow(self, *roles: Role) -> Callable[[Request], Awaitable[Grant]]:
        """A FastAPI dependency: the caller's grant if its role is one of `roles`; 401 or 403 if not."""

        async def authorize(request: Request) -> Grant:  # async: FastAPI would run it in a thread otherwise
            grant = self.find(_token(request))
            if grant is None:
                raise Problem(401, "A bearer token is needed", headers={"WWW-Authenticate": "Bearer"})
            if grant.role not in roles:
                raise Problem(403, "This token may not do that", f"Its role is {grant.role}.")
            return grant

        return authorize


def _token(request: Request) -> str:
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer":
        return token.strip()
    if request.method not in SAFE_METHODS and not _same_origin(request):
        raise Problem(403, "The request comes from another site")
    return request.cookies.get(COOKIE, "")


def _same_origin(request: Request) -> bool:
    """Browsers say where a form was sent from; a cookie is only good for our own pages."""
    return request.headers.get("origin") == f"{request.url.scheme}://{request.headers.get('host')}"
