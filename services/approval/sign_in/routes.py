"""Sign-in and sign-out of browsers."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Depends, Form, Request
from fastapi.responses import RedirectResponse, Response

from services.approval.inbox.render import page
from services.approval.rights import READERS
from services.approval.sign_in.sessions import PENDING, Pending, SessionStore
from shared.messaging.access_log import AccessLog
from shared.runtime.authentication import SESSION_COOKIE, AuthenticationError, Authenticator, Caller
from shared.runtime.oidc import OidcProvider
from shared.runtime.public_origin import PublicOrigin
from shared.runtime.rate_limits import RateLimit
from shared.runtime.request_limits import limit_endpoint

STATE_COOKIE = "countersign_sign_in"
# From one address; behind a proxy that is everybody: a whole house that signs in at the change of a shift stays below.
ATTEMPTS, ATTEMPTS_A_SECOND = 120, 4.0


@dataclass(frozen=True, slots=True)
class SignIn:
    """How people sign in here. `people` is the embedded stack's own: no setting fills it."""

    sessions: SessionStore
    log: AccessLog
    clock: Callable[[], datetime]
    new_secret: Callable[[], str]
    public: PublicOrigin
    provider: OidcProvider | None = None
    people: Sequence[Caller] = ()


def add_sign_in(router: APIRouter, desk: SignIn, guard: Authenticator) -> None:
    attempts = RateLimit("sign-in", ATTEMPTS, ATTEMPTS_A_SECOND)
    _add_page(router, desk, guard, attempts)
    if desk.provider is not None:
        _add_provider(router, desk, guard, desk.provider, attempts)

    @router.post("/sign-out", include_in_schema=False)
    async def sign_out(request: Request) -> Response:
        await guard.check_origin(request)
        caller = await guard.session_caller(request)
        if caller is not None:
            await desk.sessions.close(guard.session_id(request))
            await desk.log.record("signed-out", detail="", subject=caller.subject, role=caller.role)
        answer = RedirectResponse("/sign-in", 303)
        # Nothing of a patient is kept by our answers' own word; this clears what a browser may hold all the same.
        answer.headers["Clear-Site-Data"] = '"cache", "storage"'
        _forget(answer, desk, SESSION_COOKIE)
        return answer


def _add_page(router: APIRouter, desk: SignIn, guard: Authenticator, attempts: RateLimit) -> None:
    def show(status: int = 200, *, after: str = "/", again: bool = False, refused: str = "") -> Response:
        return page(
            "sign_in.html",
            status,
            people=list(enumerate(desk.people)),
            provider=desk.provider is not None,
            after=_local(after),
            again=again,
            refused=refused,
        )

    @router.get("/sign-in", include_in_schema=False)
    async def sign_in(after: str = "/", again: bool = False) -> Response:
        return show(after=after, again=again)

    @router.post("/sign-in", include_in_schema=False)
    @limit_endpoint(rate=attempts)
    async def signed_in(
        request: Request,
        token: Annotated[str, Form()] = "",
        person: Annotated[int, Form()] = -1,
        after: Annotated[str, Form()] = "/",
    ) -> Response:
        """As one of the demo's people, or by a static token."""
        await guard.check_origin(request)  # nobody is signed in as somebody else by a page of another site
        caller: Caller | None = None
        if 0 <= person < len(desk.people):
            caller = desk.people[person].model_copy(update={"signed_in_at": desk.clock()})
        # With an identity provider people sign in there: a static token never has to be proven again.
        elif desk.provider is None and token.strip() and (grant := guard.find_token(token.strip())) is not None:
            caller = Caller.model_validate(grant.model_dump(exclude={"sha256"}))
        if caller is None or caller.in_role(*READERS) is None:
            await guard.report_denial("the token opens no inbox", caller, request)
            return show(403, after=after, refused="This opens no inbox.")
        return await _welcome(desk, guard.session_id(request), caller, after)


def _add_provider(
    router: APIRouter, desk: SignIn, guard: Authenticator, provider: OidcProvider, attempts: RateLimit
) -> None:
    redirect = f"{desk.public.url.rstrip('/')}/sign-in/callback"

    @router.get("/sign-in/provider", include_in_schema=False, dependencies=[Depends(attempts)])
    async def leave(after: str = "/", again: bool = False) -> Response:
        since = desk.clock() if again else None
        pending = Pending(nonce=desk.new_secret(), verifier=desk.new_secret(), after=_local(after), since=since)
        state = await desk.sessions.begin(pending)
        url = await provider.authorization_url(redirect, state, pending.nonce, pending.verifier, again=again)
        answer = RedirectResponse(url, 303)
        # Lax: the provider sends the browser back from another site.
        _keep(answer, desk, STATE_COOKIE, state, max_age=PENDING)
        return answer

    @router.get("/sign-in/callback", include_in_schema=False, dependencies=[Depends(attempts)])
    async def come_back(
        request: Request,
        code: str = "",
        state: str = "",
    ) -> Response:
        """Only the browser that left may come back, once."""
        cookie = request.cookies.get(desk.public.cookie_name(STATE_COOKIE), "")
        pending = await desk.sessions.finish(state) if state and state == cookie else None
        try:
            if pending is None or not code:
                raise AuthenticationError("the sign-in was not begun here, or was given up")
            signed = await provider.sign_in(redirect, code, pending.nonce, pending.verifier, since=pending.since)
            caller = signed.caller
            if caller.in_role(*READERS) is None:
                raise AuthenticationError(f"the role {caller.role} opens no inbox")
        except AuthenticationError as refusal:
            await desk.log.record("refused", detail=f"sign-in: {refusal.reason}")
            return page(
                "sign_in.html", 403, people=[], provider=True, after="/", again=False, refused=refusal.reason + "."
            )
        answer = await _welcome(desk, guard.session_id(request), caller, pending.after, signed.refresh_token)
        _forget(answer, desk, STATE_COOKIE)
        return answer


async def _welcome(desk: SignIn, before: str, caller: Caller, after: str, renewal: str | None = None) -> Response:
    """A session of their own; the one that the browser had `before` ends."""
    if before:
        await desk.sessions.close(before)
    await desk.log.record("signed-in", detail="", subject=caller.subject, role=caller.role, method=caller.method)
    answer = RedirectResponse(_local(after), 303)
    _keep(answer, desk, SESSION_COOKIE, await desk.sessions.open(caller, renewal))
    return answer


def _keep(answer: Response, desk: SignIn, name: str, value: str, max_age: int | None = None) -> None:
    """A cookie for this host alone, which no script may read."""
    answer.set_cookie(
        desk.public.cookie_name(name), value, max_age=max_age, httponly=True, samesite="lax", secure=desk.public.secure
    )


def _forget(answer: Response, desk: SignIn, name: str) -> None:
    """A `__Host-` cookie is only replaced by one that is `Secure` as well."""
    answer.delete_cookie(desk.public.cookie_name(name), httponly=True, samesite="lax", secure=desk.public.secure)


def _local(path: str) -> str:
    """A path of ours: nobody is sent elsewhere by a crafted link."""
    return path if path.startswith("/") and not path.startswith(("//", "/\\")) else "/"
