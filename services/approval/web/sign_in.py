"""Pages for sign-in of browsers."""

from typing import Annotated

from fastapi import APIRouter, Depends, Form, Request
from fastapi.responses import RedirectResponse, Response

from services.approval.dependencies import Api
from services.approval.sign_in.service import SignInService, local_path
from services.approval.sign_in.sessions import LOGIN_LIFETIME_S, PendingLogin
from services.approval.web.render import PageRoute, page
from shared.contracts.errors import TransientError
from shared.oauth.errors import SpentCodeError
from shared.oauth.token_endpoint import RETRYABLE_CODES, known_code
from shared.runtime.authentication import AuthenticationError, Caller
from shared.runtime.oidc import OidcProvider, SignInResult
from shared.runtime.problems import ProblemError
from shared.runtime.rate_limits import RateLimit
from shared.runtime.request_limits import limit_endpoint
from shared.web.navigation import start_page

STATE_COOKIE = "countersign_sign_in"
# Per address, which a proxy shares for all users: a hospital that signs in at the change of a shift stays below.
ATTEMPTS = RateLimit("sign-in", 120, 4.0)

router = APIRouter(route_class=PageRoute, include_in_schema=False)
# Served only where an identity provider is configured.
provider_router = APIRouter(route_class=PageRoute, include_in_schema=False, dependencies=[Depends(ATTEMPTS)])


@router.get("/sign-in")
async def sign_in(api: Api, after: str = "/", again: bool = False) -> Response:
    return sign_in_form(api.sign_in, after=after, again=again)


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
    await api.authenticator.check_origin(request)  # a page of another site must not sign a user in as another person
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
    if caller is None or start_page(caller) is None:
        await api.authenticator.report_denial("the token opens no page", caller, request)
        return sign_in_form(service, 403, after=after, refused="This token opens no page.")
    answer = RedirectResponse(local_path(after), 303)
    return await service.open_session(api.authenticator.session_id(request), SignInResult(caller), answer)


@provider_router.get("/sign-in/provider")
async def start_login(api: Api, after: str = "/", again: bool = False) -> Response:
    """Redirect to the identity provider."""
    service = api.sign_in
    since = service.clock() if again else None
    pending = PendingLogin(
        nonce=service.new_secret(), verifier=service.new_secret(), after=local_path(after), since=since
    )
    try:
        state, url = await _authorization(service, pending)
    except TransientError as error:
        return unavailable(service, error, after=pending.after, again=again)
    answer = RedirectResponse(url, 303)
    # Lax: the provider sends the browser back from another site.
    service.set_cookie(answer, STATE_COOKIE, state, max_age=LOGIN_LIFETIME_S)
    return answer


async def _authorization(service: SignInService, pending: PendingLogin) -> tuple[str, str]:
    """Return the state of a pending login, and the provider's URL to send the browser to."""
    state = await service.sessions.start_login(pending)
    url = await _provider(service).authorization_url(
        _callback_url(service), state, pending.nonce, pending.verifier, again=pending.since is not None
    )
    return state, url


@provider_router.get("/sign-in/callback")
async def finish_login(request: Request, api: Api, code: str = "", state: str = "", error: str = "") -> Response:
    """Open a session. Only the browser that was sent to the provider may come back, once.

    Where the provider's token endpoint does not answer, the same request may be repeated.
    """
    service = api.sign_in
    pending = await consume_login(service, request, STATE_COOKIE, state)
    after, again = (pending.after, pending.since is not None) if pending is not None else ("/", False)
    try:
        signed = await _exchange(service, pending, code, error)
    except AuthenticationError as refusal:
        await api.log.record("refused", detail=f"sign-in: {refusal.reason}")
        return refused(service, 403, refusal.reason, after=after, again=again)
    except TransientError as failure:
        return await exchange_unavailable(service, request, failure, pending, state, code)
    answer = RedirectResponse(local_path(after), 303)
    service.delete_cookie(answer, STATE_COOKIE)
    return await service.open_session(api.authenticator.session_id(request), signed, answer)


async def _exchange(service: SignInService, pending: PendingLogin | None, code: str, error: str) -> SignInResult:
    """Return who signed in. Raises AuthenticationError, TransientError."""
    if pending is None or pending.at_ehr:
        raise AuthenticationError("the sign-in was not begun here, or was given up")
    if error in RETRYABLE_CODES:
        raise TransientError(f"the identity provider could not sign you in ({error})")
    if error or not code:
        raise AuthenticationError(f"the identity provider did not sign you in ({known_code(error)})")
    signed = await _provider(service).sign_in(
        _callback_url(service), code, pending.nonce, pending.verifier, since=pending.since
    )
    if start_page(signed.caller) is None:
        raise AuthenticationError(f"there is no page for the role {signed.caller.role}")
    return signed


async def consume_login(service: SignInService, request: Request, cookie_name: str, state: str) -> PendingLogin | None:
    """Return the login that this browser began with `state`, once; None for any other."""
    cookie = request.cookies.get(service.public.cookie_name(cookie_name), "")
    return await service.sessions.consume_state(state) if state and state == cookie else None


async def exchange_unavailable(
    service: SignInService,
    request: Request,
    failure: TransientError,
    pending: PendingLogin | None,
    state: str,
    code: str,
) -> Response:
    """Return the page for a token endpoint that does not answer; the request is repeatable while its code is unused."""
    after, again = (pending.after, pending.since is not None) if pending is not None else ("/", False)
    if pending is None or not code or isinstance(failure, SpentCodeError):
        return unavailable(service, failure, after=after, again=again)
    await service.sessions.keep_login(state, pending)
    return unavailable(service, failure, after=after, again=again, retry=path_and_query(request))


def path_and_query(request: Request) -> str:
    return f"{request.url.path}?{request.url.query}"


def refused(service: SignInService, status: int, reason: str, *, after: str, again: bool, retry: str = "") -> Response:
    """Return the sign-in page with the reason why nobody was signed in. `retry` is where to try once more."""
    message = f"{reason[0].upper()}{reason[1:]}."
    return sign_in_form(service, status, after=after, again=again, refused=message, retry=retry)


def unavailable(service: SignInService, error: TransientError, *, after: str, again: bool, retry: str = "") -> Response:
    """Return the sign-in page for a provider or EHR that does not answer."""
    answer = refused(service, 503, error.reason, after=after, again=again, retry=retry)
    answer.headers["Retry-After"] = "5"
    return answer


def sign_in_form(
    service: SignInService,
    status: int = 200,
    *,
    after: str = "/",
    again: bool = False,
    refused: str = "",
    retry: str = "",
    note: str = "",
) -> Response:
    return page(
        "sign_in.html",
        status,
        people=[] if refused and service.provider is not None else list(enumerate(service.people)),
        provider=service.provider is not None,
        after=local_path(after),
        again=again,
        ehr=service.launch is not None,
        refused=refused,
        retry=retry,
        note=note,
    )


def _provider(service: SignInService) -> OidcProvider:
    """Return the identity provider. Raises ProblemError 404 where none is configured."""
    if service.provider is None:
        raise ProblemError(404, "There is no identity provider")
    return service.provider


def _callback_url(service: SignInService) -> str:
    return f"{service.public.url.rstrip('/')}/sign-in/callback"
