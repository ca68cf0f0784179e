"""The token of one EHR: when it is requested, renewed and discarded, and what a failed request leads to."""

import asyncio
from collections.abc import AsyncIterator, Callable, Collection
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import parse_qs

import httpx
import pytest

from shared.clinical.fhir_client import FhirClient, UnauthorizedError
from shared.clinical.smart.scopes import needed_scopes
from shared.clinical.smart.token_source import REJECTIONS, BackendToken
from shared.contracts.errors import RateLimitedError, TransientError
from shared.oauth.client_authentication import ClientCredentials
from shared.oauth.errors import TokenRefusedError

BASE = "https://ehr.test/fhir"
TOKEN_URL = "https://auth.test/token"
Answer = httpx.Response | Exception | Callable[[], httpx.Response]


class Proof:
    """Credentials that tell how they were asked for."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, tuple[str, ...]]] = []

    async def credentials(self, token_url: str, algorithms: Collection[str], now: float) -> ClientCredentials:
        self.asked.append((token_url, tuple(algorithms)))
        return ClientCredentials(form={"client_assertion": f"proof-{len(self.asked)}"})


class Ehr:
    """An EHR with a token endpoint: issues `t1`, `t2`, … and accepts those in `good`; `answers` go first."""

    def __init__(self) -> None:
        self.at = 1000.0
        self.life = 100.0
        self.answers: list[Answer] = []
        self.configuration: Answer = httpx.Response(200, json={"token_endpoint": TOKEN_URL})
        self.requests: list[httpx.Request] = []
        self.issued = 0
        self.good: set[str] = set()
        self.hold: asyncio.Event | None = None
        self.proof = Proof()

    def token(self, **more: Any) -> BackendToken:
        return BackendToken(
            BASE, self.proof, self.open_http, clock=lambda: self.at, now=lambda: 1_800_000_000 + self.at, **more
        )

    def fhir(self, token: BackendToken | None = None) -> FhirClient:
        return FhirClient(BASE, self.open_http(), token or self.token())

    def open_http(self) -> httpx.AsyncClient:
        return httpx.AsyncClient(transport=httpx.MockTransport(self.handle))

    async def handle(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        if request.url.path.endswith("smart-configuration"):
            return _said(self.configuration)
        if request.url.host == "auth.test":
            if self.hold is not None:
                await self.hold.wait()
            return _said(self.answers.pop(0)) if self.answers else self.issue()
        good = request.headers.get("authorization", "").removeprefix("Bearer ") in self.good
        return httpx.Response(200 if good else 401, json={"resourceType": "Bundle", "type": "searchset"})

    async def redirect(self, request: httpx.Request) -> httpx.Response:
        """Send every FHIR request to another host, as a gateway might."""
        self.requests.append(request)
        return httpx.Response(302, headers={"location": f"https://thief.test{request.url.path}"})

    def issue(self) -> httpx.Response:
        self.issued += 1
        self.good.add(f"t{self.issued}")
        return httpx.Response(200, json={"access_token": f"t{self.issued}", "expires_in": self.life, "scope": "a b"})

    @property
    def token_requests(self) -> list[dict[str, list[str]]]:
        return [parse_qs(item.content.decode()) for item in self.requests if item.url.host == "auth.test"]


def _said(answer: Answer) -> httpx.Response:
    if isinstance(answer, Exception):
        raise answer
    return answer if isinstance(answer, httpx.Response) else answer()


@asynccontextmanager
async def held(ehr: Ehr) -> AsyncIterator[None]:
    """The token endpoint answers only after the block."""
    ehr.hold = asyncio.Event()
    try:
        yield
    finally:
        ehr.hold.set()
        ehr.hold = None


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while not condition():  # noqa: ASYNC110 - what is waited for is a task of the object under test
            await asyncio.sleep(0)


async def test_a_token_is_requested_as_smart_prescribes_and_used_for_most_of_its_life() -> None:
    ehr = Ehr()
    token = ehr.token()
    assert [await token.value() for _ in range(3)] == ["Bearer t1"] * 3
    assert await token.granted_scopes() == {"a", "b"}
    ehr.at += 79.9
    assert await token.value() == "Bearer t1"
    assert ehr.token_requests == [
        {"grant_type": ["client_credentials"], "scope": [needed_scopes()], "client_assertion": ["proof-1"]}
    ]
    assert ehr.requests[-1].headers["content-type"] == "application/x-www-form-urlencoded"


async def test_at_80_percent_it_is_renewed_while_calls_go_on() -> None:
    ehr = Ehr()
    token = ehr.token()
    await token.value()
    async with held(ehr):
        ehr.at += 80
        assert [await token.value() for _ in range(50)] == ["Bearer t1"] * 50, "nobody waits for the renewal"
        await until(lambda: len(ehr.token_requests) == 2)
    await until(lambda: ehr.issued == 2)
    await until(lambda: token._held is not None and token._held.header == "Bearer t2")
    assert await token.value() == "Bearer t2"
    assert len(ehr.token_requests) == 2


async def test_fifty_parallel_calls_at_expiry_make_one_token_request() -> None:
    ehr = Ehr()
    token = ehr.token()
    fhir = ehr.fhir(token)
    await token.value()
    ehr.at += 101
    ehr.good.clear()
    async with held(ehr):
        calls = [asyncio.create_task(fhir.search("Encounter", {"_id": "none"})) for _ in range(50)]
        await until(lambda: len(ehr.token_requests) == 2)
    assert await asyncio.gather(*calls) == [[]] * 50
    assert len(ehr.token_requests) == 2


async def test_fifty_calls_with_a_token_that_was_revoked_renew_it_once() -> None:
    ehr = Ehr()
    token = ehr.token()
    fhir = ehr.fhir(token)
    await token.value()
    ehr.good.clear()
    assert await asyncio.gather(*(fhir.search("Encounter", {"_id": "none"}) for _ in range(50))) == [[]] * 50
    assert len(ehr.token_requests) == 2


async def test_a_caller_that_gives_up_does_not_end_the_request_of_the_others() -> None:
    ehr = Ehr()
    token = ehr.token()
    async with held(ehr):
        first, second = asyncio.create_task(token.value()), asyncio.create_task(token.value())
        await until(lambda: len(ehr.token_requests) == 1)
        first.cancel()
        await asyncio.wait([first])
    assert await second == "Bearer t1"
    assert len(ehr.token_requests) == 1


async def test_a_rejected_token_is_renewed_once_and_then_the_error_is_transient() -> None:
    ehr = Ehr()
    token = ehr.token()
    fhir = ehr.fhir(token)
    ehr.answers = [httpx.Response(200, json={"access_token": f"bad{number}", "expires_in": 100}) for number in range(9)]
    with pytest.raises(UnauthorizedError):
        await fhir.read("Patient", "p")
    sent = [item.headers["authorization"] for item in ehr.requests if item.url.path == "/fhir/Patient/p"]
    assert sent == ["Bearer bad0", "Bearer bad1"]
    await token.renew("Bearer bad0")
    assert await token.value() == "Bearer bad1", "a newer token is not discarded"


async def test_an_ehr_that_rejects_every_token_is_not_flooded_with_requests() -> None:
    ehr = Ehr()
    ehr.answers = [_bad(number) for number in range(1000)]
    fhir = ehr.fhir()
    for _ in range(100):
        with pytest.raises(UnauthorizedError):
            await fhir.read("Patient", "p")
    assert len(ehr.token_requests) == REJECTIONS + 1
    ehr.at += 61
    with pytest.raises(UnauthorizedError):
        await fhir.read("Patient", "p")
    assert len(ehr.token_requests) == REJECTIONS + 2


def _bad(number: int) -> httpx.Response:
    return httpx.Response(200, json={"access_token": f"bad{number}", "expires_in": 1000})


async def test_a_refused_client_waits_longer_each_time_up_to_five_minutes() -> None:
    ehr = Ehr()
    ehr.answers = [httpx.Response(400, json={"error": "invalid_client"}) for _ in range(50)]
    token = ehr.token()
    begun = ehr.at
    while ehr.at < begun + 3600:
        with pytest.raises(TokenRefusedError, match="invalid_client") as refused:
            await token.value()
        assert "COUNTERSIGN_EHR_CLIENT_ID" in refused.value.fix
        ehr.at += 1
    assert len(ehr.token_requests) == 17  # at 0, 5, 15, 35, 75, 155 and 315 s, then every 300 s
    ehr.answers.clear()
    ehr.at += 300
    assert await token.value() == "Bearer t1", "and the mended registration is found by itself"


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        (httpx.Response(500), "HTTP 500"),
        (httpx.ConnectError("no"), "ConnectError"),
        (httpx.ReadTimeout("no"), "ReadTimeout"),
        (httpx.Response(200, content=b"<html>"), "not JSON"),
    ],
)
async def test_a_server_that_fails_is_asked_again_soon(answer: Answer, says: str) -> None:
    ehr = Ehr()
    ehr.answers = [answer, answer]
    token = ehr.token()
    for requests in (1, 2, 2):
        with pytest.raises(TransientError, match=says) as failed:
            await token.value()
        assert not isinstance(failed.value, TokenRefusedError)
        assert len(ehr.token_requests) == requests
    ehr.at += 0.5
    assert await token.value() == "Bearer t1"
    assert [item["client_assertion"] for item in ehr.token_requests] == [["proof-1"], ["proof-2"], ["proof-3"]]


async def test_the_endpoint_may_say_when_to_come_back() -> None:
    ehr = Ehr()
    ehr.answers = [httpx.Response(429, headers={"retry-after": "40"})]
    token = ehr.token()
    with pytest.raises(RateLimitedError) as first:
        await token.value()
    assert first.value.retry_after == 40
    ehr.at += 30
    with pytest.raises(RateLimitedError) as second:
        await token.value()
    assert second.value.retry_after == pytest.approx(10)
    ehr.at += 10
    assert await token.value() == "Bearer t1"


async def test_a_token_that_cannot_be_renewed_is_used_to_its_end() -> None:
    ehr = Ehr()
    token = ehr.token()
    await token.value()
    ehr.answers = [httpx.Response(503) for _ in range(3)]
    for passed in (80, 5, 5):
        ehr.at += passed
        assert await token.value() == "Bearer t1"
        await until(lambda: token._request is None or token._request.done())
    ehr.at += 9
    assert await token.value() == "Bearer t1"
    await until(lambda: ehr.issued == 2)
    assert len(ehr.token_requests) == 5


# Discovery


async def test_the_endpoint_is_discovered_once_an_hour_and_again_after_a_failure() -> None:
    ehr = Ehr()
    ehr.life = 10
    token = ehr.token()

    def discovered() -> int:
        return sum(item.url.path == "/fhir/.well-known/smart-configuration" for item in ehr.requests)

    for _ in range(3):
        await token.value()
        ehr.at += 10
    assert discovered() == 1
    ehr.answers = [httpx.Response(404)]
    with pytest.raises(TokenRefusedError):
        await token.value()
    ehr.at += 10
    await token.value()
    assert discovered() == 2
    ehr.at += 3600
    await token.value()
    assert discovered() == 3
    assert not any("authorization" in item.headers for item in ehr.requests)


async def test_what_the_server_accepts_reaches_the_credentials() -> None:
    ehr = Ehr()
    ehr.configuration = httpx.Response(
        200,
        json={
            "token_endpoint": TOKEN_URL,
            "token_endpoint_auth_signing_alg_values_supported": ["RS384"],
            "capabilities": ["permission-v1"],
        },
    )
    await ehr.token().value()
    assert ehr.proof.asked == [(TOKEN_URL, ("RS384",))]
    assert ehr.token_requests[0]["scope"] == [needed_scopes(v1=True)]


async def test_settings_go_before_what_is_discovered() -> None:
    ehr = Ehr()
    ehr.configuration = httpx.Response(500)
    await ehr.token(token_url=TOKEN_URL, scope="system/Patient.rs").value()
    assert len(ehr.requests) == 1
    assert ehr.token_requests[0]["scope"] == ["system/Patient.rs"]


@pytest.mark.parametrize(
    ("configuration", "kind", "says"),
    [
        (httpx.Response(404), TokenRefusedError, "publishes no SMART configuration"),
        (httpx.Response(302, headers={"location": "https://elsewhere.test"}), TokenRefusedError, "no SMART"),
        (httpx.Response(200, json={}), TokenRefusedError, "no token endpoint"),
        (httpx.Response(200, content=b"<html>"), TransientError, "not JSON"),
        (httpx.Response(502), TransientError, "HTTP 502"),
        (httpx.Response(429, headers={"retry-after": "9"}), RateLimitedError, "429"),
        (httpx.ConnectError("no"), TransientError, "ConnectError"),
    ],
)
async def test_a_server_without_a_configuration_is_named(
    configuration: Answer, kind: type[TransientError], says: str
) -> None:
    ehr = Ehr()
    ehr.configuration = configuration
    with pytest.raises(TransientError, match=says) as failed:
        await ehr.token().value()
    assert type(failed.value) is kind
    assert ehr.token_requests == []


# Tokens stay with their server


async def test_neither_a_token_nor_an_assertion_follows_a_redirect() -> None:
    ehr = Ehr()
    away = httpx.Response(307, headers={"location": "https://thief.test/token"})
    ehr.answers = [away]
    with pytest.raises(TokenRefusedError, match="HTTP 307"):
        await ehr.token().value()
    redirecting = FhirClient(BASE, httpx.AsyncClient(transport=httpx.MockTransport(ehr.redirect)), ehr.token())
    for call in (redirecting.read("Patient", "p"), redirecting.binary("b", 100), redirecting.search("Task", {})):
        with pytest.raises(TransientError):
            await call
    assert {item.url.host for item in ehr.requests} == {"ehr.test", "auth.test"}


async def test_two_hospitals_have_a_token_each() -> None:
    one, other = Ehr(), Ehr()
    other.answers = [_bad(7)]
    tokens = one.token(), other.token()
    assert [await item.value() for item in tokens] == ["Bearer t1", "Bearer bad7"]


async def test_nothing_secret_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("DEBUG")
    ehr = Ehr()
    ehr.answers = [httpx.Response(400, json={"error": "invalid_scope", "error_description": "proof-1 t1"})]
    token = ehr.token()
    with pytest.raises(TokenRefusedError):
        await token.value()
    ehr.at += 5
    await token.value()
    ours = [record.getMessage() for record in caplog.records if record.name.startswith("shared")]
    assert any("invalid_scope" in line and "COUNTERSIGN_EHR_SCOPE" in line for line in ours)
    assert not any("proof-" in record.getMessage() or "t1" in record.getMessage() for record in caplog.records)
