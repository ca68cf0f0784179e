"""REST API of sign-in: where to sign in, who one is, and sessions that an operator ends.

Sessions end for a lost phone, a revoked role, or somebody who has left.
"""

from typing import Any

from fastapi import APIRouter, Request
from pydantic import BaseModel, ConfigDict, Field

from services.approval.dependencies import AnyRole, Api, Operator
from shared.runtime.api_route import ApiRoute
from shared.runtime.authentication import Method, Role
from shared.runtime.problems import ProblemError, problem_responses
from shared.runtime.public_origin import RESOURCE_METADATA_PATH

router = APIRouter(tags=["sessions"], route_class=ApiRoute)


class EndSessions(BaseModel):
    """Whose sessions end."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"subject": "maxine.gee"}]})

    subject: str = Field(min_length=1, max_length=255, description="as the identity provider calls the person (`sub`)")


class EndedSessions(BaseModel):
    """How many browsers were signed out."""

    subject: str = Field(description="the person")
    ended: int = Field(description="sessions that were ended")


class Me(BaseModel):
    """The caller, as the API knows it. `departments` is null for all of them."""

    subject: str = Field(description="the person, as the sign-in names them")
    name: str | None = Field(description="display name; null: not known")
    roles: tuple[Role, ...]
    departments: tuple[str, ...] | None
    method: Method = Field(description="how the caller has signed in")


@router.get(
    RESOURCE_METADATA_PATH,
    summary="Where to sign in: OAuth 2.0 Protected Resource Metadata (RFC 9728)",
    responses=problem_responses({404: "there is no identity provider, or the address is not known"}),
)
async def resource_metadata(request: Request, api: Api) -> dict[str, Any]:
    """Return the identity provider and how the command signs in there. Needs no authentication."""
    provider, public = api.sign_in.provider, api.sign_in.public
    if provider is None:
        raise ProblemError(404, "There is no identity provider", "Tokens are those of the tokens file.")
    resource = public.requested(request)
    if not resource:
        raise ProblemError(404, "This address is not known", "Set COUNTERSIGN_PUBLIC_URL.")
    return provider.protected_resource(resource)


@router.get("/v1/me", summary="Show who the caller is")
async def me(caller: AnyRole) -> Me:
    return Me(
        subject=caller.subject,
        name=caller.name,
        roles=caller.roles,
        departments=caller.departments,
        method=caller.method,
    )


@router.post("/v1/sessions/end", summary="Sign a person out of every browser")
async def end_sessions(body: EndSessions, by: Operator, api: Api) -> EndedSessions:
    """End the sessions of a person. Their edits are kept, and they can sign in again if the provider lets them."""
    ended = await api.sign_in.sessions.end(body.subject)
    if ended:
        await api.log.record("signed-out", detail=f"ended by {by.subject}", subject=body.subject)
    return EndedSessions(subject=body.subject, ended=ended)
