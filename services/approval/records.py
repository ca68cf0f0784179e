"""Records that texts are held against while they are written: the last few stay indexed, so who types does not wait."""

import asyncio
import time
from weakref import WeakValueDictionary

from services.approval.written import Statement, statements
from shared.contracts.context import EncounterContext
from shared.contracts.draft import Draft
from shared.contracts.model import read_strictly
from shared.grounding import EvidenceIndex
from shared.messaging.artifacts import Artifacts
from shared.runtime.rate_limits import RateLimit

KEPT = 16  # records
SENTENCES = 2_000  # of one record, with what was said of them
# Seconds of the processor for one person's texts: the first look at a long text takes two, a change some milliseconds.
SECONDS, SECONDS_A_SECOND = 6, 0.1


class Records:
    def __init__(self, artifacts: Artifacts) -> None:
        self._artifacts = artifacts
        self._indexed: dict[str, tuple[EvidenceIndex, dict[str, Statement]]] = {}  # by the digest of their context
        self._time = RateLimit("texts", SECONDS, SECONDS_A_SECOND)
        self._turn = asyncio.Lock()
        self._turns: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    async def written(self, case_id: str, draft: Draft, text: str, by: str) -> tuple[Statement, ...]:
        """The sentences of `text` that `draft` does not have, held against the record that it was made from.

        One text at a time, and of one person one in the queue: in a thread, but threads share the processor. Raises
        Problem 429 where the texts of `by` have taken their time.
        """
        if text == draft.text:
            return ()
        context = await self._artifacts.of(case_id).get(draft.context_digest)
        async with self._turns.setdefault(by, asyncio.Lock()):
            await self._time.admit(by, counted=False)
            async with self._turn:
                found, took = await asyncio.to_thread(self._held_against, draft, text, context)
            self._time.spend(by, took)
        return found

    def _held_against(self, draft: Draft, text: str, context: bytes) -> tuple[tuple[Statement, ...], float]:
        """In a thread: to index a long record takes its time, and others are served. With the seconds that it took."""
        began = time.thread_time()
        indexed = self._indexed.get(draft.context_digest)
        if indexed is None:
            if len(self._indexed) >= KEPT:
                self._indexed.pop(next(iter(self._indexed)), None)
            indexed = self._indexed[draft.context_digest] = (
                EvidenceIndex(read_strictly(EncounterContext, context)),
                {},
            )
        record, checked = indexed
        if len(checked) > SENTENCES:
            checked.clear()
        found = statements(draft, text, record, checked)
        return found, time.thread_time() - began
