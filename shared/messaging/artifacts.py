"""Texts by case and SHA-256 in the `artifacts` bucket, encrypted with the case's key. The only place that stores PHI.

Subject `artifacts.<case>.<digest>`; the digest is of the plaintext, as the events name it. Texts from before cases had
keys are unencrypted under `artifacts.<digest>` and stay readable.
"""

import os
from collections.abc import Sequence

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from nats import errors
from nats.aio.msg import Msg
from nats.js.errors import APIError

from shared.contracts.envelope import sha256_hex
from shared.contracts.errors import ErasedError, PermanentError, TransientError
from shared.messaging.case_keys import CaseKeys
from shared.messaging.connection import NatsConnection, WrongSequenceError, sort_api_error
from shared.messaging.master_keys import NONCE, RandomBytes

BUCKET = "artifacts"
STREAM = f"KV_{BUCKET}"
SEALED = b"\x01"
MARKER = b"erased"  # stands where a text was
GENERATION = 8  # bytes


class Artifacts:
    """`random` gives keys and nonces."""

    def __init__(self, bus: NatsConnection, random: RandomBytes = os.urandom) -> None:
        self._bus = bus
        self._random = random
        self.keys = CaseKeys(bus, random)

    def of(self, case: str, at: int = 0) -> "CaseTexts":
        """Return the texts of one case. `at` is the stream sequence of the event because of which they are written."""
        return CaseTexts(self, case, at)

    async def store(self, case: str, at: int, data: bytes) -> str:
        """Read and decrypt the text with this digest. Raises ErasedError, TransientError, PermanentError."""
        key = sha256_hex(data)
        number, secret = await self.keys.to_seal(case, at)
        nonce = self._random(NONCE)
        sealed = AESGCM(secret).encrypt(nonce, data, _about(case, key))
        value = SEALED + number.to_bytes(GENERATION, "big") + nonce + sealed
        try:
            await self._bus.publish(f"$KV.{BUCKET}.{case}.{key}", value, stream=STREAM)
        except TransientError as refused:  # the server takes a text once: it may stand there already
            try:
                await self.read([(case, key)])
            except TransientError:
                raise refused from None
        return key

    async def read(self, wanted: Sequence[tuple[str, str]], *, whole: bool = True) -> dict[str, bytes]:
        """Return digest → text for pairs of case and digest, in one request and one for each case with an unknown key.

        Unless `whole`, missing and erased texts are left out. Raises ErasedError; TransientError, also when a text is
        missing, since a replica that is behind may have answered; PermanentError when a text does not have its digest.
        """
        if not wanted:
            return {}
        subjects = [name for case, key in wanted for name in (f"$KV.{BUCKET}.{case}.{key}", f"$KV.{BUCKET}.{key}")]
        answer = await self._bus.direct_get(STREAM, {"multi_last": subjects, "batch": len(subjects)})
        stored = {dict(item.headers or {})["Nats-Subject"]: item for item in answer}
        found: dict[str, bytes] = {}
        for case, key in wanted:
            try:
                found[key] = await self._decrypt(
                    case, key, stored.get(f"$KV.{BUCKET}.{case}.{key}"), stored.get(f"$KV.{BUCKET}.{key}")
                )
            except (ErasedError, TransientError):
                if whole:
                    raise
        return found

    async def _decrypt(self, case: str, key: str, sealed: Msg | None, plain: Msg | None) -> bytes:
        if sealed is not None:
            data = await self._decrypt_with_key(case, key, sealed.data)
        elif plain is not None:
            data = plain.data
        elif await self.keys.erased(case):
            raise ErasedError("the texts of this case were erased")
        else:
            raise TransientError(f"artifact {key[:12]}… is not there")
        if sha256_hex(data) != key:
            raise PermanentError(f"artifact {key[:12]}… is not what its digest says")
        return data

    async def _decrypt_with_key(self, case: str, key: str, value: bytes) -> bytes:
        if value == MARKER:
            raise ErasedError("this text was erased")
        start = len(SEALED) + GENERATION
        secret = await self.keys.to_open(case, int.from_bytes(value[len(SEALED) : start], "big"))
        try:
            return AESGCM(secret).decrypt(value[start : start + NONCE], value[start + NONCE :], _about(case, key))
        except (InvalidTag, ValueError):
            raise PermanentError(f"artifact {key[:12]}… is not what was sealed") from None

    async def erase(self, case: str, digests: Sequence[str]) -> None:
        """Remove these texts of a case, and leave a marker where each stood. May be repeated."""
        for key in digests:
            await self._purge(f"$KV.{BUCKET}.{key}")  # from before cases had keys
            stands = await self._last(f"$KV.{BUCKET}.{case}.{key}")
            if stands and stands[-1].data == MARKER:
                continue
            await self._purge(f"$KV.{BUCKET}.{case}.{key}")
            first = {"Nats-Expected-Last-Subject-Sequence": "0"}
            try:
                await self._bus.publish(f"$KV.{BUCKET}.{case}.{key}", MARKER, stream=STREAM, headers=first)
            except WrongSequenceError:
                raise TransientError("a text was written while it was being erased") from None

    async def erase_case(self, case: str, order: int, digests: Sequence[str]) -> None:
        """Destroy the case's key and remove all its texts; `order` is the sequence of the event that orders it.

        `digests` are those that the events name: some texts, from before cases had keys, may be unencrypted.
        Idempotent.
        """
        subject = f"$KV.{BUCKET}.{case}.>"
        # What is written later belongs to a case that was reopened, and to another key.
        last = [int(dict(item.headers or {})["Nats-Sequence"]) for item in await self._last(subject)]
        await self.keys.destroy(case, order)
        if last:
            await self._purge(subject, up_to=max(last))
        for key in digests:
            await self._purge(f"$KV.{BUCKET}.{key}")

    async def _last(self, subject: str) -> list[Msg]:
        return await self._bus.direct_get(STREAM, {"last_by_subj": subject})

    async def _purge(self, subject: str, up_to: int | None = None) -> None:
        end = None if up_to is None else up_to + 1  # the server's bound is exclusive
        try:
            await self._bus.jetstream.purge_stream(STREAM, seq=end, subject=subject)
        except APIError as error:
            raise sort_api_error(error, "erasing a text") from None
        except errors.Error as error:
            raise TransientError(f"erasing a text: {type(error).__name__}") from None


class CaseTexts:
    """Immutable: the key is the digest of the value, so storing twice changes nothing."""

    def __init__(self, artifacts: Artifacts, case: str, at: int) -> None:
        self._artifacts, self._case, self._at = artifacts, case, at

    async def put(self, data: bytes) -> str:
        """Store `data`; returns its digest. Raises ErasedError, TransientError, PermanentError."""
        return await self._artifacts.store(self._case, self._at, data)

    async def get(self, key: str) -> bytes:
        """Return the text stored under `key`. Raises as `Artifacts.read` does."""
        return (await self._artifacts.read([(self._case, key)]))[key]

    async def get_many(self, keys: Sequence[str]) -> dict[str, bytes]:
        """Return the texts stored under `keys`, in one request; without those that are missing or erased."""
        return await self._artifacts.read([(self._case, key) for key in keys], whole=False)


def _about(case: str, key: str) -> bytes:
    return f"{case}/{key}".encode()
