"""Every route of the REST APIs refuses unknown query parameters; unknown paths and methods are problems."""

import re
from collections import defaultdict
from functools import cache
from typing import Annotated

import httpx
import pytest
from fastapi import APIRouter, Depends, FastAPI, Query
from fastapi.routing import APIRoute
from pydantic import BaseModel, Field

from docs._generate.http_api import SERVICES, application
from shared.runtime import problems
from shared.runtime.api_route import MAX_NAME, MAX_NAMED, ApiRoute
from shared.runtime.dependencies import mount

PROBES = ("/healthz", "/readyz")  # a probe must not fail because somebody has added a parameter to its address


@cache
def built(service: str) -> FastAPI:
    return application(service)


def routes_of(service: str) -> list[APIRoute]:
    found = [item for item in built(service).routes if isinstance(item, APIRoute) and item.include_in_schema]
    return [item for item in found if item.path not in PROBES]


def http(app: FastAPI) -> httpx.AsyncClient:
    return httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://x")


ROUTES = [(name, method, route.path) for name in SERVICES for route in routes_of(name) for method in route.methods]


def test_every_service_has_routes() -> None:
    assert {name for name, _, _ in ROUTES} == set(SERVICES)
    assert len(ROUTES) > 90


@pytest.mark.parametrize(("service", "method", "path"), ROUTES)
async def test_an_unknown_query_parameter_is_refused_before_anything_else(service: str, method: str, path: str) -> None:
    """Nobody is authenticated, and NATS is not there: nothing was asked before the answer."""
    async with http(built(service)) as client:
        answer = await client.request(method, f"{re.sub('{[^}]*}', '1', path)}?no-such-parameter=secret")
    assert answer.status_code == 422, answer.text
    assert answer.headers["content-type"] == problems.MEDIA_TYPE
    assert answer.json()["errors"] == [{"field": "no-such-parameter", "detail": "There is no such query parameter"}]
    assert "secret" not in answer.text


@pytest.mark.parametrize("service", SERVICES)
async def test_unknown_paths_and_methods_are_problems(service: str) -> None:
    methods = defaultdict[str, set[str]](set)
    for route in routes_of(service):
        methods[route.path] |= route.methods
    async with http(built(service)) as client:
        answers = [(404, await client.get("/v1/nowhere"), set[str]())]
        for path, known in methods.items():
            if "{" not in path:  # such a path may be that of another route too
                answers.append((405, await client.request("TRACE", path), known))
    assert len(answers) > 1
    for status, answer, known in answers:
        assert (answer.status_code, answer.headers["content-type"]) == (status, problems.MEDIA_TYPE), answer.url
        assert answer.json()["status"] == status
        assert set(answer.headers.get("allow", "").split(", ")) - {""} >= known, answer.url


class Filter(BaseModel):
    state: str = ""
    owned_by: str = Field(default="", alias="owner")


async def of_dependency(page: int = 1) -> int:
    return page


router = APIRouter(route_class=ApiRoute)


@router.get("/things")
async def things(
    only: Annotated[Filter, Query()], page: Annotated[int, Depends(of_dependency)]
) -> tuple[str, str, int]:
    return only.state, only.owned_by, page


@router.get("/thing")
async def thing(size: Annotated[int, Query(alias="of-size")] = 0) -> int:
    return size


def own() -> FastAPI:
    app = FastAPI()
    problems.install_error_handlers(app)
    mount(app, router)
    return app


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/things?state=a&owner=b&page=3", 200),
        ("/things?", 200),
        ("/things?owned_by=b", 422),
        ("/things?only=b", 422),
        ("/things?State=a", 422),
        ("/thing?of-size=1", 200),
        ("/thing?size=1", 422),
        ("/thing?of-size=1&=", 422),
    ],
)
async def test_the_parameters_of_models_aliases_and_dependencies_are_known(path: str, status: int) -> None:
    async with http(own()) as client:
        assert (await client.get(path)).status_code == status


async def test_an_answer_names_few_parameters_and_says_of_how_many() -> None:
    query = "&".join(f"{number:02}{'x' * 500}=1" for number in range(MAX_NAMED + 5))
    async with http(own()) as client:
        problem = (await client.get(f"/thing?{query}")).json()
    assert len(problem["errors"]) == MAX_NAMED
    assert {len(item["field"]) for item in problem["errors"]} == {MAX_NAME}
    assert problem["detail"] == "Known are: of-size. 5 more are unknown."
