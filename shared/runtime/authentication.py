"""Authenticate callers and check their roles. A caller presents a bearer token or a browser session.

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

from shared.contracts.errors import PermanentError
from shared.contracts.events import Actor
from shared.runtime.problems import ProblemError
from shared.runtime.public_origin import PublicOrigin
from shared.runtime.rate_limits import CALLER_SCOPE_KEY, TokenBucket, rate_limit_key
from shared.runtime.security_schemes import BEARER, SecuritySchemes, session_scheme

Role = Literal["ingest", "physician", "supervisor", "operator", "auditor", "editor", "engineer"]
ROLES: tuple[Role, ...] = get_args(Role)
Method = Literal["token", "jwt", "oidc", "demo", "smart"]
SESSION_COOKIE = "countersign_session"
BACKGROUND_HEADER = "countersign-background"  # header of requests that a page sends without user activity
EVENT_STREAM = "text/event-stream"
SAFE_METHODS = ("GET", "HEAD", "OPTIONS")
# Per session: a fast user plus the background requests of pages. Machines use tokens.
SESSION_BURST, SESSION_REQUESTS_PER_S = 300, 20.0
# Rate at which a burst of one session is admitted: a page with what it loads at once, then as many requests as take a
# fifth of the processor. Admitted together, three hundred pages blocked everybody else for a second.
PACE_BURST, PACE_PER_S = 10, 50.0
# Per address, for invalid tokens and sessions; refusals above the limit are delayed.
DENIAL_BURST, DENIALS_PER_S = 120, 4.0


class Caller(BaseModel):
    """An authenticated person or machine. `departments` None means all of them."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    subject: str
    role: Role
    also: tuple[Role, ...] = ()  # further roles
    practitioner: str | None = None  # FHIR reference it signs as
    name: str | None = None
    npi: str | None = None
    departments: tuple[str, ...] | None = None
    method: Method = "token"
    signed_in_at: datetime | None = None  # time of the person's last authentication; None for a machine's token

    @property
    def roles(self) -> tuple[Role, ...]:
        return (self.role, *self.also)

    @property
    def signs_as_owner(self) -> bool:
        """Return whether this token signs as the review's owner: a static token without a practitioner.

        Used by demo stacks and tests only; production refuses such tokens.
        """
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

    def can_access_department(self, department: str) -> bool:
        """Return whether the caller may access cases of the department."""
        return self.departments is None or department in self.departments

    def in_role(self, *roles: Role) -> "Caller | None":
        """Return the caller in the first of `roles` that it has; None when it has none of them."""
        role = next((item for item in self.roles if item in roles), None)
        if role is None:
            return None
        if role == self.role:
            return self
        return self.model_copy(update={"role": role, "also": tuple(item for item in self.roles if item != role)})


class ApiToken(Caller):
    """A static token with its caller."""

    sha256: str


class ApiTokens(BaseModel):
    """The tokens file."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    tokens: tuple[ApiToken, ...]


class AuthenticationError(Exception):
    """A token or session is not valid.

    `reason` is shown to the caller and recorded in the access log; it holds no secret.
    """

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class TokenVerifier(Protocol):
    async def caller(self, token: str) -> Caller:
        """Return the caller of a provider's access token.

        Raises AuthenticationError, TransientError.
        """
        ...


class SessionLookup(Protocol):
    async def caller(self, id: str, *, touch: bool = True) -> Caller | None:
        """Return who signed in to the session; None when it does not exist or has timed out.

        `touch` counts the request as activity, which restarts the idle timeout.
        """
        ...


# Called for every denial with the reason, the caller if known, and the request.
DenialListener = Callable[[str, Caller | None, Request], Awaitable[None]]


def read_api_tokens(path: Path) -> ApiTokens:
    """Read the tokens file. Raises PermanentError when it is missing or invalid."""
    try:
        return ApiTokens.model_validate_json(path.read_bytes())
    except OSError as error:
        raise PermanentError(f"the tokens file cannot be read ({type(error).__name__}): {path}") from None
    except ValidationError:
        raise PermanentError(f"the tokens file is invalid: {path}") from None


def token_digest(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()


class Authenticator:
    """Authenticate requests."""

    def __init__(
        self,
        grants: ApiTokens,
        tokens: TokenVerifier | None = None,
        sessions: SessionLookup | None = None,
        watch: DenialListener | None = None,
        public: PublicOrigin = PublicOrigin(),  # noqa: B008 - frozen
        *,
        says_where: bool = False,
    ) -> None:
        """`says_where`: refusals name the metadata of the API (RFC 9728), which this service publishes."""
        self._grants = {grant.sha256: grant for grant in grants.tokens}
        self._tokens = tokens
        self._sessions = sessions
        self._watch = watch
        self._public = public
        self._says_where = says_where
        self._requests = TokenBucket("requests", SESSION_BURST, SESSION_REQUESTS_PER_S)
        self._pace = TokenBucket("pace", PACE_BURST, PACE_PER_S)
        self._refusals = TokenBucket("refusals", DENIAL_BURST, DENIALS_PER_S)

    @property
    def schemes(self) -> SecuritySchemes:
        """Return the ways to authenticate, for OpenAPI."""
        return BEARER if self._sessions is None else BEARER | session_scheme(self._public.cookie_name(SESSION_COOKIE))

    def find_token(self, token: str) -> ApiToken | None:
        """Return the static token, if it is one."""
        return self._grants.get(token_digest(token))

    def require(self, *roles: Role) -> "RequireRole":
        """Return a FastAPI dependency: the caller if it has one of `roles`, else 401 or 403."""
        return RequireRole(lambda _: self, roles)

    async def authenticate(self, request: Request) -> Caller:
        """Return the caller of a request, authenticated once: the body limit asks first, the route afterwards."""
        caller = authenticated_caller(request.scope)
        if caller is None:
            caller = request.scope[CALLER_SCOPE_KEY] = await self._authenticate(request)
        return caller

    async def report_denial(self, reason: str, caller: Caller | None, request: Request) -> None:
        """Pass a denied request to the listener, if there is one."""
        if self._watch is not None:
            await self._watch(reason, caller, request)

    def session_id(self, request: Request) -> str:
        """Return the id of the browser's session; empty where it has none."""
        return request.cookies.get(self._public.cookie_name(SESSION_COOKIE), "")

    async def session_caller(self, request: Request) -> Caller | None:
        """Return the caller of the browser's session; None without a valid one."""
        session = self.session_id(request)
        if not session or self._sessions is None:
            return None
        return await self._sessions.caller(session, touch=not _is_background(request))

    async def check_origin(self, request: Request) -> None:
        """Raise ProblemError 403 for a request that another site sent: session cookies count only for our own pages."""
        if not self._public.is_same_origin(request):
            await self.report_denial("the request comes from another site", None, request)
            raise ProblemError(403, "The request comes from another site")

    async def _authenticate(self, request: Request) -> Caller:
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() == "bearer":
            return await self._authenticate_bearer(token.strip(), request)
        session = self.session_id(request)
        if session and request.method not in SAFE_METHODS:
            await self.check_origin(request)
        key = f"session {token_digest(session)}"
        # A session that exists is counted before it is looked up: a flood does not reach NATS. What somebody made up is
        # not counted: it would take the places of real ones.
        known = self._requests.knows(key)
        if known:
            await self._admit(key, request)
        caller = await self.session_caller(request)
        if caller is None:
            await self._refusals.count_refusal(rate_limit_key(request.scope))
            raise ProblemError(401, "A bearer token is needed", headers=self._challenge(request))
        if not known:
            await self._admit(key, request)
        return caller

    async def _admit(self, session: str, request: Request) -> None:
        await self._requests.admit(session, scope=request.scope)
        await self._pace.wait_for_turn(session)

    async def _authenticate_bearer(self, token: str, request: Request) -> Caller:
        grant = self.find_token(token)
        if grant is not None:
            return grant
        reason = "the token is not known"
        if self._tokens is not None and token.count(".") == 2:
            try:
                return await self._tokens.caller(token)
            except AuthenticationError as refusal:
                reason = refusal.reason
        await self.report_denial(reason, None, request)
        await self._refusals.count_refusal(rate_limit_key(request.scope))
        headers = self._challenge(request, 'error="invalid_token"')
        raise ProblemError(401, "A bearer token is needed", reason, headers=headers)

    def _challenge(self, request: Request, *parameters: str) -> dict[str, str]:
        named = self._public.challenge(request) if self._says_where else ""
        stated = ", ".join(item for item in (*parameters, named) if item)
        return {"WWW-Authenticate": f"Bearer {stated}".strip()}


class RequireRole:
    """A FastAPI dependency that authorizes the caller of a route.

    It is a class, so that it can be found among the route's dependencies before the body is read, and for OpenAPI.
    Routes stand at module level, so the guard is looked up in the application of the request.
    """

    def __init__(self, authenticator_of: Callable[[Request], Authenticator], roles: tuple[Role, ...]) -> None:
        self._authenticator_of = authenticator_of
        self.roles = roles

    def schemes(self, request: Request) -> SecuritySchemes:
        """Return how a caller may authenticate at the application of `request`, for OpenAPI."""
        return self._authenticator_of(request).schemes

    async def __call__(self, request: Request) -> Caller:  # async: FastAPI would run it in a thread otherwise
        authenticator = self._authenticator_of(request)
        caller = await authenticator.authenticate(request)
        acting = caller.in_role(*self.roles)
        if acting is None:
            await authenticator.report_denial(f"the role {caller.role} may not do that", caller, request)
            raise ProblemError(403, "This token is not allowed to do that", f"Its role is {caller.role}.")
        return acting


def authenticated_caller(scope: Scope) -> Caller | None:
    """Return the request's caller if it was authenticated already, else None."""
    found: Caller | None = scope.get(CALLER_SCOPE_KEY)
    return found


def _is_background(request: Request) -> bool:
    """Return whether a page sent the request without user activity: event streams and what follows from them."""
    return request.headers.get("accept") == EVENT_STREAM or BACKGROUND_HEADER in request.headers
