"""Rules of erasure: what may be erased, when, and which texts that is. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from services.approval.review.errors import DecisionRefusedError
from shared.contracts.case import Case, CaseState, fold
from shared.contracts.corrections import Addended, Amended, Retracted, RetractionRequested
from shared.contracts.envelope import RecordedEvent
from shared.contracts.events import (
    Actor,
    Approved,
    ContextExtracted,
    Drafted,
    Filed,
    Reassigned,
    RedraftRequested,
    Rejected,
    Retried,
)
from shared.contracts.preparation import Prepared
from shared.contracts.ratings import Rated
from shared.contracts.retention import (
    TEXT_KINDS,
    Erased,
    ErasureGround,
    ErasureOrdered,
    HoldGround,
    HoldPlaced,
    HoldReleased,
    TextKind,
)

WITHOUT_DOCUMENT: tuple[CaseState, ...] = ("withdrawn", "closed")
RETENTION = Actor(subject="retention", role="service")


@dataclass(frozen=True, slots=True)
class Retention:
    """How long each kind of text is kept after the last event of a case; a kind that is not listed, for ever.

    `unfiled`: the same for every text of a case that ended without a document; None: as for other cases.
    """

    kinds: Mapping[TextKind, timedelta]
    unfiled: timedelta | None = None

    @property
    def any(self) -> bool:
        return bool(self.kinds) or self.unfiled is not None


def texts_of(history: Sequence[RecordedEvent]) -> dict[TextKind, set[str]]:
    """Return the digests that the events name, by kind. A draft that was signed counts as signed text."""
    found: dict[TextKind, set[str]] = {kind: set() for kind in TEXT_KINDS}
    for item in history:
        match item.body:
            case ContextExtracted(context=context):
                found["record"].add(context)
            case Drafted(draft=draft) | Prepared(draft=draft):
                found["draft"].add(draft.digest)
                found["record"].add(draft.context)
            case RedraftRequested(words=words):
                found["words"].add(words)
            case Approved(signed=signed, draft=draft):
                found["signed"] |= {signed, draft.digest}
            case Amended(signed=signed, reason=reason) | Addended(signed=signed, reason=reason):
                found["signed"].add(signed)
                found["words"].add(reason)
            case Rejected(reason=reason) | Reassigned(reason=reason) | RetractionRequested(reason=reason):
                found["words"].add(reason)
            case Rated(words=str(words)) | Retried(reason=str(words)):
                found["words"].add(words)
            case Filed(renditions=renditions, message=message):
                found["renditions"] |= {*renditions.values(), *([message] if message else [])}
            case _:
                pass
    found["draft"] -= found["signed"]
    found["renditions"] -= found["signed"]
    return found


def decisions_of(history: Sequence[RecordedEvent]) -> list[str]:
    """Return the digests of the decisions for which renditions or messages may be stored."""
    return [item.head.digest for item in history if isinstance(item.body, Approved | Amended | Addended | Retracted)]


def obstacle(case: Case) -> DecisionRefusedError | None:
    """Return why the texts of a case may not be erased now; None where they may."""
    if not case.exists:
        return DecisionRefusedError("unknown", "There is no such case.")
    if case.erasure is not None:
        return DecisionRefusedError("erased", "The texts of this case were erased.")
    if case.hold is not None:
        return DecisionRefusedError("held", "A legal hold keeps the texts of this case: release it first.")
    if case.erasing:
        words = (
            "is being carried out: try again in a moment" if case.awaits else "has stopped: an operator has to retry it"
        )
        return DecisionRefusedError("not-ended", f"An erasure {words}.")
    if not case.has_no_pending_step:
        words = "It waits for a physician: it has to be signed, refused or closed first."
        return DecisionRefusedError(
            "not-ended", words if case.open else f"The case is {case.state}, and work on it goes on."
        )
    return None


def order(case: Case, ground: ErasureGround, by: Actor, reference: str | None) -> ErasureOrdered:
    """Order the erasure of all texts of a case. Raises DecisionRefusedError."""
    if (refused := obstacle(case)) is not None:
        raise refused
    return ErasureOrdered(state=_after(case), ground=ground, kinds=TEXT_KINDS, reference=reference, by=by)


def ordered_before(case: Case) -> ErasureOrdered | None:
    """Return the order to erase everything where it was appended before: repeating it has no effect."""
    body = case.erasure.body if case.erasure is not None else None
    return body if isinstance(body, ErasureOrdered) else None


def carried_out(ordered: ErasureOrdered, texts: int) -> Erased:
    return Erased(state=ordered.state, kinds=ordered.kinds, texts=texts)


def place_hold(case: Case, ground: HoldGround, by: Actor, reference: str | None) -> HoldPlaced:
    """Place a legal hold. Raises DecisionRefusedError."""
    if not case.exists:
        raise DecisionRefusedError("unknown", "There is no such case.")
    if case.erasure is not None:
        raise DecisionRefusedError("erased", "The texts of this case were erased: nothing is left to hold.")
    if case.hold is not None:
        raise DecisionRefusedError("held", "The case is already on hold.")
    return HoldPlaced(state=case.state, ground=ground, reference=reference, by=by)


def held_before(case: Case, ground: HoldGround, reference: str | None) -> HoldPlaced | None:
    """Return the present hold where it is the same."""
    body = case.hold.body if case.hold is not None else None
    same = isinstance(body, HoldPlaced) and (body.ground, body.reference) == (ground, reference)
    return body if same and isinstance(body, HoldPlaced) else None


def release_hold(case: Case, by: Actor, reference: str | None) -> HoldReleased:
    """Release the legal hold. Raises DecisionRefusedError."""
    if case.hold is None:
        raise DecisionRefusedError("not-held", "There is no hold on this case.")
    return HoldReleased(state=case.state, reference=reference, by=by)


def due(history: Sequence[RecordedEvent], retention: Retention, now: datetime) -> ErasureOrdered | None:
    """Return the erasure that retention demands by `now`, or None; of all kinds once the last of them is due."""
    case = fold(history)
    if obstacle(case) is not None:
        return None
    rest = now - _at_rest_since(history)
    if case.state in WITHOUT_DOCUMENT and retention.unfiled is not None:
        kinds = set(TEXT_KINDS) if rest >= retention.unfiled else set()
    else:
        kinds = {kind for kind, keep in retention.kinds.items() if rest >= keep}
    if set(TEXT_KINDS) <= kinds | case.erased_kinds:
        kinds = set(TEXT_KINDS)
    left = kinds - case.erased_kinds
    there = texts_of(history)
    if not left or (kinds != set(TEXT_KINDS) and not any(there[kind] for kind in left)):
        return None
    chosen = tuple(kind for kind in TEXT_KINDS if kind in (kinds if kinds == set(TEXT_KINDS) else left))
    return ErasureOrdered(state=_after(case), ground="retention", kinds=chosen, by=RETENTION)


def _after(case: Case) -> CaseState:
    return "closed" if case.state == "failed" else case.state


def _at_rest_since(history: Sequence[RecordedEvent]) -> datetime:
    """Return when something last happened in the case, without holds, erasures and ratings."""
    about = HoldPlaced | HoldReleased | ErasureOrdered | Erased | Rated
    return max(item.time for item in history if not isinstance(item.body, about))
