"""Autosave of unsigned text: stored on the server by person and draft, so that a reload loses nothing."""

import hashlib

from pydantic import BaseModel, ConfigDict, Field

from services.approval.review.signing_rules import ResolvedItems
from shared.contracts.draft import Draft
from shared.contracts.events import ReadingFigures
from shared.messaging.buckets import Bucket
from shared.messaging.connection import NatsConnection

BUCKET = "working"
RETENTION_SECONDS = 14 * 86_400
PREPARED_RETENTION_SECONDS = 60 * 86_400  # of edits to a prepared draft, which wait for the discharge


class AutosavedDraft(BaseModel):
    """One person's copy of one draft."""

    model_config = ConfigDict(frozen=True)

    text: str
    draft: str = ""  # digest of the draft that the numbers below are of; empty in copies from before it was kept
    confirmed: tuple[int, ...] = ()  # sentences without support that are to stand
    acknowledged: tuple[int, ...] = ()  # open points that were seen
    written: frozenset[str] = frozenset()  # digests of sentences of their own that are to stand
    reason: str = ""  # why a document that is filed is corrected
    seconds: int = Field(default=0, ge=0)  # that the page was in front; 0 where the browser runs no script
    seen: frozenset[int] = frozenset()  # parts that came into view

    @property
    def resolved(self) -> ResolvedItems:
        return ResolvedItems(dict.fromkeys(self.confirmed, "confirmed"), self.acknowledged, self.written)

    def reading(self, draft: Draft) -> ReadingFigures | None:
        """Return how much of `draft` was read; None where the browser did not report it."""
        if not self.seconds and not self.seen:
            return None
        parts = range(len(draft.parts))
        viewed = len(self.seen.intersection(parts))
        return ReadingFigures(seconds=self.seconds, parts_viewed=viewed, parts=len(parts))


class DraftAutosave:
    def __init__(self, bus: NatsConnection) -> None:
        self._bucket = Bucket(bus, BUCKET)

    async def find(self, case_id: str, draft: str, subject: str) -> AutosavedDraft | None:
        found = await self._bucket.get(_key(case_id, draft, subject))
        return AutosavedDraft.model_validate_json(found.value) if found else None

    async def save(
        self, case_id: str, draft: str, subject: str, copy: AutosavedDraft, ttl: int = RETENTION_SECONDS
    ) -> None:
        """Store the copy for `ttl` seconds; the last write wins."""
        await self._bucket.put(_key(case_id, draft, subject), copy.model_dump_json().encode(), ttl=ttl)

    async def drop(self, case_id: str, draft: str, subject: str) -> None:
        """Delete the copy after the decision."""
        await self._bucket.delete(_key(case_id, draft, subject))


def _key(case_id: str, draft: str, subject: str) -> str:
    return f"{case_id}.{hashlib.sha256(f'{draft}/{subject}'.encode()).hexdigest()[:32]}"
