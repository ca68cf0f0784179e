"""Routes are built once a process; what they work with belongs to one application."""

from dataclasses import dataclass
from typing import Annotated

import httpx
import pytest
from fastapi import APIRouter, Depends, FastAPI, Request

from shared.runtime import problems
from shared.runtime import rate_limits as rates
from shared.runtime.authentication import ApiToken, ApiTokens, Authenticator, Caller, RequireRole, token_digest
from shared.runtime.dependencies import mount, provide, provided
from shared.runtime.rate_limits import RateLimit
from shared.runtime.request_limits import RequestLimitMiddleware, limit_endpoint


@dataclass(frozen=True)
class Greeter:
    guard: Authenticator
    name: str


router = APIRouter()
ONCE = RateLimit("once", 1, 0.001)


async def _greeter(request: Request) -> Greeter:
    return provided(request, Greeter)


Operator = Annotated[Caller, Depends(RequireRole(lambda request: provided(request, Greeter).guard, ("operator",)))]


@router.get("/name")
async def name(greeter: Annotated[Greeter, Depends(_greeter)], who: Operator) -> str:
    return f"{greeter.name} {who.subject}"


@router.get("/once", dependencies=[Depends(ONCE)])
async def once() -> str:
    return "done"


@router.post("/once")
@limit_endpoint(rate=ONCE)
async def send_once(body: dict[str, int]) -> int:
    return len(body)


def application(name: str | None, token: str = "") -> httpx.AsyncClient:
    app = FastAPI()
    problems.install_error_handlers(app)
    app.add_middleware(RequestLimitMiddleware)
    if name is not None:
        grant = ApiToken(subject=f"of {name}", role="operator", sha256=token_digest(token))
        provide(app, Greeter(Authenticator(ApiTokens(tokens=(grant,))), name))
    mount(app, router)
    return httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://x")


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rates, "REFUSAL_DELAY_S", 0)


async def test_two_applications_work_with_objects_of_their_own() -> None:
    one, other = application("one", "1"), application("other", "2")
    for app, token, answer in ((one, "1", "one of one"), (other, "2", "other of other")):
        found = await app.get("/name", headers={"Authorization": f"Bearer {token}"})
        assert (found.status_code, found.json()) == (200, answer)
    assert (await other.get("/name", headers={"Authorization": "Bearer 1"})).status_code == 401


@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_two_applications_count_requests_by_themselves(method: str) -> None:
    sent = {"json": {}} if method == "POST" else {}
    one, other = application("one"), application("other")
    assert (await one.request(method, "/once", **sent)).status_code == 200
    assert (await one.request(method, "/once", **sent)).status_code == 429
    assert (await other.request(method, "/once", **sent)).status_code == 200


async def test_a_limit_is_one_count_for_every_route_that_declares_it() -> None:
    app = application("one")
    assert (await app.get("/once")).status_code == 200
    assert (await app.post("/once", json={})).status_code == 429


async def test_a_route_without_its_service_is_an_error_of_the_program() -> None:
    with pytest.raises(RuntimeError, match="provides no Greeter"):
        await application(None).get("/name")


def test_an_application_has_one_object_of_a_type() -> None:
    app, greeter = FastAPI(), Greeter(Authenticator(ApiTokens(tokens=())), "x")
    provide(app, greeter)
    with pytest.raises(ValueError, match="already"):
        provide(app, greeter)
