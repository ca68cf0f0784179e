"""The OpenAPI document of an application: what FastAPI derives from the routes, and what the platform adds to each.

Authentication, limits and error answers are the same for every route, so they are derived from the route too: its
guard, its rate, its body. A route declares only what is its own. https://spec.openapis.org/oas/v3.1.0
"""

from collections.abc import Iterator
from typing import Any

from fastapi import FastAPI, Request
from fastapi.openapi.utils import get_openapi
from fastapi.routing import APIRoute

from shared.runtime.api_route import ApiRoute, dependants, guard_of, stores_answers
from shared.runtime.authentication import ROLES, RequireRole
from shared.runtime.idempotency import PROBLEMS as KEYED
from shared.runtime.openapi_descriptions import DESCRIPTION, PARAMETERS, TAGS
from shared.runtime.openapi_fields import FIELDS
from shared.runtime.problems import MEDIA_TYPE, PROBLEM_SCHEMA
from shared.runtime.rate_limits import RateLimit
from shared.runtime.request_limits import endpoint_limits
from shared.runtime.security_schemes import SecuritySchemes

BODY = {
    400: "the body cannot be decoded",
    408: "the body arrives too slowly",
    413: "the body is too large",
}
GUARDED = {
    401: "no token or session, or one that is not valid",
    403: "the role of the caller may not do that",
}
EVERY = {
    422: "the request is not valid, or has an unknown query parameter",
    502: "a service that is needed refused our request, or stored data cannot be read",
    503: "a service that is needed does not answer: repeat the request",
}
HEADERS: dict[str, dict[str, Any]] = {
    "401": {
        "WWW-Authenticate": {
            "description": "how to authenticate (RFC 6750)",
            "required": True,
            "schema": {"type": "string"},
        }
    },
    **{
        status: {
            "Retry-After": {
                "description": "seconds to wait before the request is repeated",
                "required": True,
                "schema": {"type": "integer", "minimum": 1},
            }
        }
        for status in ("429", "503")
    },
}
# Where a limit counts the request: of a route, or of a browser's session, which other callers do not have.
RATE_HEADERS: dict[str, dict[str, Any]] = {
    "RateLimit": {
        "description": "for each limit that counted the request: requests left (`r`), seconds until all are (`t`)",
        "schema": {"type": "string", "examples": ['"webhook-test";r=9;t=5']},
    },
    "RateLimit-Policy": {
        "description": "for each limit that counted the request: requests (`q`) in a window of seconds (`w`)",
        "schema": {"type": "string", "examples": ['"webhook-test";q=10;w=50']},
    },
}
RATE_REFERENCES = {name: {"$ref": f"#/components/headers/{name}"} for name in RATE_HEADERS}
PROBLEM_REFERENCE = {"$ref": "#/components/schemas/Problem"}


def describe(app: FastAPI) -> dict[str, Any]:
    """Return the OpenAPI document of `app`, whose services are built."""
    document = get_openapi(
        title=app.title,
        version=app.version,
        description=DESCRIPTION,
        routes=app.routes,
        servers=[{"url": "/", "description": "this service"}],
        contact={"name": "the operators of this installation"},
        license_info={"name": "Apache-2.0", "identifier": "Apache-2.0"},
        separate_input_output_schemas=app.separate_input_output_schemas,
    )
    asking, schemes = Request({"type": "http", "app": app}), SecuritySchemes()
    for route, operation in _operations(app, document):
        guard = guard_of(route.dependant)
        accepted = guard.schemes(asking) if guard is not None else {}
        operation["security"] = [{name: []} for name in accepted]
        schemes |= accepted
        operation["description"] = _description(operation.get("description", ""), guard)
        for parameter in operation.get("parameters", ()):
            if parameter["name"] in PARAMETERS:
                parameter.setdefault("description", PARAMETERS[parameter["name"]])
        operation["responses"] = _responses(route, guard, accepted, operation["responses"])
    document["tags"] = _tags(document)
    _collect_components(document, schemes)
    return document


def _operations(app: FastAPI, document: dict[str, Any]) -> Iterator[tuple[APIRoute, dict[str, Any]]]:
    for route in app.routes:
        if isinstance(route, APIRoute) and route.include_in_schema:
            for method in sorted(route.methods or ()):
                yield route, document["paths"][route.path_format][method.lower()]


def _description(said: str, guard: RequireRole | None) -> str:
    if guard is None:
        who = "Needs no authentication."
    else:
        allowed = "any" if set(guard.roles) == set(ROLES) else ", ".join(guard.roles)
        who = f"Roles: {allowed}."
    return f"{said.strip()}\n\n{who}".strip()


def _responses(
    route: APIRoute, guard: RequireRole | None, schemes: SecuritySchemes, declared: dict[str, Any]
) -> dict[str, Any]:
    """Return the answers of a route: its own, and the problems of the platform that it does not describe itself."""
    answers = dict(declared)
    if isinstance(route, ApiRoute):
        for number, text in _platform_problems(route, guard, schemes).items():
            if MEDIA_TYPE not in answers.get(str(number), {}).get("content", {}):  # FastAPI's own 422 is not sent
                answers[str(number)] = {"description": text, "content": {MEDIA_TYPE: {}}}
    limited = isinstance(route, ApiRoute) and "429" in answers
    for status, answer in answers.items():
        if limited and (status < "4" or status == "429"):
            answer["headers"] = answer.get("headers", {}) | RATE_REFERENCES
        if MEDIA_TYPE in answer.get("content", {}):
            title = answer["description"]
            example = {"type": "about:blank", "title": title[:1].upper() + title[1:], "status": int(status)}
            answer["content"] = {MEDIA_TYPE: {"schema": PROBLEM_REFERENCE, "example": example}}
            if headers := answer.get("headers", {}) | HEADERS.get(status, {}):
                answer["headers"] = headers
    return {status: answers[status] for status in sorted(answers)}


def _platform_problems(route: APIRoute, guard: RequireRole | None, schemes: SecuritySchemes) -> dict[int, str]:
    limits = endpoint_limits(route.endpoint)
    problems = dict(EVERY)
    if stores_answers(route.dependant):
        problems |= KEYED
    if route.body_field is not None or limits is not None:
        problems |= BODY
    if guard is not None:
        problems |= GUARDED
    if "session" in schemes:
        problems |= {429: "too many requests of one session"}
    rated = any(isinstance(item.call, RateLimit) for item in dependants(route.dependant))
    if rated or (limits is not None and limits.rate is not None):
        problems |= {429: "too many requests"}
    return problems


def _tags(document: dict[str, Any]) -> list[dict[str, str]]:
    """Return the tags in use. One that is not in TAGS has no description, which the linter reports."""
    operations = (item for methods in document["paths"].values() for item in methods.values())
    used = {tag for item in operations for tag in item.get("tags", ())}
    return [{"name": tag, "description": TAGS[tag]} for tag in sorted(used & TAGS.keys())]


def _collect_components(document: dict[str, Any], schemes: SecuritySchemes) -> None:
    components = document.setdefault("components", {})
    schemas = components.get("schemas", {}) | {"Problem": PROBLEM_SCHEMA}
    for name in ("HTTPValidationError", "ValidationError"):  # of answers that are not sent
        schemas.pop(name, None)
    for schema in schemas.values():
        for name, field in schema.get("properties", {}).items():
            if name in FIELDS:
                field.setdefault("description", FIELDS[name])
    components["headers"] = RATE_HEADERS
    components |= {"schemas": dict(sorted(schemas.items())), "securitySchemes": schemes}
