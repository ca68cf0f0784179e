"""Ratings of drafts and recurring edits by physicians, by drafter configuration. Pure.

Figures of events in the order of their stream. Each keeps the sequence of the last event that was taken in, so that an
event that is delivered again counts once.
"""

from collections.abc import Iterable
from datetime import datetime
from typing import Self

from pydantic import Field

from shared.contracts.draft import DrafterStamp
from shared.contracts.drafter_states import DrafterEntry
from shared.contracts.events import Approved, EditCount
from shared.contracts.model import Model
from shared.contracts.ratings import Rating

MAX_EXAMPLES = 5  # cases that a cluster of edits names


class RatingCounts(Model):
    """Signed drafts by their last rating."""

    useful: int = Field(default=0, description="times said")
    edited_much: int = Field(default=0, description="times said")
    useless: int = Field(default=0, description="times said")

    def replaced(self, rating: Rating, before: Rating | None) -> "RatingCounts":
        """Return the counts after a rating that takes the place of `before`; None: it is the draft's first."""
        values = self.model_dump()
        values[_field(rating)] += 1
        if before is not None:
            values[_field(before)] = max(values[_field(before)] - 1, 0)
        return RatingCounts(**values)


def _field(rating: Rating) -> str:
    return rating.replace("-", "_")


class EditCluster(Model):
    """Edits of one kind in one part, over the signed drafts of a configuration."""

    part: str
    kind: str
    count: int
    drafts: int  # signed drafts with such an edit
    examples: tuple[str, ...] = ()  # cases, newest first

    def plus(self, count: int, case: str) -> "EditCluster":
        others = (item for item in self.examples if item != case)
        examples = (case, *others)[:MAX_EXAMPLES]
        update = {"count": self.count + count, "drafts": self.drafts + 1, "examples": examples}
        return self.model_copy(update=update)


class DrafterFeedback(Model):
    """What became of the signed drafts of one configuration, as far as the event at `last`.

    `rewritten`: with a narrative that a physician wrote instead. `uncounted`: signed by a version of Countersign that
    did not count edits. Both are no part of `edits`.
    """

    configuration: str  # digest
    last: int = 0  # sequence in the DISCHARGE stream
    signed: int = 0
    unchanged: int = 0
    rewritten: int = 0
    uncounted: int = 0
    edits: tuple[EditCluster, ...] = ()  # the most frequent first
    ratings: RatingCounts = RatingCounts()

    @property
    def compared(self) -> int:
        """Return of how many signed drafts the edits were counted."""
        return self.signed - self.rewritten - self.uncounted

    def with_signature(self, case: str, signed: Approved, sequence: int) -> Self:
        """Return the feedback with one more signed draft; the same if it has been taken in."""
        if sequence <= self.last:
            return self
        update: dict[str, object] = {"last": sequence, "signed": self.signed + 1}
        if not signed.edited:
            update["unchanged"] = self.unchanged + 1
        elif (counts := counted_edits(signed)) is not None:
            update["edits"] = _added(self.edits, counts, case)
        else:
            reason = "rewritten" if signed.narrative == "physician" else "uncounted"
            update[reason] = getattr(self, reason) + 1
        return self.model_copy(update=update)

    def with_rating(self, rating: Rating, before: Rating | None, sequence: int) -> Self:
        """Return the feedback after a rating that takes the place of `before`; the same if it has been taken in."""
        if sequence <= self.last:
            return self
        return self.model_copy(update={"last": sequence, "ratings": self.ratings.replaced(rating, before)})


def counted_edits(signed: Approved) -> tuple[EditCount, ...] | None:
    """Return the edits of a signed draft; None where its narrative was written anew, or none were counted."""
    if not signed.edited:
        return ()
    if signed.narrative == "physician" or signed.edits is None:
        return None
    return signed.edits.counts


def _added(edits: Iterable[EditCluster], counts: Iterable[EditCount], case: str) -> tuple[EditCluster, ...]:
    found = {(item.part, item.kind): item for item in edits}
    for item in counts:
        place = item.part, item.kind
        before = found.get(place) or EditCluster(part=item.part, kind=item.kind, count=0, drafts=0)
        found[place] = before.plus(item.count, case)
    return tuple(sorted(found.values(), key=lambda item: (-item.drafts, -item.count, item.part, item.kind)))


class RatingComparison(Model):
    """Ratings of a canary's drafts beside those of the live configuration's drafts since it began."""

    canary: str  # digest
    began: int  # sequence of the event that made it a canary
    last: int = 0
    of_canary: RatingCounts = RatingCounts()
    of_live: RatingCounts = RatingCounts()

    def with_rating(self, stamp: DrafterStamp, rating: Rating, before: Rating | None, sequence: int) -> Self:
        """Return the comparison after a rating; the same if it has been taken in."""
        if sequence <= self.last:
            return self
        side = "of_canary" if stamp.configuration == self.canary else "of_live"
        return self.model_copy(update={"last": sequence, side: getattr(self, side).replaced(rating, before)})


def is_compared(canary: DrafterEntry, stamp: DrafterStamp, drafted_at: datetime) -> bool:
    """Return whether ratings of a draft are compared: it was written since the canary began, by it or what was live.

    This depends on nothing that changes while the canary goes on: the rating that another one replaces was compared.
    """
    return drafted_at >= canary.since and (stamp.configuration == canary.configuration or stamp.role == "live")
