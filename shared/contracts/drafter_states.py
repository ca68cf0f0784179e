"""The state of the drafters of one kind of document: the fold of their events, and the moves that it allows. Pure.

candidate → shadow → canary → live → retired. One configuration is live, at most one is a canary, and one a shadow.
Where the live one is what the drafter's settings declare, another declaration takes its place. Where a person has
promoted another one, what the settings declare is a candidate.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Literal

from shared.contracts.case_values import Actor
from shared.contracts.draft import DrafterRole
from shared.contracts.drafters import (
    Added,
    BaselineReset,
    CanaryStarted,
    Declared,
    DrafterEvent,
    DrafterPromoted,
    RecordedDrafterEvent,
    Retired,
    RolledBack,
    Shadowed,
)
from shared.contracts.envelope import CHAIN_START, ChainHead
from shared.contracts.errors import PermanentError
from shared.contracts.quality_gate import GateLimits

DrafterState = Literal["candidate", "shadow", "canary", "live", "retired"]


_STATES: dict[type[DrafterEvent], DrafterState] = {Added: "candidate", Shadowed: "shadow", Retired: "retired"}


class TransitionRefusedError(PermanentError):
    """The state does not allow the move."""


@dataclass(frozen=True, slots=True)
class DrafterEntry:
    """A configuration and its state; who brought it there, when and for what reason."""

    configuration: str  # digest
    state: DrafterState
    since: datetime
    by: str
    reason: str
    share: float | None = None  # of the cases, of a canary
    # Sequence of the event that made it a shadow, a canary or live, or reset its baseline; not that of another share.
    began: int = 0
    against: str | None = None  # configuration that a shadow is compared with
    rolled_back: bool = False


@dataclass(frozen=True, slots=True)
class DocumentDrafters:
    """The configurations of one kind of document."""

    document: str
    entries: Mapping[str, DrafterEntry] = field(default_factory=dict)  # by digest, in the order in which they came
    replaced: tuple[str, ...] = ()  # configurations that were live, the last one last
    declared: str | None = None  # by the settings of the drafter that started last
    gate: GateLimits = field(default_factory=dict)  # as that drafter's files declare them, without the defaults
    head: ChainHead = CHAIN_START

    @property
    def live(self) -> DrafterEntry | None:
        return self._in("live")

    @property
    def canary(self) -> DrafterEntry | None:
        return self._in("canary")

    @property
    def shadow(self) -> DrafterEntry | None:
        return self._in("shadow")

    def _in(self, state: DrafterState) -> DrafterEntry | None:
        return next((item for item in self.entries.values() if item.state == state), None)

    def assign(self, case: str) -> tuple[str, DrafterRole] | None:
        """Return the configuration that drafts a case, the same for each of its drafts; None before one is live."""
        if (canary := self.canary) is not None and _position(canary.configuration, case) < (canary.share or 0):
            return canary.configuration, "canary"
        return (self.live.configuration, "live") if self.live is not None else None


def _position(configuration: str, case: str) -> float:
    """Return a number from 0 to 1. It depends on the configuration, so each canary gets other cases."""
    digest = hashlib.sha256(f"{configuration}/{case}".encode()).digest()
    return int.from_bytes(digest[:8]) / 2**64


def apply(before: DocumentDrafters, record: RecordedDrafterEvent) -> DocumentDrafters:
    """Return the state after one more event."""
    found = replace(before, head=record.head)
    match record.body:
        case Declared(configuration=digest, gate=gate):
            found = replace(found, declared=digest, gate=gate)
            if before.live is None or before.live.configuration == before.declared:
                return _make_live(found, digest, record)
            return found if digest in found.entries else _with(found, digest, "candidate", record)
        case Added() | Shadowed() | Retired() as event:
            return _with(found, event.configuration, _STATES[type(event)], record)
        case CanaryStarted(configuration=digest, share=share):
            entry = found.entries.get(digest)
            if entry is not None and entry.state == "canary":
                wider = replace(entry, share=share, by=record.actor, reason=record.reason)
                return replace(found, entries={**found.entries, digest: wider})
            return _with(found, digest, "canary", record, share)
        case DrafterPromoted(configuration=digest):
            return _make_live(found, digest, record)
        case BaselineReset(configuration=digest):
            return _with_baseline(found, digest, record)
        case RolledBack(configuration=digest, live=live):
            if found.live is None or found.live.configuration == live:
                return _with(found, digest, "candidate", record)
            found = _with(_with(found, digest, "candidate", record), live, "live", record)
            return replace(found, replaced=found.replaced[:-1])


def _with(
    found: DocumentDrafters,
    digest: str,
    state: DrafterState,
    record: RecordedDrafterEvent,
    share: float | None = None,
) -> DocumentDrafters:
    rolled_back = isinstance(record.body, RolledBack) and record.body.configuration == digest
    began = record.head.sequence if state in ("shadow", "canary", "live") else 0
    against = record.body.live if isinstance(record.body, Shadowed) else None
    entry = DrafterEntry(digest, state, record.time, record.actor, record.reason, share, began, against, rolled_back)
    return replace(found, entries={**found.entries, digest: entry})


def _with_baseline(found: DocumentDrafters, digest: str, record: RecordedDrafterEvent) -> DocumentDrafters:
    entry = found.live
    if entry is None or entry.configuration != digest:
        return found
    return replace(found, entries={**found.entries, digest: replace(entry, began=record.head.sequence)})


def _make_live(found: DocumentDrafters, digest: str, record: RecordedDrafterEvent) -> DocumentDrafters:
    before = found.live
    if before is not None and before.configuration == digest:
        return found
    if before is not None:
        found = _with(found, before.configuration, "retired", record)
        found = replace(found, replaced=(*found.replaced, before.configuration))
    return _with(found, digest, "live", record)


def declare(now: DocumentDrafters, digest: str, gate: GateLimits | None = None) -> DrafterEvent | None:
    """Return the event of a drafter that starts; None where nothing changes. `gate` is what its files declare."""
    found = dict(gate or {})
    return None if (now.declared, now.gate) == (digest, found) else Declared(configuration=digest, gate=found)


def add(now: DocumentDrafters, digest: str, by: Actor, reason: str) -> DrafterEvent | None:
    """Return the event that adds a configuration; None where it is there already. A retired one is added again."""
    entry = now.entries.get(digest)
    return None if entry is not None and entry.state != "retired" else Added(configuration=digest, by=by, reason=reason)


def start_shadow(now: DocumentDrafters, digest: str, by: Actor, reason: str) -> DrafterEvent | None:
    """Return the event; None where it is a shadow of what is live already. Raises TransitionRefusedError."""
    entry = _entry(now, digest)
    if now.live is None:
        raise TransitionRefusedError("no configuration is live: the drafter has not started yet")
    if entry.state == "shadow" and entry.against == now.live.configuration:
        return None
    if entry.state not in ("candidate", "shadow"):
        raise TransitionRefusedError(f"it is {entry.state}: only a candidate can become the shadow")
    if (other := now.shadow) is not None and other.configuration != digest:
        raise TransitionRefusedError(f"{other.configuration[:12]} is the shadow: roll it back first")
    return Shadowed(configuration=digest, live=now.live.configuration, by=by, reason=reason)


def start_canary(
    now: DocumentDrafters, digest: str, share: float, by: Actor, reason: str, evaluation: str | None = None
) -> DrafterEvent | None:
    """Return the event; None where it has that share already. Raises TransitionRefusedError."""
    entry = _entry(now, digest)
    if entry.state not in ("candidate", "shadow", "canary"):
        raise TransitionRefusedError(f"it is {entry.state}: only a candidate or the shadow can become the canary")
    if (other := now.canary) is not None and other.configuration != digest:
        raise TransitionRefusedError(f"{other.configuration[:12]} is the canary: promote it or roll it back first")
    if now.live is None:
        raise TransitionRefusedError("no configuration is live: the drafter has not started yet")
    if entry.share == share:
        return None
    return CanaryStarted(configuration=digest, share=share, by=by, reason=reason, evaluation=evaluation)


def promote(
    now: DocumentDrafters, digest: str, by: Actor, reason: str, evaluation: str | None = None
) -> DrafterEvent | None:
    """Return the event; None where it is live already. Raises TransitionRefusedError."""
    entry = _entry(now, digest)
    if entry.state == "live":
        return None
    if entry.state == "retired":
        raise TransitionRefusedError("it is retired: add it again first")
    if (other := now.canary) is not None and other.configuration != digest:
        raise TransitionRefusedError(f"{other.configuration[:12]} is the canary: roll it back first")
    previous = now.live.configuration if now.live is not None else None
    return DrafterPromoted(configuration=digest, previous=previous, by=by, reason=reason, evaluation=evaluation)


def roll_back(now: DocumentDrafters, digest: str, by: Actor, reason: str) -> DrafterEvent | None:
    """Return the event that takes back a shadow, the canary, or the live configuration for the one before.

    None where it was taken back already. Raises TransitionRefusedError.
    """
    entry = _entry(now, digest)
    if now.live is None:
        raise TransitionRefusedError("no configuration is live")
    if entry.state in ("shadow", "canary"):
        return RolledBack(configuration=digest, live=now.live.configuration, by=by, reason=reason)
    if entry.state != "live":
        if entry.rolled_back:
            return None
        raise TransitionRefusedError(f"it is {entry.state}: it drafts nothing that could be taken back")
    if now.canary is not None:
        raise TransitionRefusedError(f"{now.canary.configuration[:12]} is the canary: roll it back first")
    if not now.replaced:
        raise TransitionRefusedError("no other configuration was live before")
    return RolledBack(configuration=digest, live=now.replaced[-1], by=by, reason=reason)


def roll_back_canary(now: DocumentDrafters, digest: str, by: Actor, reason: str) -> DrafterEvent | None:
    """Return the event that takes back a canary, and never what is live. Raises TransitionRefusedError."""
    if _entry(now, digest).state not in ("candidate", "canary"):
        raise TransitionRefusedError("it is no canary any more")
    return roll_back(now, digest, by, reason)


def reset_baseline(now: DocumentDrafters, digest: str, by: Actor, reason: str) -> DrafterEvent | None:
    """Return the event after which the live configuration is watched anew. Raises TransitionRefusedError."""
    if _entry(now, digest).state != "live":
        raise TransitionRefusedError("it is not live: only the live configuration is watched against a baseline")
    return BaselineReset(configuration=digest, by=by, reason=reason)


def retire(now: DocumentDrafters, digest: str, by: Actor, reason: str) -> DrafterEvent | None:
    """Return the event; None where it is retired already. Raises TransitionRefusedError."""
    entry = _entry(now, digest)
    if entry.state == "retired":
        return None
    if entry.state != "candidate":
        raise TransitionRefusedError(f"it is {entry.state}: promote another one, or roll it back, first")
    return Retired(configuration=digest, by=by, reason=reason)


def _entry(now: DocumentDrafters, digest: str) -> DrafterEntry:
    entry = now.entries.get(digest)
    if entry is None:
        raise TransitionRefusedError(f"there is no configuration {digest[:12]} of the document {now.document}")
    return entry
