"""What a physician changed, as figures for the trail, and what still waits for a word. Pure."""

from collections.abc import Sequence

from rapidfuzz.distance import Levenshtein

from shared.contracts.draft import Draft
from shared.contracts.events import Edits


def unchanged_sentences(draft: Draft, text: str) -> tuple[int, ...]:
    """Sentences of the draft, from 0, that `text` still has word for word."""
    return draft.sentences_in(text)


def unresolved(draft: Draft, text: str, confirmed: Sequence[int]) -> tuple[int, ...]:
    """Sentences that the record does not support and that were neither confirmed, nor changed, nor removed."""
    return tuple(
        index
        for index in unchanged_sentences(draft, text)
        if not draft.sentences[index].supported and index not in confirmed
    )


def unacknowledged(draft: Draft, acknowledged: Sequence[int]) -> tuple[int, ...]:
    """Open points of the draft, from 0, that nobody has confirmed to have seen."""
    return tuple(index for index in range(len(draft.open_points)) if index not in acknowledged)


def edit_metrics(draft: Draft, text: str) -> Edits:
    """How far `text`, which is signed, is from the draft."""
    stand = set(unchanged_sentences(draft, text))
    numbers = range(len(draft.sentences))
    return Edits(
        distance=Levenshtein.distance(draft.text, text),
        changed=tuple(index for index in numbers if index not in stand),
        confirmed=tuple(index for index in numbers if index in stand and not draft.sentences[index].supported),
    )
