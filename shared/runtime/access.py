"""Who calls, and whether they may. A caller is known by a bearer token or by the session of a browser.

Static tokens are kept as SHA-256 in one file; tokens of an identity provider are JWTs of one issuer (`oidc.py`).
"""

import hashlib
from collections.abc import Awaitable, Callable
from datetime import datetime
from pathlib import Path
from typing import Literal, Protocol, get_args

from fastapi import Request
from pydantic import BaseModel, ConfigDict, ValidationError
from starlette.types import Scope

from shared.contracts.events import Actor
from shared.contracts.failures import PermanentError
from shared.runtime.problems import Problem
from shared.runtime.public import Public
from shared.runtime.rates import KNOWN, Rate, key_of

Role = Literal["ingest", "physician", "supervisor", "operator", "auditor"]
ROLES: tuple[Role, ...] = get_args(Role)
Method = Literal["token", "jwt", "oidc", "demo"]
COOKIE = "countersign_session"
BACKGROUND = "countersign-background"  # a header: the page refreshes itself
EVENT_STREAM = "text/event-stream"
SAFE_METHODS = ("GET", "HEAD", "OPTIONS")
# Of one session: a person who hurries, with all that pages ask for by themselves. Machines bring tokens.
REQUESTS, REQUESTS_A_SECOND = 300, 20.0
# Of one address, of tokens and sessions that open nothing; those above are answered, but late.
REFUSALS, REFUSALS_A_SECOND = 120, 4.0


class Caller(BaseModel):
    """Somebody whose identity is proven. `departments` None: all of them."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    subject: str
    role: Role
    also: tuple[Role, ...] = ()  # further roles
    practitioner: str | None = None  # FHIR reference it signs as
    name: str | None = None
    npi: str | None = None
    departments: tuple[str, ...] | None = None
    method: Method = "token"
    signed_in_at: datetime | None = None  # when the person last proved who they are; None for a machine's token

    @property
    def roles(self) -> tuple[Role, ...]:
        return (self.role, *self.also)

    @property
    def stands_in(self) -> bool:
        """A static token without an identity of its own signs as the review's owner: demo stacks and tests only."""
        return self.method == "token" and self.practitioner is None

    @property
    def actor(self) -> Actor:
        return Actor(
            subject=self.subject,
            role=self.role,
            practitioner=self.practitioner,
            name=self.name,
            npi=self.npi,
            method=self.method,
            signed_in_at=self.signed_in_at,
        )

    def works_in(self, department: str) -> bool:
        return self.departments is None or department in self.departments

    def acting_as(self, *roles: Role) -> "Caller | None":
        """The same caller in the first of `roles` that it has; None when it has none of them."""
        role = next((item for item in self.roles if item in roles), None)
        if role is None:
            return None
        return self if role == self.role else self.model_copy(update={"role": role})


class Grant(Caller):
    """One static token."""

    sha256: str


class Grants(BaseModel):
    """The tokens file."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    tokens: tuple[Grant, ...]


class Refusal(Exception):
    """A token or a session that opens nothing. `reason` goes to the trail and to the caller; it holds no secret."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class Tokens(Protocol):
    async def caller(self, token: str) -> Caller:
        """Who a provider's access token stands for. Raises Refusal, TransientError."""
        ...


class Sessions(Protocol):
    async def caller(self, id: str, *, touch: bool = True) -> Caller | None:
        """Who signed in to the session; None when there is no such session or it has timed out.

        `touch`: somebody uses it now, which keeps it from being idle.
        """
        ...


# Told about every refusal: the reason, the caller if known, the request.
Watch = Callable[[str, Caller | None, Request], Awaitable[None]]


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
    """Turns a request into a Caller, or refuses it."""

    def __init__(
        self,
        grants: Grants,
        tokens: Tokens | None = None,
        sessions: Sessions | None = None,
        watch: Watch | None = None,
        public: Public = Public(),  # noqa: B008 - frozen
    ) -> None:
        self._grants = {grant.sha256: grant for grant in grants.tokens}
        self._tokens = tokens
        self._sessions = sessions
        self._watch = watch
        self._public = public
        self._requests = Rate("requests", REQUESTS, REQUESTS_A_SECOND)
        self._refusals = Rate("refusals", REFUSALS, REFUSALS_A_SECOND)

    def find(self, token: str) -> Grant | None:
        """The static token, if it is one."""
        return self._grants.get(token_digest(token))

    def allow(self, *roles: Role) -> "Allow":
        """A FastAPI dependency: the caller if it has one of `roles`; 401 or 403 if not."""
        return Allow(lambda _: self, roles)

    async def identify(self, request: Request) -> Caller:
        """Who calls, asked once a request: the body's reader asks first (`limits.py`), the route afterwards."""
        caller = known_caller(request.scope)
        if caller is None:
            caller = request.scope[KNOWN] = await self._identify(request)
        return caller

    async def refused(self, reason: str, caller: Caller | None, request: Request) -> None:
        if self._watch is not None:
            await self._watch(reason, caller, request)

    def session(self, request: Request) -> str:
        """The id of the browser's session; empty where it has none."""
        return request.cookies.get(self._public.cookie(COOKIE), "")

    async def signed_in(self, request: Request) -> Caller | None:
        """Who the browser's session stands for."""
        session = self.session(request)
        if not session or self._sessions is None:
            return None
        return await self._sessions.caller(session, touch=not _by_itself(request))

    async def check_origin(self, request: Request) -> None:
        """Raises Problem where another site sent the request: a cookie is only good for our own pages."""
        if not self._public.sent_from_here(request):
            await self.refused("the request comes from another site", None, request)
            raise Problem(403, "The request comes from another site")

    async def _identify(self, request: Request) -> Caller:
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() == "bearer":
            return await self._bearer(token.strip(), request)
        session = self.session(request)
        if session and request.method not in SAFE_METHODS:
            await self.check_origin(request)
        caller = await self.signed_in(request)
        if caller is None:
            await self._refusals.slow(key_of(request.scope))
            raise Problem(401, "A bearer token is needed", headers={"WWW-Authenticate": "Bearer"})
        await self._requests.admit(f"session {token_digest(session)}")
        return caller

    async def _bearer(self, token: str, request: Request) -> Caller:
        grant = self.find(token)
        if grant is not None:
            return grant
        reason = "the token is not known"
        if self._tokens is not None and token.count(".") == 2:
            try:
                return await self._tokens.caller(token)
            except Refusal as refusal:
                reason = refusal.reason
        await self.refused(reason, None, request)
        await self._refusals.slow(key_of(request.scope))
        raise Problem(
            401, "A bearer token is needed", reason, headers={"WWW-Authenticate": 'Bearer error="invalid_token"'}
        )


class Allow:
    """A FastAPI dependency that authorizes the caller of a route; a class, so that it can be found among the route's
    dependencies before the body is read.

    Routes stand at module level, so the guard is looked up in the application of the request: `guard_of`.
    """

    def __init__(self, guard_of: Callable[[Request], Guard], roles: tuple[Role, ...]) -> None:
        self._guard_of = guard_of
        self._roles = roles

    async def __call__(self, request: Request) -> Caller:  # async: FastAPI would run it in a thread otherwise
        guard = self._guard_of(request)
        caller = await guard.identify(request)
        acting = caller.acting_as(*self._roles)
        if acting is None:
            await guard.refused(f"the role {caller.role} may not do that", caller, request)
            raise Problem(403, "This token may not do that", f"Its role is {caller.role}.")
        return acting


def known_caller(scope: Scope) -> Caller | None:
    """Who this request's caller is, where that has been asked already."""
    found: Caller | None = scope.get(KNOWN)
    return found


def _by_itself(request: Request) -> bool:
    """Whether a page asks on its own, and nobody at the browser: the stream of changes, and what it leads to."""
    return request.headers.get("accept") == EVENT_STREAM or BACKGROUND in request.headers
