"""Make checkpoints of the event stream in a folder, one file each. NATS administrators must not have access to it.

A checkpoint covers a limited number of events, so that the memory for making or verifying one does not grow with the
stream. A stream that is older than its first checkpoint gets several, one after the other.
"""

import os
import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key, load_pem_public_key

from shared.contracts.checkpoint import (
    CaseHead,
    Checkpoint,
    SignedCheckpoint,
    access_digest,
    next_checkpoint,
    read_heads,
    read_signed,
    sign,
    to_lines,
)
from shared.contracts.envelope import chain_digest
from shared.contracts.errors import PermanentError, TransientError
from shared.contracts.subjects import parse_case_subject
from shared.messaging.access_log import STREAM as ACCESS
from shared.messaging.connection import NatsConnection
from shared.messaging.event_store import STREAM, EventStore, raw_message_of

MAX_EVENTS = 20_000  # events of DISCHARGE, and entries of ACCESS, that one checkpoint covers
PAGE = 512
SUFFIX = ".jsonl"


def signing_key(file: Path) -> Ed25519PrivateKey:
    """Read a private key. Raises PermanentError."""
    try:
        key = load_pem_private_key(file.read_bytes(), password=None)
    except (OSError, ValueError, TypeError):
        raise PermanentError(f"{file} holds no private key") from None
    if not isinstance(key, Ed25519PrivateKey):
        raise PermanentError(f"{file} holds a key of another kind: Ed25519 is wanted")
    return key


def public_key(file: Path) -> Ed25519PublicKey:
    """Read a public key. Raises PermanentError."""
    try:
        key = load_pem_public_key(file.read_bytes())
    except (OSError, ValueError, TypeError):
        raise PermanentError(f"{file} holds no public key") from None
    if not isinstance(key, Ed25519PublicKey):
        raise PermanentError(f"{file} holds a key of another kind: Ed25519 is wanted")
    return key


class Folder:
    """The checkpoints in a folder, by their numbers. Files are added, whole or not at all, and never changed."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def numbers(self) -> list[int]:
        """Return the numbers of the checkpoints. Raises PermanentError if the folder cannot be read."""
        try:
            names = [file.name for file in self._path.iterdir() if file.suffix == SUFFIX]
        except OSError as error:
            raise PermanentError(f"the folder of checkpoints cannot be read ({type(error).__name__})") from None
        return sorted(int(stem) for name in names if (stem := name.removesuffix(SUFFIX)).isdigit())

    def last(self) -> SignedCheckpoint | None:
        """Return the last checkpoint; None if there is none. Raises PermanentError."""
        numbers = self.numbers()
        if not numbers:
            return None
        with self.open(numbers[-1]) as (signed, _):
            return signed

    @contextmanager
    def open(self, number: int) -> Iterator[tuple[SignedCheckpoint, Iterator[CaseHead]]]:
        """Open one checkpoint and its heads, which are read lazily. Raises PermanentError."""
        try:
            file = self._file(number).open("rb")
        except OSError as error:
            raise PermanentError(f"checkpoint {number} cannot be read ({type(error).__name__})") from None
        with file:
            lines = iter(file)
            yield read_signed(lines), read_heads(lines)

    def add(self, signed: SignedCheckpoint, heads: list[CaseHead]) -> bool:
        """Add a checkpoint; return False if another process has added its number. Raises TransientError."""
        number = signed.checkpoint.number
        unfinished = self._path / f".{number}-{secrets.token_hex(8)}"
        try:
            with unfinished.open("xb") as file:
                file.writelines(to_lines(signed, heads))
                file.flush()
                os.fsync(file.fileno())
            try:
                os.link(unfinished, self._file(number))
            except FileExistsError:
                return False
            finally:
                unfinished.unlink()
        except OSError as error:
            raise TransientError(f"the checkpoint cannot be written ({type(error).__name__})") from None
        return True

    def _file(self, number: int) -> Path:
        return self._path / f"{number:010}{SUFFIX}"


class Checkpoints:
    """Makes checkpoints. The user of `bus` must have read access to the streams DISCHARGE and ACCESS."""

    def __init__(
        self, bus: NatsConnection, folder: Folder, key: Ed25519PrivateKey, clock: Callable[[], datetime]
    ) -> None:
        self._bus = bus
        self._folder = folder
        self._key = key
        self._clock = clock
        self._event_store = EventStore(bus, "auditor")

    async def make(self) -> Checkpoint | None:
        """Make the next checkpoint; None if nothing has happened since the last, or another process was faster.

        Raises PermanentError if the last was signed with another key or is ahead of the event stream; TransientError.
        """
        before = self._folder.last()
        if before is not None and not before.is_signed_by(self._key.public_key()):
            raise PermanentError("the last checkpoint was not signed with this key")
        at = before.checkpoint.last if before else 0
        if await self._last() < at:
            raise PermanentError("the event stream ends before its last checkpoint: it was restored, or truncated")
        last, heads = await self._heads(at)
        seen = before.checkpoint.access_last if before else 0
        access = await self._access(seen, before.checkpoint.access if before else "")
        if last == at and access[0] == seen:
            return None
        signed = sign(next_checkpoint(before, heads, time=self._clock(), last=last, access=access), self._key)
        return signed.checkpoint if self._folder.add(signed, heads) else None

    async def _last(self) -> int:
        found = await self._bus.direct_get(STREAM, {"last_by_subj": "discharge.>"})
        return max((raw_message_of(message).sequence for message in found), default=0)

    async def _heads(self, at: int) -> tuple[int, list[CaseHead]]:
        """Return the last covered event after `at`, and the heads of the cases that changed, in stream order."""
        heads: dict[str, CaseHead] = {}
        last = at
        async for page in self._event_store.pages("discharge.>", start=at + 1):
            for item in page:
                case = parse_case_subject(item.subject)[0].id
                heads[case] = CaseHead(case, item.sequence, chain_digest(item.headers, item.data))
                last = item.sequence
            if last - at >= MAX_EVENTS:
                break
        return last, sorted(heads.values(), key=lambda head: head.sequence)

    async def _access(self, at: int, digest: str) -> tuple[int, str]:
        """Return the last covered entry of ACCESS, and the digest up to it."""
        start = at
        while at - start < MAX_EVENTS:
            query = {"seq": at + 1, "next_by_subj": "access.>", "batch": PAGE}
            page = [raw_message_of(message) for message in await self._bus.direct_get(ACCESS, query)]
            for item in page:
                digest = access_digest(digest, item.sequence, item.subject, item.data)
                at = item.sequence
            if len(page) < PAGE:
                break
        return at, digest
