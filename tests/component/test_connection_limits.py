"""What many connections, or small bodies that are large in memory, may take of a process, on a real uvicorn."""

import asyncio
import json
import resource
from collections.abc import AsyncIterator
from contextlib import suppress

import httpx
import pytest

from shared.messaging.access_log import AccessLog
from shared.runtime import authentication, connection_limits, rate_limits, request_limits
from shared.runtime.health import Readiness
from shared.runtime.rate_limits import TokenBucket
from shared.runtime.request_limits import KB, MB
from tests.component.test_limits import JSON, KNOWN, head, make_app, problem, raw, serving, status
from tests.support import malicious_input
from tests.support.examples import T0
from tests.support.stack import until

pytestmark = pytest.mark.slow


@pytest.fixture
async def port(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[int]:
    monkeypatch.setattr(connection_limits, "LINGER_S", 0.2)
    monkeypatch.setattr(connection_limits, "HEADER_TIMEOUT_S", 1.0)
    async with serving(make_app()) as found:
        yield found


@pytest.mark.parametrize(
    "make",
    [
        malicious_input.wide_json,
        malicious_input.empty_objects,
        malicious_input.many_resources,
        malicious_input.deep_json,
    ],
)
async def test_a_body_of_very_many_values_is_refused_before_it_becomes_objects(port: int, make: object) -> None:
    """3 MB of unknown members took a service five seconds and 300 MB."""
    body = make(3 * MB)  # type: ignore[operator]
    answer, took = await raw(port, head("/large", "known", Content_Length=len(body), **JSON), body)
    assert status(answer) == 413
    assert problem(answer)["detail"] == f"At most {request_limits.DEFAULT_MAX_JSON_VALUES} values are taken here."
    assert took < 5


async def test_a_connection_whose_body_went_on_after_its_refusal_ends_too(
    port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection_limits, "HEADER_TIMEOUT_S", 0.3)
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(head("/small", Content_Length=4, **JSON))
    assert status(await reader.readuntil(b"}")) == 401
    writer.write(b"{}{}")
    assert await asyncio.wait_for(reader.read(), 3) == b""  # uvicorn closes what is idle after 5 s, and this never
    writer.close()


async def test_a_text_is_no_values(port: int) -> None:
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", headers=KNOWN) as http:
        answer = await http.post("/large", json={"text": 'one, [two], {three}, "four", \\five\\, ' * 20_000})
        assert answer.status_code == 200


async def test_values_count_as_what_they_are_in_memory() -> None:
    app = make_app()
    app.user_middleware = [
        item for item in app.user_middleware if item.cls is not request_limits.RequestLimitMiddleware
    ]
    in_flight = request_limits.InFlightBytes(90 * KB)
    app.add_middleware(request_limits.RequestLimitMiddleware, in_flight=in_flight)
    async with serving(app) as port:
        body = json.dumps({"x": [[]] * 900}).encode()
        answer, _ = await raw(port, head("/large", "known", Content_Length=len(body), Connection="close", **JSON), body)
        assert status(answer) == 413
        body = json.dumps({"x": [[]] * 480}).encode()
        answer, _ = await raw(port, head("/large", "known", Content_Length=len(body), Connection="close", **JSON), body)
        assert status(answer) == 503
    assert in_flight.bytes == 0


async def test_a_connection_has_only_so_many_requests_at_once(port: int) -> None:
    """256 KB of small requests were 14,000 of them, and 30 MB."""
    requests = b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"
    few, _ = await raw(port, requests * 15 + requests.replace(b"Host", b"Connection: close\r\nHost"))
    assert few.count(b"HTTP/1.1 200") == 16
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(requests * 7000)
    answered = b""
    with suppress(ConnectionResetError):  # what it did not read is thrown away with the connection
        while part := await asyncio.wait_for(reader.read(64 * KB), 5):
            answered += part
    assert answered.count(b"HTTP/1.1 200") <= connection_limits.MAX_PIPELINED_REQUESTS + 1
    writer.close()


async def test_who_sends_nothing_gives_way_when_it_is_crowded(port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection_limits, "EVICTION_THRESHOLD", 20)
    request = head("/events", "known").replace(b"POST", b"GET")
    listening = [await asyncio.open_connection("127.0.0.1", port) for _ in range(3)]
    for reader, writer in listening:
        writer.write(request)
        await reader.readuntil(b"changed")
    silent = [await asyncio.open_connection("127.0.0.1", port) for _ in range(30)]
    for number, (_, writer) in enumerate(silent):
        writer.write(b"GET / HTTP/1.1\r\nX-Slow: " if number % 2 else b"")
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}") as http:
        assert (await http.get("/healthz")).status_code == 200
    assert [await _is_closed(reader) for reader, _ in silent[:10]] == [True] * 10
    assert not any(reader.at_eof() for reader, _ in listening)
    for _, writer in (*silent, *listening):
        writer.close()


async def _is_closed(reader: asyncio.StreamReader) -> bool:
    try:
        return await asyncio.wait_for(reader.read(1), 2) == b""
    except ConnectionError:
        return True


async def test_slow_bodies_of_nobody_known_do_not_take_all_places(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection_limits, "LINGER_S", 0.2)
    monkeypatch.setattr(request_limits, "MAX_UNAUTHENTICATED_REQUESTS", 3)
    form = head("/form", Content_Length=100, Content_Type="application/x-www-form-urlencoded")
    app = make_app()
    app.user_middleware = [
        item for item in app.user_middleware if item.cls is not request_limits.RequestLimitMiddleware
    ]
    in_flight = request_limits.InFlightBytes()
    app.add_middleware(request_limits.RequestLimitMiddleware, in_flight=in_flight)
    async with serving(app) as port:
        slow = [await asyncio.open_connection("127.0.0.1", port) for _ in range(3)]
        for _, writer in slow:
            writer.write(form + b"token=")

        async def three() -> bool:
            return in_flight.strangers == 3

        await until(three, "three slow bodies")
        answer, _ = await raw(port, form)
        assert (status(answer), problem(answer)["title"]) == (503, "Too many bytes are being sent at once")
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", headers=KNOWN) as http:
            assert (await http.post("/small", json={})).status_code == 200
        for _, writer in slow:
            writer.close()

        async def none() -> bool:
            return in_flight.strangers == 0

        await until(none, "them to be let go")


@pytest.fixture
def held(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Seconds for which refusals were held."""
    found: list[float] = []

    async def note() -> None:
        found.append(rate_limits.REFUSAL_DELAY_S)

    monkeypatch.setattr(rate_limits, "delay_refusal", note)
    return found


async def test_who_guesses_tokens_waits_for_each_refusal(held: list[float], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(authentication, "DENIAL_BURST", 3)
    monkeypatch.setattr(authentication, "DENIALS_PER_S", 0.001)
    async with serving(make_app()) as port, httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}") as http:
        for number in range(6):
            answer = await http.post("/small", json={}, headers={"Authorization": f"Bearer {number}"})
            assert answer.status_code == 401
        assert (await http.post("/small", json={}, headers=KNOWN)).status_code == 200  # from the same address
    assert len(held) == 3


async def test_refusals_that_wait_are_bounded_together(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rate_limits, "MAX_DELAYED_REFUSALS", 5)
    monkeypatch.setattr(rate_limits, "REFUSAL_DELAY_S", 30.0)
    rate = TokenBucket("x", 1, 0.001)
    rate.take("a")
    waiting = [asyncio.create_task(rate.count_refusal("a")) for _ in range(7)]
    done, pending = await asyncio.wait(waiting, timeout=0.5)
    assert (len(done), len(pending)) == (2, 5)
    for task in pending:
        task.cancel()
    await asyncio.gather(*pending, return_exceptions=True)
    assert rate_limits._delayed == 0


def test_what_a_request_takes_is_counted_afterwards() -> None:
    now = [0.0]
    rate = TokenBucket("x", 3, 0.5, lambda: now[0])
    rate.spend("a", 10.0)
    with pytest.raises(Exception, match="Too many"):
        rate.check("a")
    rate.check("b")
    now[0] = 16.0
    rate.check("a")


async def test_the_dependencies_are_asked_once_a_second_whoever_asks() -> None:
    now, asked = [0.0], []

    async def check() -> bool:
        asked.append(now[0])
        return True

    ready = Readiness({"ehr": check}, lambda: now[0])
    for _ in range(20):
        assert await ready.results() == {"ehr": True}
    assert asked == [0.0]
    now[0] = 1.0
    await ready.results()
    assert asked == [0.0, 1.0]


async def test_the_same_refusal_asks_the_server_once_a_minute() -> None:
    published: list[str] = []

    class Bus:
        async def publish(self, subject: str, body: bytes, **named: object) -> None:
            published.append(str(named["id"]))

    log, now = AccessLog(Bus(), lambda: now[0], lambda: "new"), [T0]  # type: ignore[arg-type]
    for _ in range(50):
        await log.record("refused", detail="the token is not known")
    await log.record("refused", detail="another reason")
    assert len(published) == 2
    now[0] = T0.replace(minute=(T0.minute + 1) % 60)
    await log.record("refused", detail="the token is not known")
    assert len(set(published)) == 3


def test_as_many_files_may_be_open_as_connections_want() -> None:
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (1024, before[1]))
        connection_limits.raise_open_file_limit()
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        assert soft == min(hard, 2 * connection_limits.MAX_CONNECTIONS)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)
