"""Server-side sessions: the browser has a random id, the `sessions` bucket the caller.

Only the SHA-256 of an id is stored. A session ends when it was not used for `idle`, and after `longest` in any case.
For a person who signed in at an identity provider, roles and departments are renewed (`RENEWED`): the session ends when
the person has left, and loses roles that were revoked. The refresh token is encrypted with the session's id, so that
access to the bucket does not reveal it.
"""

import base64
import hashlib
import logging
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Protocol

from cryptography.fernet import Fernet
from pydantic import BaseModel, ConfigDict

from services.approval.sign_in.session_cache import SessionCache
from shared.contracts.errors import TransientError
from shared.messaging.buckets import Bucket
from shared.messaging.connection import NatsConnection, WrongSequenceError
from shared.runtime.authentication import AuthenticationError, Caller, token_digest
from shared.runtime.oidc import SignInResult
from shared.runtime.oidc.logout import LogoutRequest

logger = logging.getLogger(__name__)

BUCKET = "sessions"
LAST_USE_PRECISION = timedelta(minutes=1)  # use is recorded at most this often
RENEWED = timedelta(minutes=15)  # the provider is asked about a person again after so long
MAX_UNCONFIRMED = timedelta(hours=1)  # a session ends if the provider has not confirmed the person for this time
RENEWAL_TIMEOUT = timedelta(seconds=30)  # one request asks the provider, the others use the known answer
LOGIN_LIFETIME_S = 600  # seconds that somebody may take at the provider


class Session(BaseModel):
    """One browser that is signed in."""

    model_config = ConfigDict(frozen=True)

    caller: Caller
    began: datetime
    used: datetime
    checked: datetime | None = (
        None  # when the provider last confirmed the person; None: no provider, or before this field
    )
    renewing: datetime | None = None  # when somebody began to ask it again
    renewal: str | None = None  # refresh token, sealed by the session's id
    id_token: str | None = None  # the latest ID token, sealed by the session's id: it ends the provider's session
    sid: str | None = None  # the provider's session

    @property
    def known_since(self) -> datetime:
        return self.checked or self.began

    def may_be_renewed(self, now: datetime) -> bool:
        return self.renewal is not None and (self.renewing is None or now - self.renewing > RENEWAL_TIMEOUT)


class PendingLogin(BaseModel):
    """A sign-in that is under way at the provider."""

    model_config = ConfigDict(frozen=True)

    nonce: str
    verifier: str
    after: str  # path to go to then
    since: datetime | None = None  # where a new proof of who they are was asked for: when
    at_ehr: bool = False  # at the EHR (SMART App Launch), not at the identity provider
    embedded: bool = False  # in a frame of the EHR


class SessionRenewer(Protocol):
    async def renew(self, known: Caller, renewal: str) -> SignInResult:
        """Return who a person is now. Raises AuthenticationError, TransientError."""
        ...


class SessionStore:
    """`new_secret` gives unguessable text. Implements `shared.runtime.authentication.SessionLookup`."""

    def __init__(
        self,
        bus: NatsConnection,
        clock: Callable[[], datetime],
        new_secret: Callable[[], str],
        idle: timedelta,
        longest: timedelta,
        provider: SessionRenewer | None = None,
    ) -> None:
        self._clock = clock
        self._new_secret = new_secret
        self._idle = idle
        self._longest = longest
        self._provider = provider
        self._bucket = Bucket(bus, BUCKET)
        self._cache = SessionCache(bus, BUCKET, clock, new_secret)

    async def start(self) -> None:
        """Receive changes of sessions; without it every request asks NATS."""
        await self._cache.start()

    async def open(self, signed: SignInResult) -> str:
        """Create a session; return its id, which is always new: nobody can plant an id beforehand."""
        id, now = self._new_secret(), self._clock()
        session = Session(
            caller=signed.caller,
            began=now,
            used=now,
            checked=now,
            renewal=_encrypt(id, signed.refresh_token),
            id_token=_encrypt(id, signed.id_token),
            sid=signed.sid,
        )
        await self._put(id, session)
        return id

    async def caller(self, id: str, *, touch: bool = True) -> Caller | None:
        found = await self._cache.get(_key(id))
        if found is None:
            return None
        session, now = Session.model_validate_json(found.value), self._clock()
        if now - session.used > self._idle or now - session.began > self._longest:
            return None
        asked = self._provider if session.caller.method == "oidc" else None
        ages = asked is not None or session.caller.method == "smart"  # the next launch asks the EHR
        age = now - session.known_since if ages else timedelta(0)
        if asked is not None and age > RENEWED and session.may_be_renewed(now):
            return await self._renewed(id, session, found.revision, asked, touch=touch)
        if age > MAX_UNCONFIRMED:
            return None
        if touch and now - session.used > LAST_USE_PRECISION:
            with suppress(WrongSequenceError):  # another request recorded it, or the session was closed
                await self._put(id, session.model_copy(update={"used": now}), found.revision)
        return session.caller

    async def _renewed(
        self, id: str, session: Session, revision: int, provider: SessionRenewer, *, touch: bool
    ) -> Caller | None:
        """Return the caller with current claims of the provider.

        Only one request at a time renews, since refresh tokens may be single-use.
        """
        now = self._clock()
        alive = session.caller if now - session.known_since <= MAX_UNCONFIRMED else None
        session = session.model_copy(update={"renewing": now} | ({"used": now} if touch else {}))
        try:
            revision = await self._put(id, session, revision)
            found = await provider.renew(session.caller, _decrypt(id, session.renewal))
        except WrongSequenceError:
            return alive  # another request is renewing it
        except TransientError as error:
            logger.warning("a session could not be renewed: %s", error.reason)
            return alive
        except AuthenticationError as refusal:
            logger.info("a session ends: %s", refusal.reason)
            await self.close(id)
            return None
        renewed = {
            "caller": found.caller,
            "checked": now,
            "renewing": None,
            "renewal": _encrypt(id, found.refresh_token),
        }
        if found.id_token is not None:
            renewed |= {"id_token": _encrypt(id, found.id_token), "sid": found.sid or session.sid}
        try:
            await self._put(id, session.model_copy(update=renewed), revision)
        except WrongSequenceError:  # it was closed at the same time, and stays closed
            return None
        return found.caller

    async def close(self, id: str) -> None:
        await self._delete(_key(id))

    async def _delete(self, key: str) -> None:
        await self._bucket.delete(key)
        self._cache.forget(key)  # the message about it may come after the answer to this request

    async def id_token(self, id: str) -> str | None:
        """Return the ID token of a session; None where it has none."""
        found = await self._bucket.get(_key(id))
        sealed = Session.model_validate_json(found.value).id_token if found is not None else None
        return _decrypt(id, sealed) if sealed else None

    async def end(self, subject: str) -> int:
        """Close every session of a person; returns how many there were."""
        return len(await self._end(lambda session: session.caller.subject == subject))

    async def end_at_provider(self, request: LogoutRequest, leeway: timedelta) -> tuple[str, ...]:
        """Close the sessions that the provider has ended; returns the subject of each.

        Whoever signed in after the request was made stays signed in. A session whose provider session is not known is
        closed where the request names its person.
        """

        def ended(session: Session) -> bool:
            if session.caller.method != "oidc" or session.began > request.issued + leeway:
                return False
            if request.subject is not None and session.caller.subject != request.subject:
                return False
            return request.sid is None or session.sid == request.sid or (session.sid is None and bool(request.subject))

        return await self._end(ended)

    async def _end(self, ended: Callable[[Session], bool]) -> tuple[str, ...]:
        found = [
            (entry.key, session.caller.subject)
            async for entry in self._bucket.scan("session")
            if ended(session := Session.model_validate_json(entry.value))
        ]
        for key, _ in found:
            await self._delete(key)
        return tuple(subject for _, subject in found)

    async def was_used(self, jti: str) -> bool:
        """Return whether a logout token was acted on before."""
        return await self._bucket.get(_logout(jti)) is not None

    async def note_used(self, jti: str, ttl: int) -> None:
        """Remember a logout token for `ttl` seconds."""
        await self._bucket.put(_logout(jti), b"1", ttl=ttl)

    async def _put(self, id: str, session: Session, revision: int | None = None) -> int:
        ttl = int(self._idle.total_seconds()) + 1
        try:
            return await self._bucket.put(_key(id), session.model_dump_json().encode(), revision=revision, ttl=ttl)
        finally:
            self._cache.forget(_key(id))

    async def start_login(self, pending: PendingLogin) -> str:
        """Store a pending login; returns its `state`."""
        state = self._new_secret()
        await self.keep_login(state, pending)
        return state

    async def keep_login(self, state: str, pending: PendingLogin) -> None:
        """Store a pending login again: the provider did not answer, and the browser may try once more."""
        await self._bucket.put(_pending(state), pending.model_dump_json().encode(), ttl=LOGIN_LIFETIME_S)

    async def consume_state(self, state: str) -> PendingLogin | None:
        """Return the pending login with `state`, once; None where there is none."""
        found = await self._bucket.get(_pending(state))
        if found is None:
            return None
        await self._bucket.delete(_pending(state))
        return PendingLogin.model_validate_json(found.value)


def _cipher(id: str) -> Fernet:
    """Return the cipher of a session. Its key is derived from the id, which only the browser has."""
    return Fernet(base64.urlsafe_b64encode(hashlib.sha256(f"renewal:{id}".encode()).digest()))


def _encrypt(id: str, renewal: str | None) -> str | None:
    return _cipher(id).encrypt(renewal.encode()).decode() if renewal else None


def _decrypt(id: str, sealed: str | None) -> str:
    return _cipher(id).decrypt((sealed or "").encode()).decode()


def _key(id: str) -> str:
    return f"session.{token_digest(id)}"


def _pending(state: str) -> str:
    return f"pending.{token_digest(state)}"


def _logout(jti: str) -> str:
    return f"logout.{token_digest(jti)}"
