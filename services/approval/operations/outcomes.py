"""What pages say about dead letters: what would be done, and what was done. Pure."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from services.approval.operations.selection import case_of
from services.approval.operations.service import DONE, Action, ActionResult
from shared.messaging.dead_letters import DeadLetter

DOCS = "https://github.com/countersign/countersign/blob/main/docs"
RUNBOOKS = {  # by the start of the consumer's name, the first that fits
    "approval-deliver": ("ChannelFails", f"{DOCS}/alerts.md#channelfails"),
    "approval-file": ("DocumentNotInChart", f"{DOCS}/alerts.md#documentnotinchart"),
    "approval-webhook": ("Webhooks", f"{DOCS}/how-to/webhooks.md#when-an-endpoint-does-not-answer"),
    "ingest-prepare": ("RefreshFailed", f"{DOCS}/alerts.md#refreshfailed"),
    "embedder-": ("RefreshFailed", f"{DOCS}/alerts.md#refreshfailed"),
    "evaluator-judge": ("RefreshFailed", f"{DOCS}/alerts.md#refreshfailed"),
    "drafter-evaluate": ("EvaluationUnfinished", f"{DOCS}/alerts.md#evaluationunfinished"),
    "": ("DeadLetters", f"{DOCS}/alerts.md#deadletters"),
}


@dataclass(frozen=True, slots=True)
class Outcome:
    """One dead letter on the page of results. `state`: done, other (resolved in the other way) or left."""

    letter: DeadLetter
    state: str
    words: str


@dataclass(frozen=True, slots=True)
class Summary:
    """What a preview is about: how many of each consumer, how many cases, and when the oldest failed."""

    consumers: tuple[tuple[str, int], ...]
    cases: int
    oldest: str | None


def runbook_of(consumer: str) -> tuple[str, str]:
    """Return the name and the address of the runbook page for dead letters of a consumer."""
    return next(page for start, page in RUNBOOKS.items() if consumer.startswith(start))


def summary_of(letters: Sequence[DeadLetter]) -> Summary:
    """Return what a preview says of `letters`."""
    cases = {case.id for letter in letters if (case := case_of(letter)) is not None}
    times = [letter.failed_at for letter in letters if letter.failed_at is not None]
    counted = Counter(letter.consumer for letter in letters)
    return Summary(
        tuple(sorted(counted.items(), key=lambda item: (-item[1], item[0]))), len(cases), min(times, default=None)
    )


def outcome_of(letter: DeadLetter, action: Action, now: ActionResult | None) -> Outcome:
    """Return what became of a dead letter that `action` was asked for; `now` previews it where it still waits."""
    by = f" by {letter.by}" if letter.by else ""
    if letter.state == DONE[action]:
        return Outcome(letter, "done", f"{letter.state.capitalize()}{by}")
    if not letter.waits:
        return Outcome(letter, "other", f"Not {DONE[action]}: it was {letter.state} before{by}")
    if now is None or now.outcome == "planned":
        return Outcome(letter, "left", f"Not {DONE[action]} yet. Preview it again: it can be {DONE[action]} now.")
    return Outcome(letter, "left", f"Not {DONE[action]}: {now.detail}")


def of_results(results: Iterable[ActionResult], *outcomes: str) -> list[int]:
    """Return the sequences of the results with one of `outcomes`."""
    return [result.sequence for result in results if result.outcome in outcomes]
