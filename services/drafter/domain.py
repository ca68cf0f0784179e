"""Convert the drafter's results into events of the case. Pure."""

from shared.contracts.draft import Draft
from shared.contracts.envelope import sha256_hex as digest_of
from shared.contracts.events import ContextExtracted, Drafted, DraftRef, RedraftRequested


def drafted(cause: ContextExtracted | RedraftRequested, draft: Draft, digest: str) -> Drafted:
    """Return the event for a composed draft."""
    sentences = draft.sentences
    unsupported = sum(not sentence.supported for sentence in sentences)
    return Drafted(
        stay=cause.stay,
        draft=DraftRef(
            digest=digest,
            text=digest_of(draft.text.encode()),
            by_hand=draft.by_hand is not None,
            number=draft.number,
            context=cause.context,
            kind=draft.kind,
            model=draft.model,
            prompt=draft.prompt,
            knowledge=draft.knowledge.version if draft.knowledge else None,
            passages=tuple(item.id for item in draft.knowledge.passages) if draft.knowledge else (),
            to_settle=unsupported + len(draft.open_points),
            document=draft.document,
        ),
        sentences=len(sentences),
        unsupported=unsupported,
        encounter_status=cause.encounter_status,
    )


def number_of(cause: ContextExtracted | RedraftRequested) -> int:
    """Return the number of the draft: 1 for the first."""
    return cause.number if isinstance(cause, RedraftRequested) else 1


def requested_changes(cause: ContextExtracted | RedraftRequested) -> str | None:
    """Return the digest of the physician's requested changes; None for a first draft."""
    return cause.words if isinstance(cause, RedraftRequested) else None
