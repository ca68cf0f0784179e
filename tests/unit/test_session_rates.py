"""A flood of requests with one session: what is refused asks nobody, and what is let in comes one after the other."""

import asyncio

import pytest
from starlette.requests import Request

from shared.runtime import rate_limits
from shared.runtime.authentication import ApiTokens, Authenticator, Caller
from shared.runtime.problems import ProblemError
from shared.runtime.rate_limits import TokenBucket

PHYSICIAN = Caller(subject="dr", role="physician", method="demo")


class Sessions:
    """Knows the session `real`, and counts how often it was asked."""

    def __init__(self) -> None:
        self.asked = 0

    async def caller(self, id: str, *, touch: bool = True) -> Caller | None:
        self.asked += 1
        await asyncio.sleep(0)
        return PHYSICIAN if id == "real" else None


@pytest.fixture(autouse=True)
def _at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rate_limits, "REFUSAL_DELAY_S", 0.0)


def asks(session: str) -> Request:
    headers = [(b"cookie", f"countersign_session={session}".encode())]
    return Request({"type": "http", "method": "GET", "path": "/", "headers": headers, "client": ("10.0.0.1", 5)})


async def outcome(authenticator: Authenticator, session: str) -> int:
    try:
        await authenticator.authenticate(asks(session))
    except ProblemError as refused:
        return refused.status
    return 200


async def test_a_session_that_asks_too_often_is_refused_without_a_look() -> None:
    sessions = Sessions()
    authenticator = Authenticator(ApiTokens(tokens=()), sessions=sessions)
    authenticator._requests = TokenBucket("requests", 3, 0.001)
    found = [await outcome(authenticator, "real") for _ in range(10)]
    assert found == [200] * 3 + [429] * 7
    assert sessions.asked == 3


async def test_made_up_sessions_take_no_place_of_real_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rate_limits, "MAX_TRACKED_KEYS", 2)
    authenticator = Authenticator(ApiTokens(tokens=()), sessions=Sessions())
    authenticator._requests = TokenBucket("requests", 1, 0.001)
    assert await outcome(authenticator, "real") == 200
    assert [await outcome(authenticator, f"made up {number}") for number in range(5)] == [401] * 5
    assert await outcome(authenticator, "real") == 429


async def test_requests_of_a_burst_are_let_in_one_after_the_other(monkeypatch: pytest.MonkeyPatch) -> None:
    waited: list[float] = []

    async def note(seconds: float) -> None:
        waited.append(round(seconds, 3))

    monkeypatch.setattr(asyncio, "sleep", note)
    now = [0.0]
    pace = TokenBucket("pace", 2, 100.0, lambda: now[0])
    for who in ("a", "a", "a", "a", "b"):
        await pace.wait_for_turn(who)
    assert waited == [0.01, 0.02]
    now[0] = 1.0
    await pace.wait_for_turn("a")
    assert len(waited) == 2


async def test_an_answer_says_which_limits_counted_the_request_and_what_they_leave() -> None:
    now = [0.0]
    bucket = TokenBucket("requests", 4, 0.5, lambda: now[0])
    scope: dict[str, object] = {}
    assert rate_limits.rate_limit_headers(scope) == []
    await bucket.admit("a", scope=scope)
    assert rate_limits.rate_limit_headers(scope) == [
        (b"ratelimit-policy", b'"requests";q=4;w=8'),
        (b"ratelimit", b'"requests";r=3;t=2'),
    ]
    for _ in range(3):
        await bucket.admit("a")
    refused: dict[str, object] = {}
    with pytest.raises(ProblemError):
        await bucket.admit("a", scope=refused)
    await TokenBucket("uploads", 60, 1.0).admit("a", scope=refused)
    assert dict(rate_limits.rate_limit_headers(refused)) == {
        b"ratelimit-policy": b'"requests";q=4;w=8, "uploads";q=60;w=60',
        b"ratelimit": b'"requests";r=0;t=8, "uploads";r=59;t=1',
    }
    now[0] += 2
    assert (await bucket.admit("a"), bucket.remaining("a").left) == (None, 0)
