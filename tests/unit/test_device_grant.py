"""The device authorization grant: what a server may answer, and how often it is asked (RFC 8628)."""

from collections.abc import Callable
from typing import Any

import httpx
import pytest

from cli.contexts import ApiContext
from cli.errors import CommandError, RefusedError
from cli.sign_in import device as sign_in_device
from cli.sign_in.discovery import IssuerEndpoints, SignInPlace
from cli.sign_in.stored import SignIn
from shared.contracts.errors import TransientError
from shared.oauth.device_grant import DeviceAuthorization, parse_device_authorization, poll
from shared.oauth.errors import TokenRefusedError

ISSUER = "https://id.example"
URL = "https://countersign.example"
PLACE = SignInPlace(
    IssuerEndpoints(ISSUER, f"{ISSUER}/device", f"{ISSUER}/token", f"{ISSUER}/revoke"), "cli", "openid", "urn:api"
)
STARTED = {
    "device_code": "secret-device-code",
    "user_code": "ABCD-EFGH",
    "verification_uri": f"{ISSUER}/activate",
    "verification_uri_complete": f"{ISSUER}/activate?code=ABCD-EFGH",
    "expires_in": 60,
    "interval": 2,
}
TOKENS = {"access_token": "t1", "refresh_token": "r1", "token_type": "bearer", "expires_in": 300}
Answer = httpx.Response | Exception


def error(code: str, status: int = 400) -> httpx.Response:
    return httpx.Response(status, json={"error": code, "error_description": "words of the server"})


class Provider:
    """Answers in order; `slept` are the waits between requests, in seconds."""

    def __init__(self, *answers: Answer, started: Any = STARTED) -> None:
        self.answers = [httpx.Response(200, json=started) if started is not None else None, *answers]
        self.answers = [item for item in self.answers if item is not None]
        self.requests: list[httpx.Request] = []
        self.slept: list[float] = []
        self.shown: list[DeviceAuthorization] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, Exception):
            raise answer
        return answer

    async def _sleep(self, seconds: float) -> None:
        self.slept.append(seconds)

    async def sign_in(self) -> SignIn:
        clocks = sign_in_device.Clocks(lambda: 1000.0, lambda: sum(self.slept), self._sleep)
        async with httpx.AsyncClient(transport=httpx.MockTransport(self)) as http:
            return await sign_in_device.sign_in(http, PLACE, URL, clocks, self.shown.append)


async def test_it_waits_as_the_server_asks_and_returns_the_tokens() -> None:
    provider = Provider(
        error("authorization_pending"),
        error("slow_down"),
        error("authorization_pending"),
        httpx.Response(200, json=TOKENS),
    )
    found = await provider.sign_in()
    assert (found.access_token, found.refresh_token, found.expires_at) == ("t1", "r1", 1300.0)
    assert provider.slept == [2, 2, 7, 7], "slow_down counts for all later requests"
    first, *later = (dict(httpx.QueryParams(item.content.decode())) for item in provider.requests)
    assert first == {"client_id": "cli", "scope": "openid", "resource": "urn:api"}
    assert later[0] == {
        "grant_type": "urn:ietf:params:oauth:grant-type:device_code",
        "device_code": "secret-device-code",
        "client_id": "cli",
        "resource": "urn:api",
    }
    assert "secret-device-code" not in repr(provider.shown)
    assert "t1" not in repr(found)


async def test_a_server_that_does_not_answer_is_asked_less_often() -> None:
    down = httpx.ReadTimeout("x")
    provider = Provider(down, down, httpx.Response(503), httpx.Response(200, json=TOKENS))
    await provider.sign_in()
    assert provider.slept == [2, 4, 8, 16]
    with pytest.raises(CommandError, match="does not answer"):
        await Provider(down).sign_in()


CODES: list[tuple[str, type[CommandError], str]] = [
    ("access_denied", RefusedError, "The sign-in was denied"),
    ("expired_token", CommandError, "The code has expired"),
    ("invalid_client", CommandError, "refuses the client 'cli' (invalid_client)"),
    ("unauthorized_client", CommandError, "public client for the device authorization grant"),
    ("unsupported_grant_type", CommandError, "refuses the client"),
    ("invalid_target", CommandError, "does not know the resource urn:api"),
    ("words of nobody", CommandError, "another error"),
]


@pytest.mark.parametrize(("code", "kind", "said"), CODES)
async def test_each_error_is_a_sentence(code: str, kind: type[CommandError], said: str) -> None:
    with pytest.raises(CommandError) as refused:
        await Provider(error(code)).sign_in()
    assert type(refused.value) is kind
    assert said in str(refused.value)
    assert "words of the server" not in str(refused.value)
    with pytest.raises(CommandError, match=r"refuses|denied|expired|does not know"):
        await Provider(error(code), started=None).sign_in()


async def test_a_code_that_nobody_enters_expires() -> None:
    provider = Provider(error("authorization_pending"))
    with pytest.raises(CommandError, match="nobody entered it in time"):
        await provider.sign_in()
    assert sum(provider.slept) == 60


async def test_the_last_wait_ends_with_the_code() -> None:
    waits: list[float] = []

    async def sleep(seconds: float) -> None:
        waits.append(seconds)

    async def pending() -> dict[str, Any]:
        raise TokenRefusedError("", "authorization_pending", "")

    code = DeviceAuthorization("d", "u", "https://x", None, expires_in=7, interval=5)
    with pytest.raises(TokenRefusedError) as ended:
        await poll(pending, code, lambda: sum(waits), sleep)
    assert (waits, ended.value.code) == ([5, 2], "expired_token")


@pytest.mark.parametrize(
    "change",
    [
        {"device_code": None},
        {"user_code": ""},
        {"user_code": "AB\x1b[2J"},
        {"user_code": "ABÜ"},
        {"verification_uri": "http://id.example/activate"},
        {"verification_uri": "javascript:alert(1)"},
        {"verification_uri": "https://"},
        {"expires_in": None},
        {"expires_in": 0},
        {"expires_in": "nan"},
        {"expires_in": True},
    ],
)
def test_an_answer_that_cannot_be_used_is_refused(change: dict[str, Any]) -> None:
    with pytest.raises(TransientError):
        parse_device_authorization(STARTED | change)


def test_what_a_server_may_leave_out() -> None:
    found = parse_device_authorization(
        {name: STARTED[name] for name in ("device_code", "user_code", "verification_uri")} | {"expires_in": "600"}
    )
    assert (found.interval, found.expires_in, found.complete_uri) == (5, 600, None)
    unsafe = STARTED | {"verification_uri_complete": "file:///etc/passwd"}
    assert parse_device_authorization(unsafe).complete_uri is None
    for body in (None, [], "x"):
        with pytest.raises(TransientError):
            parse_device_authorization(body)


@pytest.mark.parametrize("answer", [{"token_type": "bearer"}, {"access_token": "a", "token_type": "dpop"}, {}])
async def test_what_is_no_bearer_token_is_not_kept(answer: dict[str, Any]) -> None:
    with pytest.raises(CommandError, match="no bearer token"):
        await Provider(httpx.Response(200, json=answer)).sign_in()


Revoke = Callable[[httpx.Request], httpx.Response]


async def revoked(handle: Revoke, **more: Any) -> bool:
    ordinary: dict[str, Any] = {"access_token": "t1", "refresh_token": "r1", "revocation_endpoint": f"{ISSUER}/revoke"}
    found = SignIn(url=URL, issuer=ISSUER, client_id="cli", token_endpoint=f"{ISSUER}/token", **(ordinary | more))
    async with httpx.AsyncClient(transport=httpx.MockTransport(handle)) as http:
        return await sign_in_device.revoke(http, found, 0)


async def test_what_is_revoked_at_the_provider() -> None:
    sent: list[dict[str, str]] = []

    def handle(request: httpx.Request) -> httpx.Response:
        sent.append(dict(httpx.QueryParams(request.content.decode())))
        return httpx.Response(200)

    assert await revoked(handle)
    assert await revoked(handle, refresh_token="")
    assert not await revoked(handle, revocation_endpoint="")
    assert [(item["token"], item["token_type_hint"]) for item in sent] == [
        ("r1", "refresh_token"),
        ("t1", "access_token"),
    ]
    with pytest.raises(TransientError, match="revocation endpoint"):
        await revoked(lambda _: httpx.Response(503))
    with pytest.raises(TokenRefusedError, match="invalid_client"):
        await revoked(lambda _: error("invalid_client", 401))


@pytest.mark.parametrize(
    ("environment", "platform", "opens"),
    [
        ({}, "linux", False),
        ({"DISPLAY": ":0"}, "linux", True),
        ({"WAYLAND_DISPLAY": "w"}, "linux", True),
        ({"DISPLAY": ":10", "SSH_CONNECTION": "x"}, "linux", False),
        ({}, "darwin", True),
    ],
)
def test_a_browser_is_opened_where_there_is_one(environment: dict[str, str], platform: str, opens: bool) -> None:
    assert sign_in_device.has_browser(environment, platform) is opens


def test_a_context_without_a_token_file_has_no_token_to_read() -> None:
    with pytest.raises(CommandError, match="countersign login --context prod"):
        ApiContext("prod", URL, None).read_token()
