"""Answers to requests with an `Idempotency-Key`, kept for a day: a repeated request gets the first answer.

A key is stored as a digest. An answer is encrypted with the service's master keys, where it has any, because some
answers have a secret. https://datatracker.ietf.org/doc/draft-ietf-httpapi-idempotency-key-header/
"""

import base64
import hashlib
import os
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from pydantic import AwareDatetime

from shared.contracts.model import Model
from shared.messaging.buckets import Bucket
from shared.messaging.connection import NatsConnection, WrongSequenceError
from shared.messaging.event_store import Clock
from shared.messaging.master_keys import RandomBytes, unwrap, wrap

BUCKET = "idempotency"
KEPT_S = 24 * 60 * 60
# A request that has begun and not ended for as long was lost with its process; it may be sent again.
LOST_AFTER = timedelta(minutes=2)

Verdict = Literal["run", "answered", "running", "other"]


class RequestInProgressError(Exception):
    """The first request with this key has no answer yet."""


class KeyReusedError(Exception):
    """The key was used for another request."""


class Answer(Model):
    """An HTTP answer. `body` is in base64, and wrapped."""

    status: int
    headers: dict[str, str]
    body: str


class KeyedRequest(Model):
    """A request with a key. `fingerprint` is a digest of what was sent.

    `released`: it had no effect, so that the key may be used again.
    """

    fingerprint: str
    state: Literal["running", "answered", "released"]
    since: AwareDatetime
    answer: Answer | None = None


@dataclass(frozen=True, slots=True)
class Claim:
    """The right to execute the request of a key. `revision` is that of its entry."""

    key: str
    fingerprint: str
    revision: int


def name_of(*parts: str) -> str:
    """Return the digest that stands for a key and what it is scoped to."""
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()


def verdict(stored: KeyedRequest, fingerprint: str, now: datetime) -> Verdict:
    """Return what to do about a request whose key is known. Pure."""
    if stored.state == "released":
        return "run"
    if stored.fingerprint != fingerprint:
        return "other"
    if stored.state == "answered":
        return "answered"
    return "run" if now - stored.since > LOST_AFTER else "running"


class IdempotencyStore:
    """The answers of one service. `random` gives the nonces of wrapped bodies."""

    def __init__(self, bus: NatsConnection, service: str, clock: Clock, random: RandomBytes = os.urandom) -> None:
        self._bus = bus
        self._service = service
        self._clock = clock
        self._random = random
        self._bucket = Bucket(bus, BUCKET)

    async def claim(self, name: str, fingerprint: str) -> Claim | tuple[int, dict[str, str], bytes]:
        """Return the right to execute the request; the stored answer (status, headers, body) where it was executed.

        Of requests at the same time one gets the right. Raises RequestInProgressError, KeyReusedError, TransientError.
        """
        key, now = f"{self._service}.{name}", self._clock()
        begun = KeyedRequest(fingerprint=fingerprint, state="running", since=now)
        revision = 0
        for _ in range(2):
            try:
                return Claim(key, fingerprint, await self._put(key, begun, revision))
            except WrongSequenceError:
                entry = await self._bucket.get(key)
            if entry is None:
                raise RequestInProgressError  # a replica that is behind has not got it yet
            stored = KeyedRequest.read(entry.value)
            match verdict(stored, fingerprint, now):
                case "answered":
                    return self._unwrapped(key, stored.answer)
                case "running":
                    raise RequestInProgressError
                case "other":
                    raise KeyReusedError
            revision = entry.revision
        raise RequestInProgressError

    async def store(self, claim: Claim, status: int, headers: dict[str, str], body: bytes) -> None:
        """Store the answer to the request. Raises TransientError; WrongSequenceError where it took too long."""
        wrapped = wrap(self._bus.master_keys, self._random, body, _about(claim.key))
        answer = Answer(status=status, headers=headers, body=base64.b64encode(wrapped).decode())
        await self._end(claim, "answered", answer)

    async def release(self, claim: Claim) -> None:
        """Let the key be used again: the request had no effect. Raises as `store` does."""
        await self._end(claim, "released", None)

    async def _end(self, claim: Claim, state: Literal["answered", "released"], answer: Answer | None) -> None:
        ended = KeyedRequest(fingerprint=claim.fingerprint, state=state, since=self._clock(), answer=answer)
        await self._put(claim.key, ended, claim.revision)

    async def _put(self, key: str, request: KeyedRequest, revision: int) -> int:
        return await self._bucket.put(key, request.model_dump_json().encode(), revision=revision, ttl=KEPT_S)

    def _unwrapped(self, key: str, answer: Answer | None) -> tuple[int, dict[str, str], bytes]:
        if answer is None:
            raise RequestInProgressError
        stored = base64.b64decode(answer.body)
        body = unwrap(self._bus.master_keys, stored, _about(key), "the stored answer to a request")
        return answer.status, answer.headers, body


def _about(key: str) -> str:
    return f"$KV.{BUCKET}.{key}"
