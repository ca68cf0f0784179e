"""Sign-out: of a browser, here and at the identity provider; and of whoever the provider has signed out.

https://openid.net/specs/openid-connect-rpinitiated-1_0.html
https://openid.net/specs/openid-connect-backchannel-1_0.html
"""

from datetime import timedelta
from typing import Annotated

from fastapi import APIRouter, Form, Request
from fastapi.responses import JSONResponse, RedirectResponse, Response

from services.approval.dependencies import Api
from services.approval.sign_in.service import SignInService
from services.approval.web.render import PageRoute, page
from services.approval.web.sign_in import sign_in_form
from shared.runtime.authentication import SESSION_COOKIE, AuthenticationError, Caller
from shared.runtime.oidc.logout import MAX_AGE_S
from shared.runtime.problems import ProblemError
from shared.runtime.rate_limits import RateLimit
from shared.runtime.request_limits import limit_endpoint

STATE_COOKIE = "countersign_sign_out"
LOGOUT_LIFETIME_S = 600  # seconds that the provider may take to send the browser back
MAX_LOGOUT_BYTES = 16_384
# From one address: a provider that ends everybody's sessions sends one request for each.
LOGOUTS = RateLimit("back-channel-logout", 600, 20.0)

router = APIRouter(route_class=PageRoute, include_in_schema=False)
# Served only where an identity provider is configured.
provider_router = APIRouter(route_class=PageRoute, include_in_schema=False)
# For the provider's server: it answers with JSON.
back_channel_router = APIRouter(include_in_schema=False)


@router.post("/sign-out")
async def sign_out(request: Request, api: Api) -> Response:
    await api.authenticator.check_origin(request)
    service, url = api.sign_in, None
    caller = await api.authenticator.session_caller(request)
    state = service.new_secret()
    if caller is not None:
        session = api.authenticator.session_id(request)
        id_token = await service.sessions.id_token(session)
        await service.sessions.close(session)  # first: the provider may not answer
        await api.log.record("signed-out", detail="", by=caller.actor)
        url = await _provider_url(service, caller, id_token, state)
    # A page, not a redirect: browsers hold the redirect of a form to the page's `form-action`, which is our own origin.
    answer = RedirectResponse("/sign-in", 303) if url is None else page("signing_out.html", url=url)
    # Our answers tell browsers to store nothing of a patient; this clears what one may have stored.
    answer.headers["Clear-Site-Data"] = '"cache", "storage"'
    service.delete_cookie(answer, SESSION_COOKIE)
    if url is not None:
        service.set_cookie(answer, STATE_COOKIE, state, max_age=LOGOUT_LIFETIME_S)
    return answer


async def _provider_url(service: SignInService, caller: Caller, id_token: str | None, state: str) -> str | None:
    """Return where the browser's session at the provider is ended; None where it has none."""
    if service.provider is None or caller.method != "oidc":
        return None
    return await service.provider.end_session_url(id_token, f"{service.public.url.rstrip('/')}/sign-in/ended", state)


@provider_router.get("/sign-in/ended")
async def ended(request: Request, api: Api, state: str = "") -> Response:
    """Show that the provider has ended its session too, to the browser that was sent there."""
    service = api.sign_in
    sent = request.cookies.get(service.public.cookie_name(STATE_COOKIE), "")
    if not state or state != sent:
        return RedirectResponse("/sign-in", 303)
    answer = sign_in_form(service, note="You are signed out, here and at your hospital account.")
    service.delete_cookie(answer, STATE_COOKIE)
    return answer


# No cookie and no Origin count here: the signature of the token does.
@back_channel_router.post("/sign-in/back-channel-logout")
@limit_endpoint(MAX_LOGOUT_BYTES, rate=LOGOUTS)
async def back_channel_logout(api: Api, logout_token: Annotated[str, Form()] = "") -> Response:
    """End the sessions that a logout token names, in every process: they share the sessions."""
    service = api.sign_in
    if service.provider is None:
        raise ProblemError(404, "There is no identity provider")
    leeway = timedelta(seconds=service.provider.leeway)
    try:
        request = await service.provider.logout_request(logout_token)
        if await service.sessions.was_used(request.jti):
            raise AuthenticationError("the logout token was used before (jti)")
    except AuthenticationError as refusal:
        await api.log.record("refused", detail=f"back-channel logout: {refusal.reason}")
        body = {"error": "invalid_request", "error_description": refusal.reason}
        return JSONResponse(body, 400, {"Cache-Control": "no-store"})
    # Noted last: where the process dies before, the provider's next attempt ends the rest.
    subjects = await service.sessions.end_at_provider(request, leeway)
    for subject in sorted(set(subjects)):
        await api.log.record("signed-out", detail="ended by the identity provider", subject=subject)
    await service.sessions.note_used(request.jti, MAX_AGE_S + 2 * int(leeway.total_seconds()) + 1)
    return Response(status_code=200, headers={"Cache-Control": "no-store"})
