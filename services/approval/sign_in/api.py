"""REST API of sessions: an operator ends those of a person (a lost phone, a revoked role, somebody who has left)."""

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field

from services.approval.dependencies import Api, Operator

router = APIRouter(tags=["sessions"])


class EndSessions(BaseModel):
    """Whose sessions end."""

    model_config = ConfigDict(extra="forbid")

    subject: str = Field(min_length=1, max_length=255, description="as the identity provider calls the person (`sub`)")


class Ended(BaseModel):
    """How many browsers were signed out."""

    subject: str
    ended: int


@router.post("/v1/sessions/end", summary="Sign a person out of every browser")
async def end_sessions(body: EndSessions, by: Operator, api: Api) -> Ended:
    """End the sessions of a person. Their edits are kept, and they can sign in again if the provider lets them."""
    ended = await api.sign_in.sessions.end(body.subject)
    if ended:
        await api.log.record("signed-out", detail=f"ended by {by.subject}", subject=body.subject)
    return Ended(subject=body.subject, ended=ended)
