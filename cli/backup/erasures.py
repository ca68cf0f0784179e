"""Repeat on a restored stack the erasures that were made after the backup."""

from datetime import datetime

from services.approval.erasure import rules
from shared.contracts.case import CaseState, fold
from shared.contracts.envelope import RecordedEvent
from shared.contracts.retention import TEXT_KINDS, ErasureOrdered
from shared.messaging.artifacts import Artifacts
from shared.messaging.connection import NatsConnection
from shared.messaging.erasures import ListedErasure
from shared.messaging.event_store import EventStore
from shared.messaging.timers import Timers


async def repeat_erasures(bus: NatsConnection, listed: list[ListedErasure], now: datetime) -> int:
    """Destroy keys and texts before any service starts, append the orders, and return how many were repeated.

    `listed` is oldest first. A case that is not in the backup has nothing to erase. Safe to repeat.
    """
    event_store, artifacts = EventStore(bus, "restore"), Artifacts(bus)
    done = 0
    for item in listed:
        history = await event_store.history(item.ref)
        if not history:
            continue
        order = next((event for event in history if event.id == item.id), None)
        if order is None:
            order = await _append_order(event_store, history, item, now)
            await Timers(bus).cancel(item.case)  # of a review that was open when the backup was made
            done += 1
        digests = sorted({*item.texts, *_text_digests(history, item)})
        if set(item.kinds) == set(TEXT_KINDS):
            await artifacts.erase_case(item.case, order.head.sequence, digests)
        else:
            await artifacts.erase(item.case, digests)
    return done


async def _append_order(
    event_store: EventStore, history: list[RecordedEvent], item: ListedErasure, now: datetime
) -> RecordedEvent:
    """Append the order to the case's events, whatever its state; approval appends that it was carried out."""
    state: CaseState = fold(history).state
    body = ErasureOrdered(
        state=state if state in ("filed", "withdrawn", "retracted") else "closed",
        ground=item.ground,
        kinds=item.kinds,
        reference=item.reference,
        by=item.by,
        again=True,
    )
    last = history[-1]
    await event_store.append(last.case, body, after=last.head, id=item.id, time=now)
    return next(event for event in reversed(await event_store.history(item.ref)) if event.id == item.id)


def _text_digests(history: list[RecordedEvent], item: ListedErasure) -> set[str]:
    texts = rules.texts_of(history)
    return {digest for kind in item.kinds for digest in texts[kind]}
