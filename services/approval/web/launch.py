"""SMART App Launch: the EHR opens Countersign, which signs its user in and shows the document of the open stay.

https://hl7.org/fhir/smart-app-launch/app-launch.html#launch-app-ehr-launch
"""

from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request
from fastapi.responses import RedirectResponse, Response

from services.approval.dependencies import Api, ApiDependencies
from services.approval.review.authorization import READERS
from services.approval.review.errors import DecisionRefusedError
from services.approval.sign_in.launch.answers import LaunchContext
from services.approval.sign_in.launch.client import EhrLaunch, Launched
from services.approval.sign_in.service import SignInService, local_path
from services.approval.sign_in.sessions import LOGIN_LIFETIME_S, PendingLogin
from services.approval.web.render import PageRoute, page
from services.approval.web.sign_in import (
    consume_login,
    exchange_unavailable,
    path_and_query,
    refused,
    unavailable,
)
from shared.contracts.errors import TransientError
from shared.contracts.subjects import case_id
from shared.oauth.token_endpoint import RETRYABLE_CODES, known_code
from shared.runtime.authentication import AuthenticationError, Caller, token_digest
from shared.runtime.oidc import SignInResult
from shared.runtime.problems import ProblemError
from shared.runtime.rate_limits import RateLimit

# Per address, which a proxy shares for all users: each patient that is opened in the EHR launches a frame.
LAUNCHES = RateLimit("launch", 600, 40.0)

# Served only where an EHR is declared.
router = APIRouter(route_class=PageRoute, include_in_schema=False, dependencies=[Depends(LAUNCHES)])


@router.get("/launch")
async def launch(
    request: Request,
    api: Api,
    iss: Annotated[str, Query(max_length=2000)] = "",
    launch: Annotated[str, Query(max_length=4000)] = "",
) -> Response:
    """Begin a launch: redirect to the authorization endpoint of the EHR."""
    if not launch or not _ehr(api.sign_in).is_declared(iss):
        await api.log.record("refused", detail="launch: not of the declared EHR")
        title = "This EHR may not open Countersign"
        return page("launched.html", 403, title=title, detail="It is not the EHR that Countersign is connected to.")
    return await _begin(request, api, "/", launch)


@router.get("/launch/again")
async def reauthenticate(request: Request, api: Api, after: str = "/") -> Response:
    """Have the EHR authenticate the user again, for a signature."""
    return await _begin(request, api, local_path(after), None)


async def _begin(request: Request, api: ApiDependencies, after: str, launch: str | None) -> Response:
    service = api.sign_in
    pending = PendingLogin(
        nonce=service.new_secret(),
        verifier=service.new_secret(),
        after=after,
        since=service.clock() if launch is None else None,
        at_ehr=True,
        embedded=service.is_embedded(request),
    )
    try:
        state = await service.sessions.start_login(pending)
        url = await _ehr(service).authorization_url(
            _callback_url(service), state, pending.nonce, pending.verifier, launch
        )
    except TransientError as error:
        return unavailable(service, error, after=after, again=launch is None, retry=path_and_query(request))
    answer = RedirectResponse(url, 303)
    service.set_cookie(answer, _state_cookie(state), state, max_age=LOGIN_LIFETIME_S, embedded=pending.embedded)
    return answer


@router.get("/launch/callback")
async def finish(request: Request, api: Api, code: str = "", state: str = "", error: str = "") -> Response:
    """Sign the EHR's user in, and show the document of the stay that is open there."""
    service = api.sign_in
    pending = await consume_login(service, request, _state_cookie(state), state)
    after, renewed = (pending.after, pending.since is not None) if pending is not None else ("/", False)
    try:
        launched = await _exchange(service, pending, code, error)
    except AuthenticationError as refusal:
        await api.log.record("refused", detail=f"launch: {refusal.reason}")
        return refused(service, 403, refusal.reason, after=after, again=renewed)
    except TransientError as failure:
        return await exchange_unavailable(service, request, failure, pending, state, code)
    answer = RedirectResponse(after, 303) if renewed else await _open_stay(api, launched.caller, launched.context)
    service.delete_cookie(answer, _state_cookie(state))
    previous = api.authenticator.session_id(request)
    embedded = pending is not None and pending.embedded
    return await service.open_session(previous, SignInResult(launched.caller), answer, embedded=embedded)


async def _exchange(service: SignInService, pending: PendingLogin | None, code: str, error: str) -> Launched:
    """Return who launched. Raises AuthenticationError, TransientError."""
    if pending is None or not pending.at_ehr:
        raise AuthenticationError("the launch was not begun here, or was given up: open Countersign from the EHR again")
    if error in RETRYABLE_CODES:
        raise TransientError(f"the EHR could not open Countersign ({error})")
    if error or not code:
        raise AuthenticationError(f"the EHR did not open Countersign ({known_code(error)})")
    found = await _ehr(service).finish(_callback_url(service), code, pending.nonce, pending.verifier, pending.since)
    if found.caller.in_role(*READERS) is None:
        raise AuthenticationError(f"the role {found.caller.role} opens no inbox")
    return found


async def _open_stay(api: ApiDependencies, caller: Caller, context: LaunchContext) -> Response:
    """Return what the caller sees first: the open stay's document, or why there is none."""
    if context.encounter is None:
        return RedirectResponse("/", 303)
    ref, case = await api.cases.case(case_id(api.organization, context.encounter))
    try:
        await api.cases.authorize(ref, case, caller, "see")
    except DecisionRefusedError:
        detail = "Countersign has no document of the stay that is open in the EHR, or it is not one of your department."
        return page("launched.html", title="There is no document of this stay", detail=detail)
    stay = case.review.stay if case.review is not None else None
    if stay is not None and context.patient is not None and stay.patient != f"Patient/{context.patient}":
        await api.log.record("refused", detail="launch: the stay is of another patient", case_id=ref.id)
        detail = "The EHR names a stay and a patient that do not belong together. Nothing is shown."
        return page("launched.html", 409, title="This stay is of another patient", detail=detail)
    return RedirectResponse(f"/reviews/{ref.id}", 303)


def _ehr(service: SignInService) -> EhrLaunch:
    """Return the launch client. Raises ProblemError 404 where no EHR is declared."""
    if service.launch is None:
        raise ProblemError(404, "No EHR opens Countersign")
    return service.launch


def _callback_url(service: SignInService) -> str:
    return f"{service.public.url.rstrip('/')}/launch/callback"


def _state_cookie(state: str) -> str:
    """Return the cookie of one launch: several frames may be launched at a time."""
    return f"countersign_launch_{token_digest(state)[:16]}"
