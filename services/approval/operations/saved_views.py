"""Filters of the list of cases that a person has named."""

import hashlib

from pydantic import BaseModel, ConfigDict, ValidationError

from shared.contracts.errors import TransientError
from shared.messaging.buckets import Bucket
from shared.messaging.connection import NatsConnection, WrongSequenceError

BUCKET = "reviews"
MOST = 30  # views of a person
ATTEMPTS = 5


class SavedView(BaseModel):
    """`query` is the query string of the list."""

    model_config = ConfigDict(frozen=True)

    name: str
    query: str


class _Stored(BaseModel):
    views: tuple[SavedView, ...] = ()


class TooManyViewsError(Exception):
    """The person has as many views as one may have."""


class SavedViews:
    """Saved views of each person, stored under the digest of their subject."""

    def __init__(self, bus: NatsConnection) -> None:
        self._bucket = Bucket(bus, BUCKET)

    async def of(self, subject: str) -> tuple[SavedView, ...]:
        """Return the person's views by name."""
        return (await self._read(subject))[0]

    async def save(self, subject: str, view: SavedView) -> None:
        """Add a view, or replace that of its name. Raises TooManyViewsError."""
        await self._change(subject, view.name, view)

    async def remove(self, subject: str, name: str) -> None:
        """Remove the view of that name, if there is one."""
        await self._change(subject, name, None)

    async def _change(self, subject: str, name: str, view: SavedView | None) -> None:
        for _ in range(ATTEMPTS):
            before, revision = await self._read(subject)
            after = [item for item in before if item.name != name] + ([view] if view is not None else [])
            if len(after) > MOST:
                raise TooManyViewsError
            stored = _Stored(views=tuple(sorted(after, key=lambda item: item.name.casefold())))
            try:
                await self._bucket.put(_key(subject), stored.model_dump_json().encode(), revision=revision)
            except WrongSequenceError:
                continue
            return
        raise TransientError("the views were changed at the same time")

    async def _read(self, subject: str) -> tuple[tuple[SavedView, ...], int]:
        entry = await self._bucket.get(_key(subject))
        if entry is None:
            return (), 0
        try:
            return _Stored.model_validate_json(entry.value).views, entry.revision
        except ValidationError:
            return (), entry.revision


def _key(subject: str) -> str:
    return f"views.{hashlib.sha256(subject.encode()).hexdigest()}"
