"""Records that texts are held against while they are written: the last few stay indexed, so who types does not wait."""

import asyncio

from services.approval.written import Statement, statements
from shared.contracts.context import EncounterContext
from shared.contracts.draft import Draft
from shared.contracts.model import read_whole
from shared.grounding import Record
from shared.messaging.artifacts import Artifacts

KEPT = 16


class Records:
    def __init__(self, artifacts: Artifacts) -> None:
        self._artifacts = artifacts
        self._indexed: dict[str, Record] = {}  # by the digest of their context

    async def written(self, case_id: str, draft: Draft, text: str) -> tuple[Statement, ...]:
        """The sentences of `text` that `draft` does not have, held against the record that it was made from."""
        if text == draft.text:
            return ()
        context = await self._artifacts.of(case_id).get(draft.context_digest)
        return await asyncio.to_thread(self._held_against, draft, text, context)

    def _held_against(self, draft: Draft, text: str, context: bytes) -> tuple[Statement, ...]:
        """In a thread: to index a long record takes its time, and others are served."""
        record = self._indexed.get(draft.context_digest)
        if record is None:
            if len(self._indexed) >= KEPT:
                self._indexed.pop(next(iter(self._indexed)), None)
            record = self._indexed[draft.context_digest] = Record(read_whole(EncounterContext, context))
        return statements(draft, text, record)
