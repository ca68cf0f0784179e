"""What the provider says of a person is asked again: a role that is taken away ends in open sessions, too."""

import asyncio
import itertools
from datetime import timedelta

import pytest

from services.approval.sign_in import sessions
from services.approval.sign_in.sessions import SessionStore
from shared.contracts.errors import TransientError
from shared.messaging.buckets import Bucket
from shared.runtime.authentication import SESSION_COOKIE, AuthenticationError, Caller
from shared.runtime.oidc import SignInResult
from tests.support.oidc import OidcServer
from tests.support.people import Clock, sign_in
from tests.support.server import NatsServer
from tests.support.stack import Stack

pytestmark = pytest.mark.connected
CALLER = Caller(subject="mgee", role="physician", method="oidc")


def pass_time(clock: Clock, minutes: int) -> None:
    clock.ahead += timedelta(minutes=minutes)


async def opened(stack: Stack) -> int:
    return (await stack.http.get("/")).status_code


async def test_a_session_has_the_roles_that_the_provider_has_today(
    secured: Stack, provider: OidcServer, clock: Clock
) -> None:
    await sign_in(secured)
    provider.person["roles"] = ["auditor"]
    pass_time(clock, 14)
    assert await opened(secured) == 200
    assert provider.renewals == 0
    pass_time(clock, 2)
    start = await secured.http.get("/")
    assert (start.status_code, start.headers["location"]) == (303, "/access"), "an auditor opens no inbox"
    assert (await secured.http.get("/access")).status_code == 200
    provider.person["roles"] = ["physician"]
    pass_time(clock, 16)
    assert await opened(secured) == 200
    assert provider.renewals == 2


async def test_a_session_ends_with_the_last_role_or_where_the_provider_knows_the_person_no_more(
    secured: Stack, provider: OidcServer, clock: Clock
) -> None:
    await sign_in(secured)
    provider.person["roles"] = []
    pass_time(clock, 16)
    assert await opened(secured) == 303
    provider.person["roles"] = ["physician"]
    assert await opened(secured) == 303, "it has ended, and does not come back"
    await sign_in(secured)
    provider.knows = False
    pass_time(clock, 16)
    assert await opened(secured) == 303


async def test_a_renewal_is_no_new_proof(secured: Stack, provider: OidcServer, clock: Clock) -> None:
    """Who signs must have signed in within the last 15 minutes, whatever `auth_time` a renewed token has."""
    await sign_in(secured)
    pass_time(clock, 16)
    assert await opened(secured) == 200
    (entry,) = [item async for item in Bucket(await secured.server.connect("approval"), "sessions").scan("session")]
    session = sessions.Session.model_validate_json(entry.value)
    assert session.caller.signed_in_at is not None
    assert session.known_since - session.caller.signed_in_at > timedelta(minutes=15)
    assert provider._refresh not in entry.value.decode(), "sealed: the bucket alone renews nothing"


async def test_without_refresh_tokens_a_session_lasts_an_hour(
    secured: Stack, provider: OidcServer, clock: Clock
) -> None:
    provider.gives_refresh_tokens = False
    await sign_in(secured)
    for minutes, status in ((25, 200), (25, 200), (11, 303)):
        pass_time(clock, minutes)
        assert await opened(secured) == status
    assert secured.http.cookies[SESSION_COOKIE]


class Scripted:
    """Answers a renewal when told to."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.begun = asyncio.Event()
        self.answer = asyncio.Event()
        self.failure: Exception | None = None

    async def renew(self, known: Caller, renewal: str) -> SignInResult:
        self.asked.append(renewal)
        self.begun.set()
        await self.answer.wait()
        if self.failure is not None:
            raise self.failure
        return SignInResult(known.model_copy(update={"also": ("supervisor",)}), "second")


@pytest.fixture
async def store(nats: NatsServer, clock: Clock) -> tuple[SessionStore, Scripted]:
    await nats.provision()
    names = iter(f"secret-{number}" for number in range(100))
    scripted = Scripted()
    hours = timedelta(hours=12)
    bus = await nats.connect("approval")
    found = SessionStore(bus, clock, lambda: next(names), hours, hours, scripted)
    return found, scripted


async def test_of_many_requests_one_asks_the_provider(store: tuple[SessionStore, Scripted], clock: Clock) -> None:
    """A refresh token may be good once: a second use of it would end the person's session at the provider."""
    found, scripted = store
    id = await found.open(SignInResult(CALLER, "first"))
    clock.ahead = timedelta(minutes=16)
    asking = [asyncio.create_task(found.caller(id)) for _ in range(20)]
    for ended in itertools.islice(asyncio.as_completed(asking), 19):
        await ended
    scripted.answer.set()
    callers = [await task for task in asking]
    assert scripted.asked == ["first"]
    assert sorted(len(caller.roles) for caller in callers if caller) == [1] * 19 + [2]
    again = await found.caller(id)
    assert again is not None
    assert again.roles == ("physician", "supervisor")
    clock.ahead = timedelta(minutes=32)
    await found.caller(id)
    assert scripted.asked == ["first", "second"]


async def test_a_provider_that_does_not_answer_ends_a_session_after_an_hour(
    store: tuple[SessionStore, Scripted], clock: Clock
) -> None:
    found, scripted = store
    id = await found.open(SignInResult(CALLER, "first"))
    scripted.failure = TransientError("the identity provider does not answer")
    scripted.answer.set()
    for minutes, alive in ((16, True), (40, True), (59, True), (61, False)):
        clock.ahead = timedelta(minutes=minutes)
        assert (await found.caller(id) is not None) is alive
    assert len(scripted.asked) == 4
    scripted.failure = AuthenticationError("gone")
    clock.ahead = timedelta(minutes=62)
    assert await found.caller(id) is None
    scripted.failure = None
    assert await found.caller(id) is None, "it was closed"


async def test_a_session_that_is_ended_while_it_is_renewed_stays_ended(
    store: tuple[SessionStore, Scripted], clock: Clock
) -> None:
    found, scripted = store
    id = await found.open(SignInResult(CALLER, "first"))
    clock.ahead = timedelta(minutes=16)
    asking = asyncio.create_task(found.caller(id))
    await scripted.begun.wait()
    assert await found.end("mgee") == 1
    scripted.answer.set()
    assert await asking is None
    assert await found.caller(id) is None
