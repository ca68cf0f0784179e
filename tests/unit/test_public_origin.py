"""Whose pages a request comes from, and what every answer says. Proxies end TLS in front of us."""

import asyncio
import time
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from fastapi import APIRouter, Depends, FastAPI, Request
from fastapi.responses import StreamingResponse

from cli.stack.ports import free_port
from shared.runtime import problems, service
from shared.runtime.authentication import SESSION_COOKIE, Authenticator
from shared.runtime.public_origin import PublicOrigin, SecurityHeadersMiddleware, origin_of
from shared.runtime.service import make_server
from tests.support.stack import until
from tests.unit.test_http import GRANTS, OneSession

PROXIED = PublicOrigin("https://review.hospital.example/", ("https://inbox.intranet.example:8443",))
HOST = {"Host": "review.hospital.example"}


def app(public: PublicOrigin, sessions: OneSession | None = None) -> FastAPI:
    router = APIRouter()
    guard = Authenticator(GRANTS, sessions=sessions or OneSession(), public=public)

    @router.get("/mine", dependencies=[Depends(guard.require("physician"))])
    @router.post("/mine", dependencies=[Depends(guard.require("physician"))])
    async def mine() -> str:
        return "ok"

    made = FastAPI()
    problems.install_error_handlers(made)
    made.add_middleware(SecurityHeadersMiddleware, hsts=public.secure)
    made.include_router(router)
    return made


def http(public: PublicOrigin, sessions: OneSession | None = None) -> httpx.AsyncClient:
    return httpx.AsyncClient(transport=httpx.ASGITransport(app(public, sessions)), base_url="http://approval:8080")


@pytest.mark.parametrize(
    ("url", "origin"),
    [
        ("https://Review.Hospital.example/inbox", "https://review.hospital.example"),
        ("https://review.hospital.example:443", "https://review.hospital.example"),
        ("http://127.0.0.1:8080/", "http://127.0.0.1:8080"),
        ("https://[2001:db8::1]:8443/x", "https://[2001:db8::1]:8443"),
        ("review.hospital.example", ""),
        ("", ""),
    ],
)
def test_the_origin_of_an_address(url: str, origin: str) -> None:
    assert origin_of(url) == origin


@pytest.mark.parametrize(
    ("host", "origin"),
    [
        ("review.hospital.example", "https://review.hospital.example"),
        ("Review.Hospital.example", "https://review.hospital.example"),
        ("inbox.intranet.example:8443", "https://inbox.intranet.example:8443"),
        ("127.0.0.1:8080", "http://127.0.0.1:8080"),  # a forwarded port
        ("localhost", "http://localhost"),
        ("[::1]:9000", "http://[::1]:9000"),
        ("inbox.intranet.example", "https://review.hospital.example"),
        ("evil.example", "https://review.hospital.example"),
        ("localhost.evil.example", "https://review.hospital.example"),
        ('127.0.0.1", x="', "https://review.hospital.example"),
        ("127.0.0.1:99999", "https://review.hospital.example"),
        ("evil@127.0.0.1", "http://127.0.0.1"),
        ("", "https://review.hospital.example"),
    ],
)
def test_the_origin_that_a_caller_addresses_is_one_of_ours(host: str, origin: str) -> None:
    request = Request({"type": "http", "headers": [(b"host", host.encode())]})
    assert PROXIED.requested(request) == origin
    assert PROXIED.challenge(request) == f'resource_metadata="{origin}/.well-known/oauth-protected-resource"'
    if "hospital" in origin:
        assert PublicOrigin().challenge(request) == ""


@pytest.mark.parametrize(
    ("public", "origin", "status"),
    [
        (PROXIED, "https://review.hospital.example", 200),  # what the browser sees, though HTTP reaches us
        (PROXIED, "https://inbox.intranet.example:8443", 200),
        (PROXIED, "http://review.hospital.example", 403),  # the same host without TLS is not our page
        (PROXIED, "https://review.hospital.example.evil.test", 403),
        (PROXIED, "null", 403),
        (PROXIED, None, 403),
        (PublicOrigin("http://127.0.0.1:8080"), "http://review.hospital.example", 200),  # as the request came
        (PublicOrigin("http://127.0.0.1:8080"), "http://127.0.0.1:8080", 200),
        (PublicOrigin("http://127.0.0.1:8080"), "http://evil.test", 403),
        (PublicOrigin(), "http://review.hospital.example", 200),
        (PublicOrigin(), "", 403),
    ],
)
@pytest.mark.parametrize("claim", [{}, {"X-Forwarded-Proto": "http", "X-Forwarded-Host": "evil.test"}])
async def test_only_our_own_pages_use_a_session(
    public: PublicOrigin, origin: str | None, status: int, claim: dict[str, str]
) -> None:
    """What a proxy, or anybody in its place, claims in headers changes nothing."""
    sent = HOST | claim | ({"Origin": origin} if origin is not None else {})
    async with http(public) as client:
        client.cookies.set(public.cookie_name(SESSION_COOKIE), "secret")
        assert (await client.post("/mine", headers=sent)).status_code == status
        assert (await client.get("/mine", headers=HOST)).status_code == 200


async def test_a_session_behind_tls_has_a_name_that_no_other_host_can_plant() -> None:
    async with http(PROXIED) as client:
        client.cookies.set(SESSION_COOKIE, "secret")
        assert (await client.get("/mine")).status_code == 401
    assert PROXIED.cookie_name(SESSION_COOKIE).startswith("__Host-")


async def test_no_answer_may_be_kept_and_browsers_come_back_by_tls() -> None:
    for public, hsts in ((PROXIED, "max-age=31536000"), (PublicOrigin(), None)):
        async with http(public) as client:
            for path in ("/mine", "/nowhere"):
                answer = await client.get(path, headers={"Authorization": "Bearer secret"})
                assert answer.headers["cache-control"] == "no-store"
                assert answer.headers["x-content-type-options"] == "nosniff"
                assert answer.headers["referrer-policy"] == "no-referrer"
                policy = answer.headers["content-security-policy"]
                for directive in ("default-src", "object-src", "base-uri", "frame-ancestors"):
                    assert f"{directive} 'none'" in policy
                assert answer.headers.get("strict-transport-security") == hsts


@pytest.mark.parametrize("method", ["TRACE", "TRACK", "PATCH", "PUT", "DELETE", "OPTIONS"])
async def test_methods_that_a_route_does_not_name_are_refused(method: str) -> None:
    async with http(PROXIED) as client:
        assert (await client.request(method, "/mine")).status_code == 405


@pytest.mark.parametrize(
    ("headers", "used"),
    [({}, True), ({"Accept": "text/event-stream"}, False), ({"Countersign-Background": "1"}, False)],
)
async def test_what_a_page_asks_by_itself_uses_no_session(headers: dict[str, str], used: bool) -> None:
    sessions = OneSession()
    async with http(PublicOrigin(), sessions) as client:
        client.cookies.set(SESSION_COOKIE, "secret")
        assert (await client.get("/mine", headers=headers)).status_code == 200
    assert sessions.touched == [used]


async def test_an_open_stream_does_not_keep_a_service_from_stopping(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(service, "GRACEFUL_SHUTDOWN_S", 1)
    made, stopped, port = FastAPI(), asyncio.Event(), free_port()

    async def for_ever() -> AsyncIterator[bytes]:
        while True:
            yield b": still here\n\n"
            await asyncio.sleep(0.05)

    @made.get("/events")
    async def events() -> Any:
        return StreamingResponse(for_ever(), media_type="text/event-stream")

    server = make_server(made, "127.0.0.1", port)
    serving = asyncio.create_task(server.serve())
    serving.add_done_callback(lambda _: stopped.set())
    await until(lambda: asyncio.sleep(0, server.started), "the server")
    async with httpx.AsyncClient() as client, client.stream("GET", f"http://127.0.0.1:{port}/events") as answer:
        await anext(answer.aiter_bytes())
        began = time.monotonic()
        server.should_exit = True
        await asyncio.wait_for(stopped.wait(), 20)
    assert time.monotonic() - began < 10
