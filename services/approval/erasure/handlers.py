"""Erase the texts of a case: record the erasure for restores, destroy the key, then delete what it sealed.

A process that ends at any point repeats all of it.
"""

import asyncio
from collections.abc import Sequence
from pathlib import Path

from services.approval.erasure import rules
from services.approval.filing.mdm.outbox import Outbox
from services.approval.filing.renditions.store import RenditionStore
from services.approval.review.autosave import BUCKET as WORKING
from shared.contracts.envelope import RecordedEvent
from shared.contracts.errors import as_transient
from shared.contracts.retention import Erased, ErasureOrdered
from shared.messaging.artifacts import Artifacts
from shared.messaging.buckets import Bucket
from shared.messaging.connection import NatsConnection
from shared.messaging.erasures import ErasureList, ListedErasure
from shared.messaging.evaluations import EvaluationLog
from shared.messaging.event_store import EventStore
from shared.messaging.steps import StepContext


class ErasureHandler:
    def __init__(self, bus: NatsConnection, evaluations: EvaluationLog, folder: Path | None = None) -> None:
        """`folder` contains the list of erasures, which a restore reads."""
        self._list = ErasureList(folder) if folder is not None else None
        self._event_store = EventStore(bus, "approval")
        self._artifacts = Artifacts(bus)
        self._working = Bucket(bus, WORKING)
        self._renditions = RenditionStore(bus)
        self._outbox = Outbox(bus)
        self._evaluations = evaluations

    async def erase(self, work: StepContext[ErasureOrdered]) -> Erased:
        """Destroy keys and texts as ordered. It is retried without limit."""
        ordered, case = work.event, work.cause.case
        with as_transient():
            history = await self._event_store.history_with(work.cause)
            texts = rules.texts_of(history)
            for decision in rules.decisions_of(history):
                stored = [*await self._renditions.digests(decision), *await self._outbox.digests(decision)]
                texts["renditions"] |= set(stored) - texts["signed"]
            # Of a case whose draft was signed, no kind of text would take those of a trial: they go with the first.
            trials = await self._evaluations.drafts_kept(case.id)
            of_trials = {digest for kept in trials for digest in (kept.candidate_draft, kept.live_draft)}
            digests = sorted({digest for kind in ordered.kinds for digest in texts[kind]} | of_trials)
            if self._list is not None:
                await asyncio.to_thread(self._list.add, _listed(work.cause, ordered, digests))
            if ordered.whole:
                await self._artifacts.erase_case(case.id, work.cause.head.sequence, digests)
                async for entry in self._working.scan(case.id):
                    await self._working.delete(entry.key)
            else:
                await self._artifacts.erase(case.id, digests)
        return rules.carried_out(ordered, len(digests))


def _listed(cause: RecordedEvent, ordered: ErasureOrdered, digests: Sequence[str]) -> ListedErasure:
    return ListedErasure(
        id=cause.id,
        time=cause.time,
        department=cause.case.department,
        case=cause.case.id,
        ground=ordered.ground,
        kinds=ordered.kinds,
        reference=ordered.reference,
        by=ordered.by,
        texts=tuple(digests),
    )
