"""Who may call, and how errors are answered: problem details that name fields and never quote values."""

import json
from pathlib import Path

import httpx
import pytest
from fastapi import APIRouter, Depends, FastAPI
from pydantic import BaseModel

from shared.contracts.errors import PermanentError, RateLimitedError, TransientError
from shared.runtime import problems
from shared.runtime.authentication import (
    SESSION_COOKIE,
    ApiToken,
    ApiTokens,
    Authenticator,
    Caller,
    read_api_tokens,
    token_digest,
)

GRANTS = ApiTokens(tokens=(ApiToken(sha256=token_digest("secret"), subject="dr-1", role="physician"),))
FAILURES = {
    "transient": TransientError("read Patient: HTTP 500"),
    "limited": RateLimitedError("read Patient: HTTP 429", 30),
    "permanent": PermanentError("read Patient: HTTP 400"),
}


class OneSession:
    """A browser whose session is called `secret`."""

    def __init__(self) -> None:
        self.touched: list[bool] = []

    async def caller(self, id: str, *, touch: bool = True) -> Caller | None:
        self.touched.append(touch)
        return GRANTS.tokens[0] if id == "secret" else None


class Body(BaseModel):
    when: int


def app() -> FastAPI:
    router = APIRouter()
    guard = Authenticator(GRANTS, sessions=OneSession())

    @router.get("/mine", dependencies=[Depends(guard.require("physician"))])
    @router.post("/mine", dependencies=[Depends(guard.require("physician"))])
    async def mine() -> str:
        return "ok"

    @router.get("/audit", dependencies=[Depends(guard.require("auditor"))])
    async def audit() -> str:
        return "ok"

    @router.post("/body")
    async def body(sent: Body) -> int:
        return sent.when

    @router.get("/fail/{kind}")
    async def fail(kind: str) -> None:
        raise FAILURES[kind]

    made = FastAPI()
    problems.install_error_handlers(made)
    made.include_router(router)
    return made


def http() -> httpx.AsyncClient:
    return httpx.AsyncClient(transport=httpx.ASGITransport(app()), base_url="http://x")


BEARER = {"Authorization": "Bearer secret"}


@pytest.mark.parametrize(
    ("method", "path", "headers", "status"),
    [
        ("GET", "/mine", BEARER, 200),
        ("GET", "/mine", {"Authorization": "bearer secret"}, 200),
        ("GET", "/mine", {}, 401),
        ("GET", "/mine", {"Authorization": "Bearer wrong"}, 401),
        ("GET", "/audit", BEARER, 403),
        ("GET", "/mine", {"Cookie": f"{SESSION_COOKIE}=secret"}, 200),
        ("POST", "/mine", {"Cookie": f"{SESSION_COOKIE}=secret"}, 403),
        ("POST", "/mine", {"Cookie": f"{SESSION_COOKIE}=secret", "Origin": "http://evil"}, 403),
        ("POST", "/mine", {"Cookie": f"{SESSION_COOKIE}=secret", "Origin": "http://x"}, 200),
        ("POST", "/mine", BEARER, 200),
        ("GET", "/nowhere", {}, 404),
        ("GET", "/fail/transient", {}, 503),
        ("GET", "/fail/limited", {}, 503),
        ("GET", "/fail/permanent", {}, 502),
    ],
)
async def test_answers(method: str, path: str, headers: dict[str, str], status: int) -> None:
    async with http() as client:
        response = await client.request(method, path, headers=headers)
    assert response.status_code == status
    if status >= 400:
        assert response.headers["content-type"] == problems.MEDIA_TYPE
        assert response.json()["status"] == status
        assert response.json()["title"]
    if status == 401:
        assert response.headers["www-authenticate"].startswith("Bearer")
    if path == "/fail/limited":
        assert response.headers["retry-after"] == "30"


@pytest.mark.parametrize("sent", [b"{}", b'{"when": "Jane Doe"}', b"junk", b"[]", b""])
async def test_bad_bodies_are_answered_by_field_and_not_quoted(sent: bytes) -> None:
    async with http() as client:
        response = await client.post("/body", content=sent, headers={"Content-Type": "application/json"})
    assert response.status_code == 422
    problem = response.json()
    assert problem["errors"][0]["field"] in ("when", "body", "1", "0")
    assert "Jane" not in response.text


@pytest.mark.parametrize("text", ["", "junk", "{}", json.dumps({"tokens": [{"sha256": "x"}]})])
def test_a_broken_tokens_file_stops_the_service(tmp_path: Path, text: str) -> None:
    file = tmp_path / "tokens.json"
    file.write_text(text)
    with pytest.raises(PermanentError, match="tokens file"):
        read_api_tokens(file)
    with pytest.raises(PermanentError, match="cannot be read"):
        read_api_tokens(tmp_path / "missing.json")
