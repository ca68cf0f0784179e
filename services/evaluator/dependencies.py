"""What the routes of the evaluator work with, from the application's state."""

from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, Request

from services.evaluator.drafters import DrafterService
from services.evaluator.knowledge_service import KnowledgeService
from shared.messaging.event_store import Clock
from shared.runtime.authentication import ROLES, Authenticator, Caller, RequireRole, Role
from shared.runtime.dependencies import provided


@dataclass(frozen=True, slots=True)
class EvaluatorDependencies:
    authenticator: Authenticator
    knowledge: KnowledgeService
    drafters: DrafterService
    clock: Clock


def allow(*roles: Role) -> RequireRole:
    """Return a dependency: the caller if they have one of `roles`, otherwise the request gets 401 or 403."""
    return RequireRole(lambda request: provided(request, EvaluatorDependencies).authenticator, roles)


async def _knowledge(request: Request) -> KnowledgeService:  # async: FastAPI would run it in a thread otherwise
    return provided(request, EvaluatorDependencies).knowledge


async def _drafters(request: Request) -> DrafterService:
    return provided(request, EvaluatorDependencies).drafters


async def _clock(request: Request) -> Clock:
    return provided(request, EvaluatorDependencies).clock


# Problems of routes about drafter configurations, for OpenAPI.
UNKNOWN_DRAFTER = {
    404: "there is no such configuration, or nothing of the kind yet",
    409: "the digest is of several configurations, or the state does not allow that",
}

Drafters = Annotated[DrafterService, Depends(_drafters)]
Knowledge = Annotated[KnowledgeService, Depends(_knowledge)]
ClockOf = Annotated[Clock, Depends(_clock)]
AnyRole = Annotated[Caller, Depends(allow(*ROLES))]
Editor = Annotated[Caller, Depends(allow("operator", "editor"))]  # changes the knowledge base
Engineer = Annotated[Caller, Depends(allow("operator", "engineer"))]  # changes what drafts
Operator = Annotated[Caller, Depends(allow("operator"))]
TextReader = Annotated[Caller, Depends(allow("engineer"))]  # of drafts; an operator repairs without reading them
DrafterReader = Annotated[Caller, Depends(allow("engineer", "operator", "auditor"))]  # of the pages about drafters
