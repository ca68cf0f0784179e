"""Evaluations of drafter configurations: begin one on filed cases, and say what it has found."""

import asyncio
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime

from nats.aio.msg import Msg

from services.evaluator.draft_metrics import EvaluationResult, evaluate
from services.evaluator.signed_stays import stay_of
from shared.contracts.case_values import Actor
from shared.contracts.drafter_states import DocumentDrafters, DrafterEntry
from shared.contracts.envelope import RecordedEvent
from shared.contracts.evaluations import EvaluationRequested, ItemJudged, ItemReady, parse_evaluation_subject
from shared.contracts.quality_gate import GateLimits, gate_limits
from shared.contracts.subjects import derived_id
from shared.messaging.drafter_registry import DrafterRegistry
from shared.messaging.evaluations import EvaluationLog, read_evaluation_event

CONSUMER = "evaluator-evaluate"
MAX_REMEMBERED = 200  # results


@dataclass(frozen=True, slots=True)
class Evaluation:
    """An evaluation and its result so far."""

    id: str
    requested: EvaluationRequested
    result: EvaluationResult
    time: datetime  # of the request


class Evaluations:
    """Begins evaluations, and computes their results from what is recorded of each stay."""

    def __init__(self, log: EvaluationLog, registry: DrafterRegistry | None = None) -> None:
        """`registry` knows the limits that kinds of documents declare; without it the defaults hold."""
        self._log = log
        self._registry = registry
        self._results: dict[str, tuple[int, GateLimits, EvaluationResult]] = {}  # by evaluation, with stays judged

    async def begin(self, requested: EvaluationRequested) -> str:
        """Begin an evaluation, and return its id. The same configurations and stays are one evaluation.

        So are they as a trial, which is another one.
        """
        stays = "/".join(f"{item.case}.{item.context}.{item.signed}" for item in requested.items)
        kind = "trial" if requested.keep_drafts else "evaluation"
        evaluation = derived_id(f"{requested.candidate}/{requested.live}/{stays}", kind)
        await self._log.append(evaluation, requested)
        return evaluation

    async def shadow(self, state: DocumentDrafters, approved: RecordedEvent) -> None:
        """Request that a signed stay is drafted again by the shadow of its kind of document."""
        shadow = state.shadow
        item = stay_of(approved, state.document)
        if shadow is None or shadow.against is None or item is None or approved.time < shadow.since:
            return
        evaluation = shadow_evaluation(shadow)
        by = Actor(subject=shadow.by, role="operator")
        pair = {"candidate": shadow.configuration, "live": shadow.against}
        request = EvaluationRequested(document=state.document, items=(), by=by, reason=shadow.reason, **pair)
        await self._log.append(evaluation, request)
        await self._log.append(evaluation, ItemReady(number=approved.head.sequence, item=item, **pair))

    async def receive(self, message: Msg) -> None:
        """Enqueue the stays of an evaluation for the drafter, each once. Raises TransientError, PermanentError."""
        evaluation, _ = parse_evaluation_subject(message.subject)
        requested = read_evaluation_event(EvaluationRequested, message.data)
        for number, item in enumerate(requested.items, 1):
            pair = {"candidate": requested.candidate, "live": requested.live}
            ready = ItemReady(number=number, item=item, keep_drafts=requested.keep_drafts, **pair)
            await self._log.append(evaluation, ready)

    async def find(self, evaluation: str) -> Evaluation | None:
        found = await self._log.request(evaluation)
        return await self._with_result(evaluation, *found) if found is not None else None

    async def _with_result(self, evaluation: str, requested: EvaluationRequested, time: datetime) -> Evaluation:
        judged = await self._log.judged(evaluation)
        limits = await self._limits(requested.document)
        before = self._results.get(evaluation)
        if before is None or before[:2] != (len(judged), limits):  # each stay is judged once
            # In a thread: resampling hundreds of stays takes longer than a request may hold up the others.
            result = await asyncio.to_thread(evaluate, judged, len(requested.items), limits=limits)
            if len(self._results) >= MAX_REMEMBERED:
                self._results.clear()
            before = self._results[evaluation] = len(judged), limits, result
        return Evaluation(evaluation, requested, before[2], time)

    async def _limits(self, document: str) -> GateLimits:
        """Return the limits of a kind of document, as the drafter that started last declares them."""
        return gate_limits((await self._registry.state(document)).gate if self._registry is not None else {})

    async def stays(self, evaluation: str) -> list[ItemJudged]:
        """Return the stays that were drafted so far, in the order of their numbers."""
        return sorted(await self._log.judged(evaluation), key=lambda item: item.number)

    async def of(self, candidate: str) -> list[Evaluation]:
        """Return the evaluations of a configuration, oldest first."""
        return (await self.by_candidate({candidate}))[candidate]

    async def by_candidate(self, candidates: Collection[str]) -> dict[str, list[Evaluation]]:
        """Return the evaluations of each of some configurations, oldest first."""
        found: dict[str, list[Evaluation]] = {candidate: [] for candidate in candidates}
        requests = [item async for item in self._log.requests()] if candidates else []
        for id, requested, time in requests:
            if requested.candidate in found:
                found[requested.candidate].append(await self._with_result(id, requested, time))
        return found


def shadow_evaluation(shadow: DrafterEntry) -> str:
    """Return the id of the evaluation of a shadow: another one each time that it is begun."""
    return derived_id(f"{shadow.configuration}/{shadow.began}", "shadow")
