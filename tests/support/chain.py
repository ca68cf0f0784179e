"""Whether a case's chain of digests holds, told from its events alone: what `audit verify` is held against."""

from collections.abc import Sequence

from shared.contracts.envelope import RecordedEvent


def broken_link(history: Sequence[RecordedEvent]) -> int | None:
    """Index of the first event whose `prevdigest` is not the digest of the one before it; None if the chain holds."""
    previous = ""
    for index, event in enumerate(history):
        if event.prevdigest != previous:
            return index
        previous = event.head.digest
    return None
