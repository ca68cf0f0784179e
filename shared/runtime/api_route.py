"""Routes of the REST APIs: a query parameter that a route does not declare is refused.

Ignored, a misspelled filter would answer with everything, and nobody would notice.
"""

from collections.abc import Callable, Coroutine, Iterable, Iterator
from inspect import isclass
from typing import Any

from fastapi import Request, Response
from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute
from pydantic import BaseModel

from shared.runtime.problems import ProblemError

MAX_NAMED, MAX_NAME = 10, 64  # unknown parameters that an answer names, and characters of each


class ApiRoute(APIRoute):
    """Answers 422 to unknown query parameters, before the caller is authenticated and anything is read."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handle, known = super().get_route_handler(), query_names(self.dependant)

        async def handle_or_refuse(request: Request) -> Response:
            if request.scope["query_string"]:
                _check_query(request.query_params.keys(), known)
            return await handle(request)

        return handle_or_refuse


def query_names(dependant: Dependant) -> frozenset[str]:
    """Return the names of the query parameters of a route and of everything that it depends on."""
    return frozenset(_names(dependant))


def dependants(dependant: Dependant) -> Iterator[Dependant]:
    """Yield a route's dependant, and everything below it."""
    yield dependant
    for item in dependant.dependencies:
        yield from dependants(item)


def _names(dependant: Dependant) -> Iterator[str]:
    for item in dependants(dependant):
        for field in item.query_params:
            model = field.field_info.annotation
            if isclass(model) and issubclass(model, BaseModel):  # its fields are the parameters
                yield from (entry.alias or name for name, entry in model.model_fields.items())
            else:
                yield field.alias


def _check_query(sent: Iterable[str], known: frozenset[str]) -> None:
    """Raise ProblemError 422 for unknown parameters. Names are shortened, and values are not repeated."""
    unknown = sorted(set(sent) - known)
    if not unknown:
        return
    taken = f"Known are: {', '.join(sorted(known))}." if known else "There are none here."
    errors = [{"field": name[:MAX_NAME], "detail": "There is no such query parameter"} for name in unknown[:MAX_NAMED]]
    more = f" {len(unknown) - MAX_NAMED} more are unknown." if len(unknown) > MAX_NAMED else ""
    raise ProblemError(422, "There is no such query parameter", f"{taken}{more}", errors=errors)
