"""Which moves the state of a configuration allows, and what its evaluations say about them. Pure."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from services.evaluator.evaluations import Evaluation
from shared.contracts import drafter_states as states
from shared.contracts.case_values import Actor
from shared.contracts.drafter_states import DocumentDrafters, TransitionRefusedError
from shared.contracts.drafters import DrafterEvent

_NOBODY = Actor(subject="nobody", role="engineer")
_MOVES: Mapping[str, Callable[[DocumentDrafters, str], DrafterEvent | None]] = {
    "shadow": lambda now, digest: states.start_shadow(now, digest, _NOBODY, "probe"),
    # Half of a canary's share: offering the present share would be no move.
    "canary": lambda now, digest: states.start_canary(
        now, digest, (now.entries[digest].share or 1) / 2, _NOBODY, "probe"
    ),
    "promote": lambda now, digest: states.promote(now, digest, _NOBODY, "probe"),
    "rollback": lambda now, digest: states.roll_back(now, digest, _NOBODY, "probe"),
    "retire": lambda now, digest: states.retire(now, digest, _NOBODY, "probe"),
}


@dataclass(frozen=True, slots=True)
class GateVerdict:
    """What the evaluations of a configuration say about a canary and a promotion.

    `evaluation` decides; None where none is needed, or there is none. `title` and `detail` say why it is held back;
    both are empty where it is not.
    """

    evaluation: Evaluation | None = None
    title: str = ""
    detail: str = ""

    @property
    def passed(self) -> bool:
        return not self.title


def is_gated(now: DocumentDrafters, digest: str) -> bool:
    """Return whether a canary or a promotion needs an evaluation: of what drafts already it needs none."""
    return now.entries[digest].state in ("candidate", "shadow")


def verdict(now: DocumentDrafters, evaluations: Sequence[Evaluation]) -> GateVerdict:
    """Return the verdict of the evaluations of a configuration, oldest first.

    The last one with a verdict against what is live decides: a shadow that has just begun, or an evaluation that is
    under way, has none. One on synthetic stays decides only while none on signed stays has a verdict. A trial does not
    count: a person has chosen its stay.
    """
    live = now.live
    against = [
        item
        for item in evaluations
        if live is not None and item.requested.live == live.configuration and not item.requested.keep_drafts
    ]
    if not against:
        return GateVerdict(None, "Not evaluated", "Evaluate it against the live configuration first.")
    conclusive = [item for item in against if item.result.conclusive]
    last = ([item for item in conclusive if not item.requested.synthetic] or conclusive or against)[-1]
    if not last.result.passed:
        return GateVerdict(last, "Held back", f"By its evaluation: {'; '.join(last.result.reasons)}.")
    return GateVerdict(last)


@dataclass(frozen=True, slots=True)
class AllowedTransition:
    """A move, and why the state does not allow it; empty where it does."""

    name: str
    refused: str = ""


def offers(now: DocumentDrafters, digest: str) -> dict[str, AllowedTransition]:
    """Return the moves by name, without those that would change nothing."""
    found = {}
    for name, decide in _MOVES.items():
        try:
            changes = decide(now, digest) is not None
        except TransitionRefusedError as refused:
            found[name] = AllowedTransition(name, refused.reason)
            continue
        if changes:
            found[name] = AllowedTransition(name)
    return found
