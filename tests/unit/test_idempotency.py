"""`Idempotency-Key`: every POST of the APIs takes one, and what happens to a request whose key is known."""

from datetime import timedelta
from typing import Annotated, Any

import httpx
import pytest
from fastapi import APIRouter, Depends, FastAPI, Request
from fastapi.responses import StreamingResponse
from pydantic import BaseModel

from docs._generate.http_api import SERVICES, application
from shared.contracts.errors import TransientError
from shared.messaging.connection import WrongSequenceError
from shared.messaging.idempotency_store import (
    LOST_AFTER,
    Claim,
    IdempotencyStore,
    KeyedRequest,
    KeyReusedError,
    RequestInProgressError,
    verdict,
)
from shared.runtime import problems
from shared.runtime.api_route import ApiRoute, stores_answers
from shared.runtime.authentication import ApiToken, ApiTokens, Authenticator, Caller, RequireRole, token_digest
from shared.runtime.dependencies import mount
from shared.runtime.idempotency import TAKES_KEY, declares_key
from shared.runtime.problems import ProblemError
from tests.support.examples import T0

# What takes no key: it reads only, or what it stores is the same however often it is sent.
WITHOUT = {"/v1/access/search", "/v1/cases/search", "/v1/fhir/notifications", "/v1/knowledge/documents"}


def test_every_post_takes_a_key_or_is_listed() -> None:
    routes = [
        route
        for name in SERVICES
        for route in application(name).routes
        if isinstance(route, ApiRoute) and "POST" in route.methods
    ]
    assert len(routes) > 40
    without = {item.path for item in routes if not stores_answers(item.dependant) and not declares_key(item.endpoint)}
    assert without == WITHOUT


@pytest.mark.parametrize(
    ("state", "fingerprint", "age", "expected"),
    [
        ("answered", "a", timedelta(hours=1), "answered"),
        ("answered", "b", timedelta(hours=1), "other"),
        ("running", "a", LOST_AFTER, "running"),
        ("running", "b", LOST_AFTER, "other"),
        ("running", "a", LOST_AFTER + timedelta(seconds=1), "run"),
        ("released", "b", timedelta(0), "run"),
    ],
)
def test_what_becomes_of_a_known_key(state: Any, fingerprint: str, age: timedelta, expected: str) -> None:
    stored = KeyedRequest(fingerprint="a", state=state, since=T0)
    assert verdict(stored, fingerprint, T0 + age) == expected


class FakeAnswers(IdempotencyStore):
    """Answers in memory; `fails`: they cannot be stored."""

    def __init__(self) -> None:
        self.entries: dict[str, tuple[str, tuple[int, dict[str, str], bytes] | None]] = {}
        self.fails: Exception | None = None

    async def claim(self, name: str, fingerprint: str) -> Claim | tuple[int, dict[str, str], bytes]:
        if name in self.entries:
            known, answer = self.entries[name]
            if known != fingerprint:
                raise KeyReusedError
            if answer is None:
                raise RequestInProgressError
            return answer
        self.entries[name] = fingerprint, None
        return Claim(name, fingerprint, 1)

    async def store(self, claim: Claim, status: int, headers: dict[str, str], body: bytes) -> None:
        if self.fails is not None:
            raise self.fails
        self.entries[claim.key] = claim.fingerprint, (status, headers, body)

    async def release(self, claim: Claim) -> None:
        del self.entries[claim.key]


class Thing(BaseModel):
    name: str


def guard() -> RequireRole:
    return RequireRole(lambda request: request.app.state.tokens, ("operator",))


Operator = Annotated[Caller, Depends(guard())]
router = APIRouter(route_class=ApiRoute)


@router.post("/things", status_code=201)
async def make(
    thing: Thing, _: Operator, request: Request, operation: Annotated[str | None, Depends(TAKES_KEY)]
) -> Any:
    request.app.state.made.append(operation)
    if thing.name == "refused":
        raise ProblemError(409, "No")
    return {"number": len(request.app.state.made)}


@router.post("/streams")
async def stream(_: Operator, request: Request) -> StreamingResponse:
    request.app.state.made.append("stream")
    return StreamingResponse(iter([b"1"]))


@pytest.fixture
def app() -> FastAPI:
    found = FastAPI()
    problems.install_error_handlers(found)
    names = ("ann", "bob")
    found.state.tokens = Authenticator(
        ApiTokens(tokens=tuple(ApiToken(subject=x, role="operator", sha256=token_digest(x)) for x in names))
    )
    found.state.made = []
    found.state.answers = FakeAnswers()
    found.state.provided = {IdempotencyStore: found.state.answers}
    mount(found, router)
    return found


async def post(
    app: FastAPI, name: str, key: str | None = "k", who: str = "ann", path: str = "/things"
) -> httpx.Response:
    headers = {"Authorization": f"Bearer {who}"} | ({"Idempotency-Key": key} if key is not None else {})
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://x") as http:
        return await http.post(path, json={"name": name}, headers=headers)


async def test_a_repeated_request_gets_the_first_answer(app: FastAPI) -> None:
    first, again = await post(app, "a"), await post(app, "a")
    assert (first.status_code, first.content, first.headers["content-type"]) == (
        again.status_code,
        again.content,
        again.headers["content-type"],
    )
    assert first.status_code == 201
    assert len(app.state.made) == 1
    assert app.state.made[0]


async def test_keys_are_of_a_person_and_a_path(app: FastAPI) -> None:
    assert [(await post(app, "a", who=who)).json()["number"] for who in ("ann", "bob")] == [1, 2]
    assert (await post(app, "a", path="/streams")).content == b"1"
    assert (await post(app, "a", key="other")).json()["number"] == 4
    assert all("ann" not in name and "things" not in name for name in app.state.answers.entries)
    assert len(set(app.state.made)) == 4


async def test_without_a_key_nothing_is_stored(app: FastAPI) -> None:
    assert [(await post(app, "a", key=None)).json()["number"] for _ in range(2)] == [1, 2]
    assert app.state.made == [None, None]
    assert app.state.answers.entries == {}


@pytest.mark.parametrize("key", ["", "k" * 256])
async def test_a_key_that_is_none_is_refused(app: FastAPI, key: str) -> None:
    answer = await post(app, "a", key=key)
    assert (answer.status_code, answer.json()["errors"][0]["field"]) == (422, "Idempotency-Key")


async def test_another_request_with_the_key_is_refused(app: FastAPI) -> None:
    await post(app, "a")
    answer = await post(app, "b")
    assert (answer.status_code, "Idempotency-Key" in answer.json()["title"]) == (422, True)
    assert len(app.state.made) == 1


async def test_one_that_still_runs_says_when_to_come_back(app: FastAPI) -> None:
    await post(app, "a")
    ((name, (fingerprint, _)),) = app.state.answers.entries.items()
    app.state.answers.entries[name] = fingerprint, None
    answer = await post(app, "a")
    assert (answer.status_code, answer.headers["Retry-After"]) == (409, "1")


async def test_a_refusal_is_evaluated_again(app: FastAPI) -> None:
    assert [(await post(app, "refused")).status_code for _ in range(2)] == [409, 409]
    assert len(app.state.made) == 2
    assert (await post(app, "a")).status_code == 201


async def test_a_stream_is_not_stored(app: FastAPI) -> None:
    for _ in range(2):
        assert (await post(app, "", path="/streams")).status_code == 200
    assert app.state.made == ["stream", "stream"]


@pytest.mark.parametrize("failure", [TransientError("NATS does not answer"), WrongSequenceError()])
async def test_what_was_done_is_answered_where_it_cannot_be_stored(app: FastAPI, failure: Exception) -> None:
    app.state.answers.fails = failure
    assert (await post(app, "a")).status_code == 201
    assert (await post(app, "a")).status_code == 409


async def test_who_may_not_do_it_gets_no_stored_answer(app: FastAPI) -> None:
    await post(app, "a")
    assert (await post(app, "a", who="eve")).status_code == 401
