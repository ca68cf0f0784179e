"""The refresh queue. Refreshes run one at a time, as each makes the next version of the whole base. Pure."""

from collections.abc import Callable

from shared.contracts.refresh_state import Refresh, RefreshOutcome
from shared.knowledge.live import QueuedRefresh, RefreshQueue

ANY_SOURCE = "*"


def enqueue(queue: RefreshQueue, turn: QueuedRefresh) -> RefreshQueue:
    """Return the queue with one more refresh, unless it is there already."""
    known = {item.refresh for item in (queue.active, *queue.waiting) if item is not None}
    if turn.refresh in known:
        return queue
    if queue.active is None:
        return queue.model_copy(update={"active": turn})
    return queue.model_copy(update={"waiting": (*queue.waiting, turn)})


def complete(queue: RefreshQueue, refresh: Refresh, outcome: RefreshOutcome) -> RefreshQueue:
    """Return the queue after the active refresh has ended, with the newest complete version."""
    if queue.active is None or refresh.ref is None or queue.active.refresh != refresh.ref.id:
        return queue  # reported again
    update: dict[str, object] = {
        "active": queue.waiting[0] if queue.waiting else None,
        "waiting": queue.waiting[1:],
    }
    started = refresh.started
    if started is not None and refresh.indexed is not None:
        update |= {"head": refresh.indexed.target, "collection": refresh.indexed.collection, "dirty": ()}
    elif started is not None and outcome == "failed":
        update["dirty"] = tuple(sorted({*queue.dirty, *(started.sources or (ANY_SOURCE,))}))
    return queue.model_copy(update=update)


def sources_to_scan(wanted: tuple[str, ...], queue: RefreshQueue, *, fill: bool) -> tuple[str, ...]:
    """Return the sources that a refresh must scan; empty for all. Sources left incomplete before are added."""
    if fill or not wanted or ANY_SOURCE in queue.dirty:
        return ()
    return tuple(sorted({*wanted, *queue.dirty}))


def find_waiting(
    queue: RefreshQueue, sources: tuple[str, ...], of: Callable[[QueuedRefresh], tuple[str, ...]]
) -> QueuedRefresh | None:
    """Return a waiting refresh that covers all of it; None without one."""
    for turn in queue.waiting:
        will = of(turn)
        if not will or (sources and set(sources) <= set(will)):
            return turn
    return None
