"""What the routes of the evaluator work with, from the application's state."""

from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, Request

from services.evaluator.desk import KnowledgeDesk
from shared.runtime.access import ROLES, Allow, Caller, Guard, Role
from shared.runtime.dependencies import provided


@dataclass(frozen=True, slots=True)
class EvaluatorDependencies:
    guard: Guard
    knowledge: KnowledgeDesk


def allow(*roles: Role) -> Allow:
    """Return a dependency that gives the caller where it has one of `roles`; otherwise the answer is 401 or 403."""
    return Allow(lambda request: provided(request, EvaluatorDependencies).guard, roles)


async def _knowledge(request: Request) -> KnowledgeDesk:  # async: FastAPI would run it in a thread otherwise
    return provided(request, EvaluatorDependencies).knowledge


Knowledge = Annotated[KnowledgeDesk, Depends(_knowledge)]
AnyRole = Annotated[Caller, Depends(allow(*ROLES))]
Operator = Annotated[Caller, Depends(allow("operator"))]
