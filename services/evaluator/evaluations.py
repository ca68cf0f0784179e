"""Evaluations of drafter configurations: begin one on filed cases, and say what it has found."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

from nats.aio.msg import Msg

from services.evaluator.draft_metrics import EvaluationResult, evaluate
from shared.contracts.case_values import Actor
from shared.contracts.drafter_states import DocumentDrafters, DrafterEntry
from shared.contracts.envelope import RecordedEvent
from shared.contracts.evaluations import EvaluationItem, EvaluationRequested, ItemReady, parse_evaluation_subject
from shared.contracts.events import Approved, name_of
from shared.contracts.subjects import case_filter, derived_id
from shared.messaging.connection import NatsConnection
from shared.messaging.evaluations import EvaluationLog, read_evaluation_event
from shared.messaging.event_store import STREAM, EventStore, sort_readable

WINDOW = 20_000  # sequences of the event stream that are looked through at a time, from its end
WINDOWS = 50
CONSUMER = "evaluator-evaluate"


@dataclass(frozen=True, slots=True)
class Evaluation:
    """An evaluation and its result so far."""

    id: str
    requested: EvaluationRequested
    result: EvaluationResult


class Evaluations:
    def __init__(self, bus: NatsConnection, log: EvaluationLog) -> None:
        self._bus = bus
        self._log = log
        self._cases = EventStore(bus, "evaluator")

    async def begin(
        self, document: str, candidate: str, live: str, items: Sequence[EvaluationItem], by: Actor, reason: str
    ) -> str:
        """Begin an evaluation, and return its id. The same configurations and stays are one evaluation."""
        stays = "/".join(f"{item.case}.{item.context}.{item.signed}" for item in items)
        evaluation = derived_id(f"{candidate}/{live}/{stays}", "evaluation")
        requested = EvaluationRequested(
            document=document, candidate=candidate, live=live, items=tuple(items), by=by, reason=reason
        )
        await self._log.append(evaluation, requested)
        return evaluation

    async def shadow(self, state: DocumentDrafters, approved: RecordedEvent) -> None:
        """Have a stay that was signed drafted again by the shadow of its kind of document."""
        shadow = state.shadow
        item = _item(approved, state.document)
        if shadow is None or shadow.against is None or item is None or approved.time < shadow.since:
            return
        evaluation = shadow_evaluation(shadow)
        by = Actor(subject=shadow.by, role="operator")
        pair = {"candidate": shadow.configuration, "live": shadow.against}
        request = EvaluationRequested(document=state.document, items=(), by=by, reason=shadow.reason, **pair)
        await self._log.append(evaluation, request)
        await self._log.append(evaluation, ItemReady(number=approved.head.sequence, item=item, **pair))

    async def receive(self, message: Msg) -> None:
        """Put the stays of an evaluation into the drafter's queue, each once. Raises TransientError, PermanentError."""
        evaluation, _ = parse_evaluation_subject(message.subject)
        requested = read_evaluation_event(EvaluationRequested, message.data)
        for number, item in enumerate(requested.items, 1):
            ready = ItemReady(number=number, candidate=requested.candidate, live=requested.live, item=item)
            await self._log.append(evaluation, ready)

    async def find(self, evaluation: str) -> Evaluation | None:
        requested = await self._log.request(evaluation)
        if requested is None:
            return None
        judged = await self._log.judged(evaluation)
        # In a thread: resampling hundreds of stays takes longer than a request may hold up the others.
        return Evaluation(evaluation, requested, await asyncio.to_thread(evaluate, judged, len(requested.items)))

    async def of(self, candidate: str) -> list[Evaluation]:
        """Return the evaluations of a configuration, oldest first."""
        ids = [id async for id, requested, _ in self._log.requests() if requested.candidate == candidate]
        return [found for id in ids if (found := await self.find(id)) is not None]

    async def signed_stays(self, document: str, limit: int, without: Sequence[str] = ()) -> list[EvaluationItem]:
        """Return the stays of a kind of document that were signed last, each once, newest first."""
        last = (await self._bus.jetstream.stream_info(STREAM)).state.last_seq
        found: dict[str, EvaluationItem] = {}
        for _ in range(WINDOWS):
            first = max(1, last - WINDOW + 1)
            for event in reversed(await self._approvals(first, last)):
                item = _item(event, document)
                if item is not None and item.case not in found and item.case not in without:
                    found[item.case] = item
                if len(found) == limit:
                    return list(found.values())
            last = first - 1
            if last < 1:
                break
        return list(found.values())

    async def _approvals(self, first: int, last: int) -> list[RecordedEvent]:
        messages = []
        async for page in self._cases.pages(case_filter(name_of(Approved)), start=first):
            messages += [item for item in page if item.sequence <= last]
            if page[-1].sequence >= last:
                break
        readable, _ = sort_readable(messages)
        return readable


def shadow_evaluation(shadow: DrafterEntry) -> str:
    """Return the id of the evaluation of a shadow: another one each time that it is begun."""
    return derived_id(f"{shadow.configuration}/{shadow.began}", "shadow")


def _item(event: RecordedEvent, document: str) -> EvaluationItem | None:
    body = event.body
    if not isinstance(body, Approved) or body.draft.kind != document:
        return None
    try:
        return EvaluationItem(
            case=event.case.id, department=event.case.department, context=body.draft.context, signed=body.signed
        )
    except ValueError:  # a draft that only the chart has names no context
        return None
