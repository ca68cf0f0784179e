"""A key for each case, in the bucket `keys`: what its texts are sealed with, and what is destroyed to erase them.

Subject `keys.<case>.<generation>`. A case that is reopened after its texts were erased gets another generation: the
sequence of the order that ended the one before. Nothing in the bucket can be replaced, and what was destroyed is
followed by a marker in its place, so that a late writer cannot bring a key back.
"""

import json
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

from nats import errors
from nats.js.errors import APIError

from shared.contracts.errors import ErasedError, TransientError
from shared.messaging.connection import NatsConnection, WrongSequenceError, sort_api_error
from shared.messaging.master_keys import RandomBytes, unwrap, wrap

BUCKET = "keys"
STREAM = f"KV_{BUCKET}"
KEY_BYTES = 32
MARKER = b"{"
CACHE_SIZE = 256  # cases
CACHE_LIFETIME_S = 600.0  # seconds
MAX_ATTEMPTS = 5


@dataclass(frozen=True, slots=True)
class KeyGeneration:
    """One entry. `key` is as it is stored; None: it was destroyed, by the order at sequence `ended`."""

    number: int
    sequence: int  # in the bucket's stream
    key: bytes | None
    ended: int = 0


class CaseKeys:
    """`random` gives the keys; `clock`, in seconds, says how long one is remembered."""

    def __init__(self, bus: NatsConnection, random: RandomBytes, clock: Callable[[], float] = time.monotonic) -> None:
        self._bus = bus
        self._random = random
        self._clock = clock
        self._known: OrderedDict[tuple[str, int], tuple[bytes, float]] = OrderedDict()
        # The generation that is written with, and the latest event for which it was looked up: a later one may be of a
        # case that was erased and reopened in between.
        self._last: OrderedDict[str, tuple[int, int]] = OrderedDict()

    async def to_seal(self, case: str, at: int) -> tuple[int, bytes]:
        """Return generation and key for a text written because of the event at sequence `at`; create them if necessary.

        Raises ErasedError when the case's texts were erased and nothing came after that.
        """
        number, looked_up = self._last.get(case, (0, -1))
        if at <= looked_up and (known := self._remembered(case, number)) is not None:
            return number, known
        for _ in range(MAX_ATTEMPTS):
            found = await self.generations(case)
            last = found[-1] if found else None
            if last is not None and last.key is not None:
                return last.number, self._remember(case, last.number, self._unwrap(case, last.number, last.key), at)
            if last is not None and at <= last.ended:
                raise ErasedError("the texts of this case were erased")
            number, key = (last.ended if last is not None else 0), self._random(KEY_BYTES)
            try:
                await self._bus.publish(
                    _subject(case, number), self._wrap(case, number, key), stream=STREAM, headers=_first()
                )
            except (WrongSequenceError, TransientError):
                continue  # another process was first, or it is there already: look
            return number, self._remember(case, number, key, at)
        raise TransientError("no key could be kept for this case")

    async def to_open(self, case: str, number: int) -> bytes:
        """Return the key of a generation. Raises ErasedError if it was destroyed, TransientError if it is missing."""
        if (known := self._remembered(case, number)) is not None:
            return known
        found = next((item for item in await self.generations(case) if item.number == number), None)
        if found is None:
            raise TransientError("the key of this case is not there")
        if found.key is None:
            raise ErasedError("the texts of this case were erased")
        return self._remember(case, number, self._unwrap(case, number, found.key))

    async def erased(self, case: str) -> bool:
        """Return whether the case's key was destroyed and no other one was created since."""
        found = await self.generations(case)
        return bool(found) and found[-1].key is None

    async def generations(self, case: str) -> list[KeyGeneration]:
        """Return the stored generations of the case's key, in order."""
        query = {"multi_last": [f"$KV.{BUCKET}.{case}.*"], "batch": 64}
        found = []
        for message in await self._bus.direct_get(STREAM, query):
            headers = dict(message.headers or {})
            number = int(headers["Nats-Subject"].rpartition(".")[2])
            sequence = int(headers["Nats-Sequence"])
            if message.data.startswith(MARKER):
                found.append(KeyGeneration(number, sequence, None, int(json.loads(message.data)["ended"])))
            else:
                found.append(KeyGeneration(number, sequence, message.data))
        return sorted(found, key=lambda item: item.number)

    async def destroy(self, case: str, order: int) -> None:
        """Destroy every key from before the event at sequence `order`, and leave a marker. May be repeated.

        The server overwrites what it deletes by sequence; a key that a late writer makes in between goes as well.
        """
        self.forget(case)
        for _ in range(MAX_ATTEMPTS):
            found = [item for item in await self.generations(case) if item.number < order]
            for item in (item for item in found if item.key is not None):
                await self._delete(item.sequence)
            if any(item.key is None and item.ended >= order for item in found):
                return
            last = found[-1] if found else None
            number = 0 if last is None else last.number if last.key is not None else last.ended
            marker = json.dumps({"ended": order}).encode()
            try:
                await self._bus.publish(_subject(case, number), marker, stream=STREAM, headers=_first())
            except (WrongSequenceError, TransientError):
                continue
        raise TransientError("the key of this case could not be destroyed yet")

    def forget(self, case: str) -> None:
        self._last.pop(case, None)
        for place in [place for place in self._known if place[0] == case]:
            del self._known[place]

    async def _delete(self, sequence: int) -> None:
        try:
            await self._bus.jetstream.delete_msg(STREAM, sequence)
        except APIError as error:
            if error.code not in (400, 404):  # it is gone already
                raise sort_api_error(error, "deleting a key") from None
        except errors.Error as error:
            raise TransientError(f"deleting a key: {type(error).__name__}") from None

    def _remembered(self, case: str, number: int) -> bytes | None:
        key, until = self._known.get((case, number), (None, 0.0))
        return key if until > self._clock() else None

    def _remember(self, case: str, number: int, key: bytes, at: int | None = None) -> bytes:
        self._known[case, number] = key, self._clock() + CACHE_LIFETIME_S
        if at is not None:
            self._last[case] = number, at
        while len(self._known) > CACHE_SIZE:
            self._known.popitem(last=False)
        while len(self._last) > CACHE_SIZE:
            self._last.popitem(last=False)
        return key

    def _wrap(self, case: str, number: int, key: bytes) -> bytes:
        """Return the key as it is stored: encrypted with the first master key, if one is set."""
        return wrap(self._bus.master_keys, self._random, key, _subject(case, number))

    def _unwrap(self, case: str, number: int, stored: bytes) -> bytes:
        """Decrypt a wrapped key. Raises PermanentError when no master key opens it."""
        return unwrap(self._bus.master_keys, stored, _subject(case, number), "the key of this case")


def _subject(case: str, number: int) -> str:
    return f"$KV.{BUCKET}.{case}.{number}"


def _first() -> dict[str, str]:
    return {"Nats-Expected-Last-Subject-Sequence": "0"}
