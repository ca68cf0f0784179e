"""Sums of what is measured of many decisions about drafts, of which means are shown. Pure, and without text."""

from collections.abc import Iterable, Mapping

from shared.contracts.events import EditCount
from shared.contracts.model import Model


class SignalSum(Model):
    """A signal over the decisions that say something about it."""

    count: int = 0
    total: float = 0.0

    @property
    def mean(self) -> float | None:
        return self.total / self.count if self.count else None


class PartEdits(Model):
    """Edits in one part of signed drafts."""

    drafts: int = 0  # signed drafts with an edit in it
    edits: int = 0


def with_signals(sums: Mapping[str, SignalSum], measured: Mapping[str, float]) -> dict[str, SignalSum]:
    """Return the sums by the name of their signal, after one more decision."""
    found = dict(sums)
    for name, value in measured.items():
        before = found.get(name, SignalSum())
        found[name] = SignalSum(count=before.count + 1, total=before.total + value)
    return found


def with_edits(parts: Mapping[str, PartEdits], edits: Iterable[EditCount]) -> dict[str, PartEdits]:
    """Return the edits by part, after one more signed draft."""
    of_draft: dict[str, int] = {}
    for item in edits:
        of_draft[item.part] = of_draft.get(item.part, 0) + item.count
    found = dict(parts)
    for part, number in of_draft.items():
        before = found.get(part, PartEdits())
        found[part] = PartEdits(drafts=before.drafts + 1, edits=before.edits + number)
    return found
