"""An administrator ends somebody's sessions: a lost phone, a role that was taken away, a person who has left."""

from typing import Annotated

from fastapi import APIRouter, Depends
from pydantic import BaseModel, ConfigDict, Field

from services.approval.sign_in.routes import SignIn
from shared.runtime.authentication import Authenticator, Caller


class EndSessions(BaseModel):
    """Whose sessions end."""

    model_config = ConfigDict(extra="forbid")

    subject: str = Field(min_length=1, max_length=255, description="as the identity provider calls the person (`sub`)")


class Ended(BaseModel):
    """How many browsers were signed out."""

    subject: str
    ended: int


def make_sessions_router(desk: SignIn, guard: Authenticator) -> APIRouter:
    router = APIRouter(tags=["sessions"])
    operator = Annotated[Caller, Depends(guard.require("operator"))]

    @router.post("/v1/sessions/end", summary="Sign a person out of every browser")
    async def end_sessions(body: EndSessions, by: operator) -> Ended:
        """What they have typed is kept. They can sign in again as long as the identity provider lets them."""
        ended = await desk.sessions.end(body.subject)
        if ended:
            await desk.log.record("signed-out", detail=f"ended by {by.subject}", subject=body.subject)
        return Ended(subject=body.subject, ended=ended)

    return router
