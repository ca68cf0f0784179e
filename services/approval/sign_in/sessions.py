"""Sessions on the server's side: the browser holds a random id, the `sessions` bucket who it stands for.

An id is stored by its SHA-256 only. A session ends when nobody used it for `idle`, and after `longest` in any case.
"""

from collections.abc import Callable
from contextlib import suppress
from datetime import datetime, timedelta

from pydantic import BaseModel, ConfigDict

from shared.messaging.buckets import Bucket, Entry
from shared.messaging.connection import Bus, WrongSequenceError
from shared.runtime.access import Caller, token_digest

BUCKET = "sessions"
TOUCH = timedelta(minutes=1)  # use is noted at most this often
PENDING = 600  # seconds that somebody may take at the provider


class Session(BaseModel):
    """One browser that is signed in."""

    model_config = ConfigDict(frozen=True)

    caller: Caller
    began: datetime
    used: datetime


class Pending(BaseModel):
    """A sign-in that is under way at the provider."""

    model_config = ConfigDict(frozen=True)

    nonce: str
    verifier: str
    after: str  # path to go to then
    since: datetime | None = None  # where a new proof of who they are was asked for: when


class SessionStore:
    """`new_secret` gives unguessable text. Implements `shared.runtime.access.Sessions`."""

    def __init__(
        self, clock: Callable[[], datetime], new_secret: Callable[[], str], idle: timedelta, longest: timedelta
    ) -> None:
        self._clock = clock
        self._new_secret = new_secret
        self._idle = idle
        self._longest = longest

    def attach(self, bus: Bus) -> None:
        self._bucket = Bucket(bus, BUCKET)

    async def open(self, caller: Caller) -> str:
        """A new session; returns its id. Never an old one: nobody can plant an id beforehand."""
        id, now = self._new_secret(), self._clock()
        await self._put(id, Session(caller=caller, began=now, used=now))
        return id

    async def caller(self, id: str, *, touch: bool = True) -> Caller | None:
        found = await self._bucket.get(_key(id))
        if found is None:
            return None
        session, now = Session.model_validate_json(found.value), self._clock()
        if now - session.used > self._idle or now - session.began > self._longest:
            return None
        if touch and now - session.used > TOUCH:
            with suppress(WrongSequenceError):  # another request noted it, or it was closed in this moment
                await self._put(id, session.model_copy(update={"used": now}), found.revision)
        return session.caller

    async def close(self, id: str) -> None:
        await self._bucket.delete(_key(id))

    async def end(self, subject: str) -> int:
        """Close every session of a person; returns how many there were."""
        found = [entry.key async for entry in self._bucket.scan("session") if _of(entry) == subject]
        for key in found:
            await self._bucket.delete(key)
        return len(found)

    async def _put(self, id: str, session: Session, revision: int | None = None) -> None:
        ttl = int(self._idle.total_seconds()) + 1
        await self._bucket.put(_key(id), session.model_dump_json().encode(), revision=revision, ttl=ttl)

    async def begin(self, pending: Pending) -> str:
        """Remember a sign-in; returns its `state`."""
        state = self._new_secret()
        await self._bucket.put(_pending(state), pending.model_dump_json().encode(), ttl=PENDING)
        return state

    async def finish(self, state: str) -> Pending | None:
        """The sign-in with `state`, once."""
        found = await self._bucket.get(_pending(state))
        if found is None:
            return None
        await self._bucket.delete(_pending(state))
        return Pending.model_validate_json(found.value)


def _of(entry: Entry) -> str:
    return Session.model_validate_json(entry.value).caller.subject


def _key(id: str) -> str:
    return f"session.{token_digest(id)}"


def _pending(state: str) -> str:
    return f"pending.{token_digest(state)}"
