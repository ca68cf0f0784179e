"""Measure what a physician changed, and find what is still to be resolved. Pure."""

from collections.abc import Sequence

from rapidfuzz.distance import Levenshtein

from services.approval.review.edit_counts import edit_counts
from shared.contracts.draft import Draft
from shared.contracts.events import Edits


def unchanged_sentences(draft: Draft, text: str) -> tuple[int, ...]:
    """Return the indices of the draft's sentences that `text` has word for word."""
    return draft.sentences_in(text)


def unresolved(draft: Draft, text: str, confirmed: Sequence[int]) -> tuple[int, ...]:
    """Return the indices of unsupported sentences that were neither confirmed, changed nor removed."""
    return unresolved_of(draft, unchanged_sentences(draft, text), confirmed)


def unresolved_of(draft: Draft, unchanged: Sequence[int], confirmed: Sequence[int]) -> tuple[int, ...]:
    """Return those of the `unchanged` sentences that are unsupported and not confirmed."""
    return tuple(index for index in unchanged if not draft.sentences[index].supported and index not in confirmed)


def unacknowledged(draft: Draft, acknowledged: Sequence[int]) -> tuple[int, ...]:
    """Return the indices of open points of the draft that nobody has acknowledged."""
    return tuple(index for index in range(len(draft.open_points)) if index not in acknowledged)


def edit_metrics(draft: Draft, text: str) -> Edits:
    """Measure the distance of the signed `text` from the draft."""
    stand = set(unchanged_sentences(draft, text))
    numbers = range(len(draft.sentences))
    return Edits(
        distance=Levenshtein.distance(draft.text, text),
        changed=tuple(index for index in numbers if index not in stand),
        confirmed=tuple(index for index in numbers if index in stand and not draft.sentences[index].supported),
        counts=edit_counts(draft, text),
    )
