"""Routes of the REST APIs: an undeclared query parameter is refused, and a POST takes an `Idempotency-Key`.

Ignored, a misspelled filter would answer with everything, and nobody would notice.
"""

from collections.abc import Callable, Coroutine, Iterable, Iterator
from inspect import isclass
from typing import Any

from fastapi import Depends, Request, Response
from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute
from pydantic import BaseModel

from shared.runtime.authentication import RequireRole
from shared.runtime.idempotency import HEADER, TAKES_KEY, TakesIdempotencyKey, answer_once, takes_key
from shared.runtime.problems import ProblemError

MAX_NAMED, MAX_NAME = 10, 64  # unknown parameters that an answer names, and characters of each


class ApiRoute(APIRoute):
    """Answers 422 to unknown query parameters, before the caller is authenticated and anything is read.

    The answer to a POST is stored under its `Idempotency-Key`, unless its endpoint declares otherwise.
    """

    def __init__(self, path: str, endpoint: Callable[..., Any], **options: Any) -> None:
        if "POST" in (options.get("methods") or ()) and takes_key(endpoint):
            options["dependencies"] = [*(options.get("dependencies") or ()), Depends(TAKES_KEY)]
        super().__init__(path, endpoint, **options)

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handle, known = super().get_route_handler(), query_names(self.dependant)
        guard = guard_of(self.dependant) if stores_answers(self.dependant) else None

        async def handle_or_refuse(request: Request) -> Response:
            if request.scope["query_string"]:
                _check_query(request.query_params.keys(), known)
            if guard is not None and HEADER in request.headers:
                return await answer_once(request, await guard(request), handle)
            return await handle(request)

        return handle_or_refuse


def guard_of(dependant: Dependant) -> RequireRole | None:
    """Return what decides about the caller of a route; None where nobody needs to authenticate."""
    calls = (item.call for item in dependants(dependant))
    return next((call for call in calls if isinstance(call, RequireRole)), None)


def stores_answers(dependant: Dependant) -> bool:
    """Return whether the answers of a route are stored under their `Idempotency-Key`."""
    return any(isinstance(item.call, TakesIdempotencyKey) for item in dependants(dependant))


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
