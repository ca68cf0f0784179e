"""Tokens of a sign-in: how they are kept, renewed by one command at a time, and given up."""

import asyncio
import stat
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest

from cli import contexts
from cli.client import Api
from cli.contexts import ApiContext, choose_context
from cli.errors import CommandError
from cli.sign_in.renewal import SignInAuth, StoredSignIn
from cli.sign_in.stored import SignIn, locked, read_sign_in, sign_in_file, write_sign_in

URL, ISSUER = "https://countersign.example", "https://id.example/realms/x"
PROD = ApiContext("prod", URL, None)
NOW = 1_000_000.0
FOUND = SignIn(
    url=URL,
    issuer=ISSUER,
    client_id="cli",
    token_endpoint=f"{ISSUER}/token",
    resource="urn:api",
    access_token="t1",
    refresh_token="r1",
    expires_at=NOW + 300,
    subject="kim",
)
Handle = Callable[[httpx.Request], httpx.Response]


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    for name in (*contexts.VARIABLES, "COUNTERSIGN_NATS_URL"):
        monkeypatch.delenv(name, raising=False)
    choose_context(None)
    return tmp_path / "config" / "countersign"


class Provider:
    """A token endpoint that replaces refresh tokens: each is good once."""

    def __init__(self, answer: Handle | None = None) -> None:
        self.good, self.count = "r1", 0
        self.requests: list[dict[str, str]] = []
        self._answer = answer
        self._lock = threading.Lock()

    def __call__(self, request: httpx.Request) -> httpx.Response:
        with self._lock:
            sent = dict(httpx.QueryParams(request.content.decode()))
            self.requests.append(sent)
            if self._answer is not None:
                return self._answer(request)
            if sent["refresh_token"] != self.good:
                return httpx.Response(400, json={"error": "invalid_grant"})
            self.count += 1
            self.good = f"r{self.count + 1}"
            tokens = {"access_token": f"t{self.count + 1}", "refresh_token": self.good}
            return httpx.Response(200, json=tokens | {"token_type": "Bearer", "expires_in": 300})

    def stored(self, now: float = NOW) -> StoredSignIn:
        return StoredSignIn(PROD, lambda: now, lambda _: httpx.AsyncClient(transport=httpx.MockTransport(self)))


def test_only_its_owner_can_read_what_is_stored(home: Path) -> None:
    write_sign_in(PROD, FOUND)
    with locked("prod"):
        pass
    for file in (home / "sign-ins").iterdir():
        assert stat.S_IMODE(file.stat().st_mode) == 0o600, file
    assert stat.S_IMODE((home / "sign-ins").stat().st_mode) == 0o700
    assert read_sign_in(PROD) == FOUND
    assert not {"t1", "r1"} & set(repr(FOUND).replace("'", " ").split())


def test_a_token_is_for_one_installation() -> None:
    write_sign_in(PROD, FOUND)
    assert read_sign_in(replace(PROD, url="https://other.example")) is None
    sign_in_file("prod").write_text("{}")
    with pytest.raises(CommandError, match="is not valid"):
        read_sign_in(PROD)


async def test_a_token_is_renewed_a_minute_before_it_expires() -> None:
    write_sign_in(PROD, FOUND)
    provider = Provider()
    assert await provider.stored(NOW + 239).access_token() == "t1"
    assert provider.requests == []
    assert await provider.stored(NOW + 241).access_token() == "t2"
    assert provider.requests == [
        {"grant_type": "refresh_token", "refresh_token": "r1", "client_id": "cli", "resource": "urn:api"}
    ]
    found = read_sign_in(PROD)
    assert found == replace(FOUND, access_token="t2", refresh_token="r2", expires_at=NOW + 541)


async def test_a_refresh_token_that_is_not_replaced_stays() -> None:
    write_sign_in(PROD, FOUND)
    answer = {"access_token": "t2", "token_type": "Bearer"}
    assert await Provider(lambda _: httpx.Response(200, json=answer)).stored(NOW + 300).access_token() == "t2"
    found = read_sign_in(PROD)
    assert found is not None
    assert (found.refresh_token, found.expires_at) == ("r1", None)


async def test_commands_at_once_use_each_refresh_token_once() -> None:
    write_sign_in(PROD, FOUND)
    provider = Provider()
    tokens = await asyncio.gather(*(provider.stored(NOW + 300).access_token() for _ in range(8)))
    assert (set(tokens), len(provider.requests)) == ({"t2"}, 1)
    refused = await asyncio.gather(*(provider.stored().replacement("t2") for _ in range(8)))
    assert (set(refused), len(provider.requests)) == ({"t3"}, 2)
    found = read_sign_in(PROD)
    assert found is not None
    assert found.refresh_token == provider.good


async def test_a_command_waits_for_the_one_that_renews() -> None:
    write_sign_in(PROD, FOUND)
    provider = Provider()
    with locked("prod"):
        waiting = asyncio.create_task(provider.stored(NOW + 300).access_token())
        done, _ = await asyncio.wait([waiting], timeout=0.2)
        assert not done, "the lock is held"
        write_sign_in(PROD, replace(FOUND, access_token="t9", expires_at=NOW + 900))
    assert await waiting == "t9"
    assert provider.requests == []


def test_what_was_issued_is_stored_although_the_command_is_interrupted() -> None:
    """The provider has replaced the refresh token: the old one is worth nothing any more."""
    write_sign_in(PROD, FOUND)
    asked, answers = threading.Event(), threading.Event()

    def slowly(_: httpx.Request) -> httpx.Response:
        asked.set()
        assert answers.wait(10)
        tokens = {"access_token": "t2", "refresh_token": "r2", "token_type": "Bearer"}
        return httpx.Response(200, json=tokens)

    async def interrupted() -> None:
        command = asyncio.create_task(Provider(slowly).stored(NOW + 300).access_token())
        await asyncio.to_thread(asked.wait, 10)
        command.cancel()
        with pytest.raises(asyncio.CancelledError):
            await command
        answers.set()

    asyncio.run(interrupted())
    found = read_sign_in(PROD)
    assert found is not None
    assert (found.access_token, found.refresh_token) == ("t2", "r2")


@pytest.mark.parametrize("code", ["invalid_grant", "access_denied", "login_required"])
async def test_a_sign_in_that_has_ended_says_what_to_do(code: str) -> None:
    write_sign_in(PROD, FOUND)
    provider = Provider(lambda _: httpx.Response(400, json={"error": code}))
    with pytest.raises(CommandError) as ended:
        await provider.stored(NOW + 300).access_token()
    assert str(ended.value) == "Your sign-in has ended. Run: countersign login --context prod"
    assert ended.value.exit_code == 2
    assert read_sign_in(PROD) is None
    with pytest.raises(CommandError, match="You are not signed in to prod"):
        await provider.stored().access_token()


async def test_a_registration_that_is_wrong_keeps_the_sign_in() -> None:
    write_sign_in(PROD, FOUND)
    with pytest.raises(CommandError, match="invalid_client"):
        await Provider(lambda _: httpx.Response(401, json={"error": "invalid_client"})).stored(NOW + 300).access_token()
    assert read_sign_in(PROD) == FOUND


async def test_a_provider_that_does_not_answer_matters_once_the_token_has_expired() -> None:
    write_sign_in(PROD, FOUND)
    down = Provider(lambda _: httpx.Response(503))
    assert await down.stored(NOW + 290).access_token() == "t1", "it is good for ten seconds"
    for ask in (down.stored(NOW + 301).access_token(), down.stored(NOW).replacement("t1")):
        with pytest.raises(CommandError, match="cannot be renewed"):
            await ask
    assert read_sign_in(PROD) == FOUND


async def test_without_a_refresh_token_a_sign_in_ends_with_its_token() -> None:
    write_sign_in(PROD, replace(FOUND, refresh_token=""))
    provider = Provider()
    assert await provider.stored(NOW + 290).access_token() == "t1"
    assert await provider.stored(NOW).replacement("t1") is None
    with pytest.raises(CommandError, match="has ended"):
        await provider.stored(NOW + 301).access_token()
    assert provider.requests == []


class Installation:
    """Answers 401 to every token but `good`."""

    def __init__(self, good: str) -> None:
        self.good = good
        self.seen: list[str] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.seen.append(request.headers["authorization"])
        if self.seen[-1] == f"Bearer {self.good}":
            return httpx.Response(200, json={"items": []})
        return httpx.Response(401, json={"title": "A bearer token is needed", "detail": "the token has no role here"})


async def ask(installation: Installation, provider: Provider, url: str = URL) -> Any:
    call = Api(url, SignInAuth(provider.stored()), httpx.MockTransport(installation))
    try:
        return await call("GET", "/v1/cases")
    finally:
        await call.close()


async def test_a_refused_token_is_renewed_once() -> None:
    write_sign_in(PROD, FOUND)
    installation = Installation("t2")
    assert await ask(installation, Provider()) == {"items": []}
    assert installation.seen == ["Bearer t1", "Bearer t2"]


async def test_whom_the_installation_refuses_is_told_its_reason() -> None:
    write_sign_in(PROD, FOUND)
    installation = Installation("nobody's")
    with pytest.raises(CommandError, match="the token has no role here"):
        await ask(installation, Provider())
    assert installation.seen == ["Bearer t1", "Bearer t2"]
    write_sign_in(PROD, replace(FOUND, refresh_token=""))
    with pytest.raises(CommandError, match="the token has no role here"):
        await ask(installation, Provider())


async def test_a_token_is_not_sent_without_encryption() -> None:
    write_sign_in(PROD, FOUND)
    installation = Installation("t1")
    with pytest.raises(CommandError, match="without encryption"):
        await ask(installation, Provider(), "http://countersign.example")
    assert installation.seen == []
