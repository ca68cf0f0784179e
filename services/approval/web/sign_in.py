"""Pages for sign-in and sign-out of browsers."""

from typing import Annotated

from fastapi import APIRouter, Depends, Form, Request
from fastapi.responses import RedirectResponse, Response

from services.approval.dependencies import Api
from services.approval.review.authorization import READERS
from services.approval.sign_in.service import SignInService, local_path
from services.approval.sign_in.sessions import PENDING, PendingLogin
from services.approval.web.render import PageRoute, page
from shared.runtime.authentication import SESSION_COOKIE, AuthenticationError, Caller
from shared.runtime.oidc import OidcProvider
from shared.runtime.problems import ProblemError
from shared.runtime.rate_limits import RateLimit
from shared.runtime.request_limits import limit_endpoint

STATE_COOKIE = "countersign_sign_in"
# From one address; behind a proxy that is everybody: a whole house that signs in at the change of a shift stays below.
ATTEMPTS = RateLimit("sign-in", 120, 4.0)

router = APIRouter(route_class=PageRoute, include_in_schema=False)
# Served only where an identity provider is configured.
provider_router = APIRouter(route_class=PageRoute, include_in_schema=False, dependencies=[Depends(ATTEMPTS)])


@router.get("/sign-in")
async def sign_in(api: Api, after: str = "/", again: bool = False) -> Response:
    return _form(api.sign_in, after=after, again=again)


@router.post("/sign-in")
@limit_endpoint(rate=ATTEMPTS)
async def signed_in(
    request: Request,
    api: Api,
    token: Annotated[str, Form()] = "",
    person: Annotated[int, Form()] = -1,
    after: Annotated[str, Form()] = "/",
) -> Response:
    """Sign in as one of the demo's people, or by a static token."""
    service = api.sign_in
    await api.authenticator.check_origin(request)  # nobody is signed in as somebody else by a page of another site
    caller: Caller | None = None
    if 0 <= person < len(service.people):
        caller = service.people[person].model_copy(update={"signed_in_at": service.clock()})
    # With an identity provider people sign in there: a static token never has to be proven again.
    elif (
        service.provider is None
        and token.strip()
        and (grant := api.authenticator.find_token(token.strip())) is not None
    ):
        caller = Caller.model_validate(grant.model_dump(exclude={"sha256"}))
    if caller is None or caller.in_role(*READERS) is None:
        await api.authenticator.report_denial("the token opens no inbox", caller, request)
        return _form(service, 403, after=after, refused="This opens no inbox.")
    return await service.open_session(api.authenticator.session_id(request), caller, after)


@router.post("/sign-out")
async def sign_out(request: Request, api: Api) -> Response:
    await api.authenticator.check_origin(request)
    caller = await api.authenticator.session_caller(request)
    if caller is not None:
        await api.sign_in.sessions.close(api.authenticator.session_id(request))
        await api.log.record("signed-out", detail="", subject=caller.subject, role=caller.role)
    answer = RedirectResponse("/sign-in", 303)
    # Our answers tell browsers to keep nothing of a patient; this clears what one may hold all the same.
    answer.headers["Clear-Site-Data"] = '"cache", "storage"'
    api.sign_in.delete_cookie(answer, SESSION_COOKIE)
    return answer


@provider_router.get("/sign-in/provider")
async def start_login(api: Api, after: str = "/", again: bool = False) -> Response:
    """Redirect to the identity provider."""
    service = api.sign_in
    since = service.clock() if again else None
    pending = PendingLogin(
        nonce=service.new_secret(), verifier=service.new_secret(), after=local_path(after), since=since
    )
    state = await service.sessions.start_login(pending)
    url = await _provider(service).authorization_url(
        _callback_url(service), state, pending.nonce, pending.verifier, again=again
    )
    answer = RedirectResponse(url, 303)
    # Lax: the provider sends the browser back from another site.
    service.set_cookie(answer, STATE_COOKIE, state, max_age=PENDING)
    return answer


@provider_router.get("/sign-in/callback")
async def finish_login(request: Request, api: Api, code: str = "", state: str = "") -> Response:
    """Open a session. Only the browser that was sent to the provider may come back, once."""
    service = api.sign_in
    cookie = request.cookies.get(service.public.cookie_name(STATE_COOKIE), "")
    pending = await service.sessions.consume_state(state) if state and state == cookie else None
    try:
        if pending is None or not code:
            raise AuthenticationError("the sign-in was not begun here, or was given up")
        signed = await _provider(service).sign_in(
            _callback_url(service), code, pending.nonce, pending.verifier, since=pending.since
        )
        caller = signed.caller
        if caller.in_role(*READERS) is None:
            raise AuthenticationError(f"the role {caller.role} opens no inbox")
    except AuthenticationError as refusal:
        await api.log.record("refused", detail=f"sign-in: {refusal.reason}")
        return page("sign_in.html", 403, people=[], provider=True, after="/", again=False, refused=refusal.reason + ".")
    answer = await service.open_session(
        api.authenticator.session_id(request), caller, pending.after, signed.refresh_token
    )
    service.delete_cookie(answer, STATE_COOKIE)
    return answer


def _form(
    service: SignInService, status: int = 200, *, after: str = "/", again: bool = False, refused: str = ""
) -> Response:
    return page(
        "sign_in.html",
        status,
        people=list(enumerate(service.people)),
        provider=service.provider is not None,
        after=local_path(after),
        again=again,
        refused=refused,
    )


def _provider(service: SignInService) -> OidcProvider:
    """Raises ProblemError 404 where no identity provider is configured."""
    if service.provider is None:
        raise ProblemError(404, "There is no identity provider")
    return service.provider


def _callback_url(service: SignInService) -> str:
    return f"{service.public.url.rstrip('/')}/sign-in/callback"
