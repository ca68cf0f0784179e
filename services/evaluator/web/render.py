"""Templates of the evaluator's pages, and the words for what they show."""

from pathlib import Path

from services.evaluator.draft_metrics import METRICS
from services.evaluator.web.interval_chart import interval_chart
from shared.web.render import PageRoute, Templates, span

METRIC_LABELS = {
    "contradicted": "sentences of the model that the record contradicts, share",
    "not-in-record": "sentences of the model that the record does not have, share",
    "required-elements": "parts, narratives and elements that the kind of document requires and the draft has, share",
    "silent": "stays for which the model gave no usable answer, share",
    "rouge-l": "narrative against the signed one: longest common subsequence of words",
    "similarity": "whole text against the signed one: 1 − edit distance / length",
    "sentence-similarity": "the same by the embeddings of sentences",
    "kept": "sentences that the signed text has word for word, share",
    "facts-omitted": "facts of the signed narrative that the draft does not state, share",
    "open-points": "points that a physician has to check",
    "words": "length of the narrative",
    "reading-grade": "of the instructions to the patient, US school grade",
    "input-tokens": "of the prompt, as the model's server counts them",
    "output-tokens": "of the answer",
    "cost": "of a draft, by the price of the endpoint",
    "seconds": "time of a draft",
}
MOVE_LABELS = {
    "declared": "Declared",
    "added": "Added as a candidate",
    "shadowed": "Made the shadow",
    "canary-started": "Made the canary",
    "promoted": "Made live",
    "baseline-reset": "Its baseline was reset",
    "rolled-back": "Rolled back",
    "retired": "Retired",
}
STATES = ("live", "canary", "shadow", "candidate", "retired")


def figure(value: float | None) -> str:
    """Format a figure; a dash where it was not measured."""
    if value is None:
        return "–"
    return f"{value:.3f}" if abs(value) < 10 else f"{value:.1f}"


def signed(value: float | None) -> str:
    """Format a difference, with its sign."""
    return "–" if value is None else f"{'+' if value > 0 else ''}{figure(value)}".replace("-", "−")


def percent(value: float | None) -> str:
    return "–" if value is None else f"{value * 100:.3g} %"


templates = Templates(Path(__file__).parent / "templates")
templates.environment.globals |= {
    "METRIC_LABELS": METRIC_LABELS,
    "MOVE_LABELS": MOVE_LABELS,
    "LARGER_IS_BETTER": {item.name for item in METRICS if item.larger_is_better},
    "interval_chart": interval_chart,
    "span": span,
}
templates.environment.filters |= {
    "figure": figure,
    "signed": signed,
    "percent": percent,
    "span": span,
    "kind": lambda name: name.replace("-", " ").capitalize(),
}
page = templates.page

__all__ = ["PageRoute", "page", "templates"]
