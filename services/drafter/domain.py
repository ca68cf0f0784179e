"""Convert the drafter's results into events of the case. Pure."""

from shared.contracts.context import EncounterContext
from shared.contracts.draft import Draft
from shared.contracts.envelope import sha256_hex as digest_of
from shared.contracts.events import ContextExtracted, Drafted, DraftRef, RedraftRequested
from shared.contracts.preparation import Prepared


def drafted(cause: ContextExtracted | RedraftRequested, draft: Draft, digest: str) -> Drafted:
    """Return the event for a composed draft."""
    return Drafted(
        stay=cause.stay,
        draft=_reference(draft, digest),
        sentences=len(draft.sentences),
        unsupported=_unsupported(draft),
        encounter_status=cause.encounter_status,
        answer=draft.answer,
    )


def prepared(context: EncounterContext, draft: Draft, digest: str) -> Prepared:
    """Return the event for a draft that was prepared before the discharge."""
    return Prepared(
        stay=context.stay,
        draft=_reference(draft, digest),
        sentences=len(draft.sentences),
        unsupported=_unsupported(draft),
        encounter_status=context.encounter_status,
        left_out=len(context.left_out),
    )


def _unsupported(draft: Draft) -> int:
    return sum(not sentence.supported for sentence in draft.sentences)


def _reference(draft: Draft, digest: str) -> DraftRef:
    return DraftRef(
        digest=digest,
        text=digest_of(draft.text.encode()),
        by_hand=draft.by_hand is not None,
        number=draft.number,
        context=draft.context_digest,
        kind=draft.kind,
        model=draft.model,
        prompt=draft.prompt,
        knowledge=draft.knowledge.version if draft.knowledge else None,
        passages=tuple(item.id for item in draft.knowledge.passages) if draft.knowledge else (),
        to_settle=_unsupported(draft) + len(draft.open_points),
        document=draft.document,
        prepared=draft.prepared.digest if draft.prepared else None,
        drafter=draft.drafter,
    )


def number_of(cause: ContextExtracted | RedraftRequested) -> int:
    """Return the number of the draft: 1 for the first."""
    return cause.number if isinstance(cause, RedraftRequested) else 1


def requested_changes(cause: ContextExtracted | RedraftRequested) -> str | None:
    """Return the digest of the physician's requested changes; None for a first draft."""
    return cause.words if isinstance(cause, RedraftRequested) else None
