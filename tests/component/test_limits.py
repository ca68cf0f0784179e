"""What a request may take of a process, on a real uvicorn: bodies, headers, connections, event streams."""

import asyncio
import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated, Any

import httpx
import psutil
import pytest
import uvicorn
from fastapi import APIRouter, Depends, FastAPI, Form, UploadFile
from fastapi.responses import StreamingResponse
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Mount, Route

from cli.stack.ports import free_port
from shared.runtime import connection_limits, rate_limits, request_limits, service
from shared.runtime.authentication import ApiToken, ApiTokens, Authenticator, Caller, token_digest
from shared.runtime.problems import ProblemError
from shared.runtime.rate_limits import RateLimit, TokenBucket
from shared.runtime.request_limits import (
    KB,
    MB,
    EventStreamLimit,
    InFlightBytes,
    RequestLimitMiddleware,
    limit_endpoint,
)
from shared.runtime.service import create_app, make_server
from tests.support.stack import until

pytestmark = pytest.mark.slow

KNOWN = {"Authorization": "Bearer known"}
GRANTS = ApiTokens(tokens=(ApiToken(subject="machine", role="ingest", sha256=token_digest("known")),))


def make_app() -> FastAPI:
    app = create_app([])
    guard = Authenticator(GRANTS)
    for add in (add_bodies, add_streams):
        router = APIRouter()
        add(router, guard)
        app.include_router(router)

    async def sandbox(request: Request) -> PlainTextResponse:
        return PlainTextResponse(str(len(await request.body())))

    within = [Route("/Binary", limit_endpoint(8 * MB)(sandbox), methods=["POST"])]
    app.mount("/", Starlette(routes=[Mount("/fhir", routes=within)]))
    return app


def add_bodies(router: APIRouter, guard: Authenticator) -> None:
    caller = Annotated[Caller, Depends(guard.require("ingest"))]
    operator = Annotated[Caller, Depends(guard.require("operator"))]

    @router.post("/small")
    async def small(body: dict[str, Any], _: caller) -> int:
        return len(json.dumps(body))

    @router.post("/large")
    @limit_endpoint(8 * MB)
    async def large(body: dict[str, Any], _: caller) -> int:
        return len(json.dumps(body))

    @router.post("/files")
    @limit_endpoint(8 * MB, RateLimit("uploads", 3, 0.001))
    async def files(file: UploadFile, _: caller) -> int:
        return len(await file.read())

    @router.post("/form")
    async def form(token: Annotated[str, Form()] = "") -> int:
        return len(token)

    @router.post("/text")
    @limit_endpoint(8 * MB)
    async def text(text: Annotated[str, Form()], _: caller) -> int:
        return len(text)

    @router.post("/operators")
    async def operators(body: dict[str, Any], _: operator) -> int:
        return len(body)


def add_streams(router: APIRouter, guard: Authenticator) -> None:
    caller, streams = Annotated[Caller, Depends(guard.require("ingest"))], EventStreamLimit()

    @router.get("/events")
    async def events(_: caller, __: Annotated[None, Depends(streams)]) -> StreamingResponse:
        async def beats() -> AsyncIterator[str]:
            yield "event: changed\n\n"
            await asyncio.Event().wait()

        return StreamingResponse(beats(), media_type="text/event-stream")

    @router.get("/much")
    async def much(_: caller) -> StreamingResponse:
        async def lots() -> AsyncIterator[bytes]:
            while True:
                yield bytes(MB)
                await asyncio.sleep(0)

        return StreamingResponse(lots())


async def _started(server: uvicorn.Server) -> bool:
    return server.started


@asynccontextmanager
async def serving(app: FastAPI) -> AsyncIterator[int]:
    port = free_port()
    server = make_server(app, "127.0.0.1", port)
    server.config.lifespan = "off"
    task = asyncio.create_task(server._serve())
    await until(lambda: _started(server), "the server to start")
    try:
        yield port
    finally:
        server.should_exit = server.force_exit = True
        await task


@pytest.fixture
async def port(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[int]:
    monkeypatch.setattr(connection_limits, "LINGER_S", 0.2)
    async with serving(make_app()) as found:
        yield found


def head(path: str, token: str = "", **headers: object) -> bytes:
    lines = [f"POST {path} HTTP/1.1", "Host: x", *(f"{name.replace('_', '-')}: {headers[name]}" for name in headers)]
    if token:
        lines.append(f"Authorization: Bearer {token}")
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


async def raw(port: int, *parts: bytes) -> tuple[bytes, float]:
    """What the server answers before it closes the connection, and after how long."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    began = time.monotonic()
    for part in parts:
        writer.write(part)
    answer = await asyncio.wait_for(reader.read(), 20)
    writer.close()
    return answer, time.monotonic() - began


def status(answer: bytes) -> int:
    return int(answer.split(b" ", 2)[1])


def problem(answer: bytes) -> dict[str, Any]:
    headers, _, body = answer.partition(b"\r\n\r\n")
    assert b"application/problem+json" in headers.lower()
    found: dict[str, Any] = json.loads(body)
    return found


JSON = {"Content_Type": "application/json"}


@pytest.mark.parametrize("path", ["/small", "/large", "/operators"])
@pytest.mark.parametrize("token", ["", "unknown"])
async def test_who_is_not_known_is_told_so_before_a_byte_of_the_body_is_sent(port: int, path: str, token: str) -> None:
    answer, _ = await raw(port, head(path, token, Content_Length=300 * MB, **JSON))
    assert status(answer) == 401
    assert problem(answer)["title"] == "A bearer token is needed"
    chunked, _ = await raw(port, head(path, token, Transfer_Encoding="chunked", **JSON))
    assert status(chunked) == 401
    form, _ = await raw(
        port, head("/files", token, Content_Length=300 * MB, Content_Type="multipart/form-data; boundary=x")
    )
    assert status(form) == 401


async def test_a_role_too_low_is_refused_before_the_body(port: int) -> None:
    answer, _ = await raw(port, head("/operators", "known", Content_Length=300 * MB, **JSON))
    assert status(answer) == 403


@pytest.mark.usefixtures("prompt_gc")
async def test_a_body_that_nobody_may_send_is_kept_nowhere(port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """300 MB without a token took the process to a gigabyte."""
    monkeypatch.setattr(connection_limits, "LINGER_S", 20.0)
    before = psutil.Process().memory_info().rss

    async def endless() -> AsyncIterator[bytes]:
        for _ in range(300):
            yield bytes(MB)

    url = f"http://127.0.0.1:{port}/large"
    async with httpx.AsyncClient(timeout=30) as http:
        answer = await http.post(url, content=endless(), headers={"Content-Type": "application/json"})
    assert answer.status_code == 401
    assert psutil.Process().memory_info().rss - before < 60 * MB


async def test_a_body_is_as_large_as_its_route_says(port: int) -> None:
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", headers=KNOWN, timeout=30) as http:
        for path, most in (("/small", request_limits.DEFAULT_MAX_BODY_BYTES), ("/large", 8 * MB)):
            assert (await http.post(path, json={"x": "y" * (most - 100)})).status_code == 200
            refused = await http.post(path, json={"x": "y" * most})
            assert refused.status_code == 413
            assert refused.headers["content-type"] == "application/problem+json"
            assert refused.json() == {
                "type": "about:blank",
                "title": "The body is too large",
                "status": 413,
                "detail": f"At most {most // KB} KB are taken here.",
            }
        assert (await http.post("/files", files={"file": ("x.md", bytes(8 * MB))})).status_code == 413
        assert (await http.post("/files", files={"file": ("x.md", bytes(7 * MB))})).json() == 7 * MB
        assert (
            await http.post("/form", data={"token": "x" * request_limits.DEFAULT_MAX_BODY_BYTES})
        ).status_code == 413
        assert (await http.post("/fhir/Binary", content=bytes(7 * MB))).text == str(7 * MB)
        assert (await http.post("/fhir/Binary", content=bytes(9 * MB))).status_code == 413


async def test_a_long_text_is_sent_as_multipart_form_data(port: int) -> None:
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", headers=KNOWN, timeout=30) as http:
        long = "\u00e9" * 200_000
        assert (await http.post("/text", files={"text": (None, long)})).json() == 200_000
        assert (await http.post("/text", data={"text": "\u00e9" * 5_000})).json() == 5_000
        refused = await http.post("/text", data={"text": long})  # 1.2 MB, which took 170 ms to decode
        assert refused.status_code == 413
        assert refused.json()["detail"] == "A form of more than 64 KB is sent as multipart/form-data."


async def test_a_body_without_a_declared_size_is_counted(port: int) -> None:
    chunk = b"%x\r\n%s\r\n" % (32 * KB, b"x" * 32 * KB)
    sent = [head("/small", "known", Transfer_Encoding="chunked", **JSON), *[chunk] * 4]
    answer, _ = await raw(port, *sent)
    assert status(answer) == 413


async def test_a_body_that_comes_byte_by_byte_has_a_deadline(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection_limits, "LINGER_S", 0.2)
    app = make_app()
    app.user_middleware = [item for item in app.user_middleware if item.cls is not RequestLimitMiddleware]
    app.add_middleware(RequestLimitMiddleware, grace=0.5)
    async with serving(app) as port:
        answer, took = await raw(port, head("/small", "known", Content_Length=100, **JSON), b'{"x')
        assert status(answer) == 408
        assert problem(answer)["title"] == "The body arrived too slowly"
        assert took < 5
        form = head("/form", Content_Length=100, Content_Type="application/x-www-form-urlencoded")
        answer, _ = await raw(port, form, b"token=x")
        assert status(answer) == 408


@pytest.mark.parametrize("begun", [b"POST /small HTTP/1.1\r\nHost: x\r\nX-Slow: ", b"GE", b""])
async def test_headers_that_do_not_end_have_a_deadline(
    port: int, monkeypatch: pytest.MonkeyPatch, begun: bytes
) -> None:
    monkeypatch.setattr(connection_limits, "HEADER_TIMEOUT_S", 0.3)
    answer, took = await raw(port, begun)
    assert took < 5
    assert (status(answer) == 408) if begun else (answer == b"")


async def test_a_second_request_of_a_connection_has_the_same_deadline(
    port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection_limits, "HEADER_TIMEOUT_S", 0.3)
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
    assert status(await reader.readuntil(b'{"status":"ok"}')) == 200
    writer.write(b"GET /hea")
    assert status(await asyncio.wait_for(reader.read(), 4)) == 408  # uvicorn closes what is idle after 5 s
    writer.close()


@pytest.mark.parametrize("many", [b"X-A: " + b"y" * 600_000, b"X-A: y\r\n" * 80_000])
async def test_headers_have_a_size(port: int, many: bytes) -> None:
    answer, _ = await raw(port, b"POST /small HTTP/1.1\r\nHost: x\r\n" + many)
    assert status(answer) == 431


async def test_an_answer_that_nobody_takes_ends_its_connection(port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection_limits, "WRITE_STALL_TIMEOUT_S", 0.3)
    _, writer = await asyncio.open_connection("127.0.0.1", port, limit=KB)
    writer.write(head("/much", "known").replace(b"POST", b"GET"))
    await until(lambda: _unconnected(port), "the connection to be given up")
    writer.close()


async def _unconnected(port: int) -> bool:
    found = psutil.Process().net_connections("tcp")
    return not any(item.laddr.port == port and item.status == psutil.CONN_ESTABLISHED for item in found)


async def test_bodies_in_flight_are_bounded_together() -> None:
    app = make_app()
    app.user_middleware = [item for item in app.user_middleware if item.cls is not RequestLimitMiddleware]
    in_flight = InFlightBytes(100 * KB)
    app.add_middleware(RequestLimitMiddleware, in_flight=in_flight)
    async with serving(app) as port:
        _, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(head("/small", "known", Content_Length=60 * KB, **JSON) + b" " * 50 * KB)
        await until(lambda: _held(in_flight, 50 * KB), "the first body to be held")
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", headers=KNOWN) as http:
            refused = await http.post("/small", json={"x": "y" * 60 * KB})
            assert (refused.status_code, refused.headers["retry-after"]) == (503, "5")
            writer.close()
            await until(lambda: _held(in_flight, 0), "the first body to be let go")
            assert (await http.post("/small", json={"x": "y" * 60 * KB})).status_code == 200
    assert in_flight.bytes == 0


async def _held(in_flight: InFlightBytes, wanted: int) -> bool:
    return in_flight.bytes == wanted


async def test_event_streams_of_one_person_are_counted_and_end(port: int) -> None:
    request = head("/events", "known").replace(b"POST", b"GET")
    opened = []
    for _ in range(request_limits.MAX_STREAMS_PER_CALLER):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(request)
        await reader.readuntil(b"changed")
        opened.append(writer)
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", headers=KNOWN) as http:
        refused = await http.get("/events")
        assert (refused.status_code, refused.json()["title"]) == (429, "Too many open pages")
        opened.pop().close()

        async def again() -> bool:
            async with http.stream("GET", "/events") as answer:
                return answer.status_code == 200

        await until(again, "a place to be free")
    for writer in opened:
        writer.close()


async def test_a_route_with_a_rate_answers_429_before_the_body(port: int) -> None:
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", headers=KNOWN) as http:
        for _ in range(3):
            assert (await http.post("/files", files={"file": ("x.md", b"x")})).status_code == 200
        refused = await http.post("/files", files={"file": ("x.md", b"x")})
        assert refused.status_code == 429
        assert int(refused.headers["retry-after"]) > 0
    answer, _ = await raw(
        port, head("/files", "known", Content_Length=MB, Content_Type="multipart/form-data; boundary=x")
    )
    assert status(answer) == 429


async def test_connections_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    assert service.UVICORN_DEFAULTS["limit_concurrency"] == connection_limits.MAX_CONNECTIONS
    monkeypatch.setitem(service.UVICORN_DEFAULTS, "limit_concurrency", 3)
    async with serving(make_app()) as port:
        held = [await asyncio.open_connection("127.0.0.1", port) for _ in range(3)]
        async with httpx.AsyncClient() as http:
            assert (await http.get(f"http://127.0.0.1:{port}/healthz")).status_code == 503
        for _, writer in held:
            writer.close()


def test_a_rate_lets_a_burst_through_and_then_its_pace() -> None:
    now = [0.0]
    rate = TokenBucket("x", 3, 0.5, lambda: now[0])
    for _ in range(3):
        rate.take("a")
    with pytest.raises(ProblemError) as refused:
        rate.take("a")
    assert (refused.value.status, refused.value.headers["Retry-After"]) == (429, "2")
    rate.take("b")
    now[0] = 2.0
    rate.take("a")
    with pytest.raises(ProblemError):
        rate.take("a")


async def test_an_answer_says_what_the_limit_leaves(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rate_limits, "REFUSAL_DELAY_S", 0)
    app, twice = create_app([]), RateLimit("twice", 2, 0.01)

    @app.post("/rated", dependencies=[Depends(twice)])
    async def rated() -> None: ...

    @app.post("/limited")
    @limit_endpoint(rate=twice)
    async def limited(file: UploadFile) -> None: ...

    @app.post("/free")
    async def free() -> None: ...

    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://x") as http:
        answers = [await http.post("/rated"), await http.post("/limited", files={"file": b"x"})]
        answers.append(await http.post("/rated"))
        other = await http.post("/free")
    assert [item.status_code for item in answers] == [200, 200, 429]
    assert {item.headers["RateLimit-Policy"] for item in answers} == {'"twice";q=2;w=200'}
    assert [item.headers["RateLimit"].partition(";t=")[0] for item in answers] == [f'"twice";r={n}' for n in (1, 0, 0)]
    assert "RateLimit" not in other.headers


def test_a_rate_remembers_only_so_many(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rate_limits, "MAX_TRACKED_KEYS", 10)
    rate = TokenBucket("x", 3, 0.5, lambda: 0.0)
    for number in range(100):
        rate.take(str(number))
    assert len(rate._left) == 10


@pytest.mark.parametrize(
    ("client", "key"),
    [
        (("10.0.0.1", 5), "address 10.0.0.1"),
        (("2001:db8:1:2:3:4:5:6", 5), "network 2001:0db8:0001:0002"),
        (None, "address "),
        (("testclient", 1), "address testclient"),
    ],
)
def test_who_is_counted_together(client: tuple[str, int] | None, key: str) -> None:
    assert rate_limits.rate_limit_key({"type": "http", "client": client}) == key
