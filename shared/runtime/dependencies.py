"""Objects that routes at module level work with, kept in the state of the application that serves the request.

Routes are built once, when their module is imported, and shared by every application of the process. Whatever differs
between applications (services, guards, counters) is looked up here, by its type.
"""

from typing import TypeVar

from fastapi import APIRouter, FastAPI, Request

T = TypeVar("T")


def provide(app: FastAPI, dependencies: object) -> None:
    """Make `dependencies` available to the routes of `app`, under their type.

    Raises ValueError where the application has an object of this type already.
    """
    provided: dict[type, object] | None = getattr(app.state, "provided", None)
    if provided is None:
        provided = app.state.provided = {}
    if type(dependencies) in provided:
        raise ValueError(f"{type(dependencies).__name__} is provided already")
    provided[type(dependencies)] = dependencies


def provided(request: Request, kind: type[T]) -> T:
    """Return the object of type `kind` that the application of `request` was given.

    Raises RuntimeError where there is none: the route is served without its service.
    """
    found = getattr(request.app.state, "provided", {}).get(kind)
    if not isinstance(found, kind):
        raise RuntimeError(f"the application provides no {kind.__name__}")
    return found


def mount(app: FastAPI, *routers: APIRouter) -> None:
    """Add the routes of `routers` to `app` as they are.

    `FastAPI.include_router` builds every route a second time, for each application.
    """
    for router in routers:
        app.router.routes.extend(router.routes)
