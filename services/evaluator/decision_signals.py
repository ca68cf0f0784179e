"""What a physician's decision says about the draft: figures from 0 to 1, higher is worse. Pure.

They come from the events of the draft and of the decision, and from no text.
"""

from collections.abc import Callable
from dataclasses import dataclass

from services.evaluator.canary import CanaryOutcome, outcome_of
from services.evaluator.feedback import counted_edits
from shared.contracts.envelope import RecordedEvent
from shared.contracts.events import Approved, Drafted, EditCount, ReadingFigures, Rejected, ResolutionKind

HALF_CHANGED = 100  # changed characters that count as 1/2: about a sentence
HALF_WAITED_S = 24 * 3600
HALF_READ_S = 60


@dataclass(frozen=True, slots=True)
class Decision:
    """A draft and the decision about it."""

    drafted: Drafted
    decided: Approved | Rejected
    outcome: CanaryOutcome
    seconds: float  # from the draft to the decision

    @property
    def edits(self) -> tuple[EditCount, ...] | None:
        """Return the physician's edits by part and kind; None where they were not counted."""
        return counted_edits(self.decided) if isinstance(self.decided, Approved) else None


@dataclass(frozen=True, slots=True)
class Signal:
    """A figure of a decision; `of` returns None where the decision says nothing about it."""

    name: str
    meaning: str
    of: Callable[[Decision], float | None]
    tested: bool = True  # False: it is shown only


def decision_of(drafted: RecordedEvent, decided: RecordedEvent) -> Decision | None:
    """Return the decision; None where it says nothing about the draft, as no document was needed."""
    if not isinstance(drafted.body, Drafted) or not isinstance(decided.body, Approved | Rejected):
        return None
    outcome = outcome_of(drafted.body, decided.body)
    if outcome is None:
        return None
    return Decision(drafted.body, decided.body, outcome, max(0.0, (decided.time - drafted.time).total_seconds()))


def _signed(figure: Callable[[Decision], float]) -> Callable[[Decision], float | None]:
    return lambda item: None if item.outcome.rejected else figure(item)


def _resolved(*ways: ResolutionKind) -> Callable[[Decision], float | None]:
    def share(item: Decision) -> float | None:
        if isinstance(item.decided, Rejected) or not item.drafted.sentences:
            return None
        sentences = {found.sentence for found in item.decided.resolutions if found.how in ways}
        return min(len(sentences) / item.drafted.sentences, 1.0)

    return share


def _answered(field: str) -> Callable[[Decision], float | None]:
    def share(item: Decision) -> float | None:
        answer = item.drafted.answer
        whole = answer.supported + answer.contradicted + answer.not_in_record if answer is not None else 0
        return getattr(answer, field) / whole if whole else None

    return share


def _reading(item: Decision, figure: Callable[[ReadingFigures], float]) -> float | None:
    """Return a figure of how the draft was read; None where it was not signed on our page."""
    reading = item.decided.reading if isinstance(item.decided, Approved) else None
    return figure(reading) if reading is not None else None


SIGNALS = (
    Signal("rejected", "the draft was rejected", lambda item: float(item.outcome.rejected)),
    Signal("replaced", "share of its sentences that the signed text has not", _signed(lambda i: i.outcome.replaced)),
    Signal(
        "changed",
        "changed characters: 0 for none, 1/2 for a hundred, then towards 1",
        _signed(lambda item: item.outcome.distance / (item.outcome.distance + HALF_CHANGED)),
    ),
    Signal("contradicted", "share of the model's sentences that the record contradicts", _answered("contradicted")),
    Signal("not-in-record", "share of the model's sentences that the record does not have", _answered("not_in_record")),
    Signal(
        "redraft",
        "the draft was rejected to have it written again",
        lambda item: float(isinstance(item.decided, Rejected) and item.decided.action == "redraft"),
        tested=False,
    ),
    Signal("confirmed", "share of its sentences, unsupported and kept", _resolved("confirmed"), tested=False),
    Signal(
        "corrected",
        "share of its sentences, unsupported and changed or removed",
        _resolved("changed", "removed"),
        tested=False,
    ),
    Signal(
        "waited",
        "time from the draft to the decision: 0 for none, 1/2 for a day, then towards 1",
        lambda item: item.seconds / (item.seconds + HALF_WAITED_S),
        tested=False,
    ),
    Signal(
        "read",
        "time that the page was in front before the signature: 0 for none, 1/2 for a minute, then towards 1",
        lambda item: _reading(item, lambda found: found.seconds / (found.seconds + HALF_READ_S)),
        tested=False,
    ),
    Signal(
        "unread",
        "signed on our page before the draft can have been read",
        lambda item: _reading(item, lambda found: float(not found.looked_at)),
        tested=False,
    ),
)
TESTED = tuple(item.name for item in SIGNALS if item.tested)


def measure(decision: Decision) -> dict[str, float]:
    """Return the figures of a decision by the name of their signal."""
    return {item.name: value for item in SIGNALS if (value := item.of(decision)) is not None}
