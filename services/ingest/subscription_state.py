"""State of each Subscription: its last event, events that were missed, when it last sent."""

from collections.abc import Sequence
from datetime import datetime

from services.ingest.subscriptions import Subscription
from shared.contracts.model import Model
from shared.messaging.buckets import Bucket
from shared.messaging.connection import NatsConnection, WrongSequenceError
from shared.messaging.event_store import Clock

MAX_UPDATE_ATTEMPTS = 4  # to note an event while other processes note theirs


class SubscriptionState(Model):
    """`last`: the highest event number so far. `missing`: from which number on events may have been missed."""

    last: int | None = None
    missing: int | None = None
    received_at: datetime | None = None


def after(
    state: SubscriptionState, events: Sequence[int], *, named: bool, numbered: bool, at: datetime
) -> SubscriptionState:
    """Return the state after a notification with those event numbers. Pure.

    `named`: they are the numbers of its own events, and not of the events so far, as in a heartbeat. Numbers that are
    far below the last one belong to a Subscription that was created anew.
    """
    following = state.model_copy(update={"received_at": at})
    if not numbered or not events:
        return following
    first, last = min(events), max(events)
    if state.last is None or (last < state.last and first <= 1):
        return following.model_copy(update={"last": last})
    expected = first - 1 if named else last
    missed = expected > state.last
    known = state.missing if state.missing is not None else state.last + 1
    missing = known if missed else state.missing
    return following.model_copy(update={"last": max(last, state.last), "missing": missing})


def counted(state: SubscriptionState, so_far: int, *, numbered: bool) -> SubscriptionState:
    """Return the state when the server has counted `so_far` events: those after the last known one are missing. Pure.

    A lower count is that of a Subscription that was created anew.
    """
    if not numbered or state.last is None or so_far <= state.last:
        return state
    missing = state.missing if state.missing is not None else state.last + 1
    return state.model_copy(update={"last": so_far, "missing": missing})


class SubscriptionStates:
    """Keeps the states in the bucket `reconciled`, for all processes."""

    def __init__(self, bus: NatsConnection, clock: Clock) -> None:
        self._marks = Bucket(bus, "reconciled")
        self._clock = clock

    async def get(self, name: str) -> SubscriptionState:
        entry = await self._marks.get(_key(name))
        return SubscriptionState.read(entry.value) if entry else SubscriptionState()

    async def note(self, of: Subscription, events: Sequence[int], *, named: bool) -> bool:
        """Note a notification; return whether events are missing. Raises CountersignError."""
        for _ in range(MAX_UPDATE_ATTEMPTS):
            entry = await self._marks.get(_key(of.name))
            state = SubscriptionState.read(entry.value) if entry else SubscriptionState()
            following = after(state, events, named=named, numbered=of.numbered, at=self._clock())
            try:
                await self._put(of.name, following, entry.revision if entry else 0)
            except WrongSequenceError:
                continue
            return following.missing is not None
        return True  # the poll finds the changes in any case

    async def count(self, of: Subscription, so_far: int) -> None:
        """Note how many events the server has counted. Raises CountersignError."""
        entry = await self._marks.get(_key(of.name))
        if entry is None:
            return
        state = SubscriptionState.read(entry.value)
        if (following := counted(state, so_far, numbered=of.numbered)) != state:
            try:
                await self._put(of.name, following, entry.revision)
            except WrongSequenceError:
                return  # a notification has just arrived; the next run asks again

    async def mark_recovered(self, name: str, missing: int) -> None:
        """Note that what was missing from that number on is known now. Raises CountersignError."""
        entry = await self._marks.get(_key(name))
        state = SubscriptionState.read(entry.value) if entry else SubscriptionState()
        if entry is not None and state.missing == missing:
            try:
                await self._put(name, state.model_copy(update={"missing": None}), entry.revision)
            except WrongSequenceError:
                return  # the next run does it

    async def _put(self, name: str, state: SubscriptionState, revision: int) -> None:
        value = state.model_dump_json(exclude_none=True).encode()
        await self._marks.put(_key(name), value, revision=revision)


def _key(name: str) -> str:
    return f"subscriptions.{name}"
