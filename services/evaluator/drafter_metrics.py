"""Metrics of the decisions about drafts, counted by the process that takes them in."""

from services.evaluator.decision_signals import Decision
from shared.contracts.draft import DrafterRole
from shared.telemetry.instruments import increment
from shared.telemetry.metric_definitions import DOCUMENT, DRAFTER_ROLE, OUTCOME


def count(decision: Decision, document: str, role: DrafterRole) -> None:
    """Count a decision, the sentences of its draft, and those of the model's answer."""
    where = {DOCUMENT: document, DRAFTER_ROLE: role}
    outcome, sentences = decision.outcome, decision.drafted.sentences
    decided = "rejected" if outcome.rejected else "signed-edited" if outcome.distance else "signed-as-it-is"
    for name in ("signed-as-it-is", "signed-edited", "rejected"):  # 0 as well, so that shares have a numerator
        increment("countersign.drafter.decisions", int(name == decided), where | {OUTCOME: name})
    if not outcome.rejected:
        replaced = round(outcome.replaced * sentences)
        increment("countersign.drafter.sentences", replaced, where | {OUTCOME: "replaced"})
        increment("countersign.drafter.sentences", sentences - replaced, where | {OUTCOME: "kept"})
    answer = decision.drafted.answer
    if answer is not None:
        for name in ("supported", "contradicted", "not_in_record"):
            found = where | {OUTCOME: name.replace("_", "-")}
            increment("countersign.drafter.answer.sentences", getattr(answer, name), found)
