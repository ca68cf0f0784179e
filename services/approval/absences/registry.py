"""Absences in the bucket `department`: one entry for each department, so that one read has all of them."""

from collections.abc import Callable

from services.approval.absences.rules import Absence, DepartmentAbsences, owner_of
from shared.contracts.errors import TransientError
from shared.messaging.buckets import Bucket
from shared.messaging.connection import NatsConnection, WrongSequenceError
from shared.messaging.steps import Clock

BUCKET = "department"
MAX_CHANGES = 5  # attempts, if others change the absences at the same time

Change = Callable[[tuple[Absence, ...]], tuple[Absence, ...]]


class AbsenceRegistry:
    def __init__(self, bus: NatsConnection, clock: Clock) -> None:
        self._bucket = Bucket(bus, BUCKET)
        self._clock = clock

    async def of(self, department: str) -> tuple[Absence, ...]:
        """Return every absence of the department, also those that have ended."""
        entry = await self._bucket.get(_key(department))
        return DepartmentAbsences.read(entry.value).items if entry is not None else ()

    async def all(self) -> list[Absence]:
        """Return every absence of every department."""
        return [item async for entry in self._bucket.scan("absences") for item in _items(entry.value)]

    async def owner_of(self, department: str, attending: str | None) -> str | None:
        """Return who gets a review of this attending that is requested now. Raises TransientError."""
        if attending is None:
            return None
        return owner_of(await self.of(department), attending, self._clock())

    async def change(self, department: str, change: Change) -> tuple[Absence, ...]:
        """Apply `change` to the latest absences, and return what is stored then. Raises what `change` does."""
        for _ in range(MAX_CHANGES):
            entry = await self._bucket.get(_key(department))
            before = _items(entry.value) if entry is not None else ()
            after = change(before)
            if after == before:
                return before
            data = DepartmentAbsences(items=after).model_dump_json().encode()
            try:
                await self._bucket.put(_key(department), data, revision=entry.revision if entry is not None else 0)
            except WrongSequenceError:
                continue
            return after
        raise TransientError("the absences are being changed by others")


def _key(department: str) -> str:
    return f"absences.{department}"


def _items(value: bytes) -> tuple[Absence, ...]:
    return DepartmentAbsences.read(value).items
