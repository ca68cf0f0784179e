"""Limits of the gate that a candidate has to pass before it drafts, by kind of document and metric.

A kind of document declares its own (`[gate.<metric>]` of its kind.toml); what it leaves out are the defaults. The event
by which a drafter declares the kind states them, so that the evaluator, which has no such files, knows them.
"""

from collections.abc import Mapping
from typing import Literal, Self

from pydantic import Field, model_validator

from shared.contracts.model import Model

MetricName = Literal[
    "contradicted", "not-in-record", "required-elements", "silent", "rouge-l", "similarity", "sentence-similarity",
    "kept", "facts-omitted", "open-points", "words", "reading-grade", "input-tokens", "output-tokens", "cost",
    "seconds",
]  # fmt: skip


class MetricLimits(Model):
    """What the gate tolerates in the mean of a metric."""

    # Whatever the live configuration has: at most, or at least for a metric of which more is better.
    limit: float | None = Field(default=None, ge=0)
    margin: float | None = Field(default=None, ge=0)  # by which it may be worse than the live configuration's

    @model_validator(mode="after")
    def _check_states_something(self) -> Self:
        if self.limit is None and self.margin is None:
            raise ValueError("has no limit and no margin")
        return self

    def over(self, other: "MetricLimits | None") -> "MetricLimits":
        """Return these limits, completed by `other`."""
        if other is None:
            return self
        limit = other.limit if self.limit is None else self.limit
        return MetricLimits(limit=limit, margin=other.margin if self.margin is None else self.margin)


GateLimits = Mapping[str, MetricLimits]  # by metric; unknown ones of a newer version are ignored

# Absolute limits keep out what is unusable even where the live configuration is no better. They are wide, as the model
# that ships, which has 135M parameters, has to pass them (docs/reference/verified.md); a larger model allows for less.
DEFAULT_LIMITS: GateLimits = {
    "contradicted": MetricLimits(limit=0.4, margin=0.01),
    "not-in-record": MetricLimits(limit=0.75, margin=0.05),
    "required-elements": MetricLimits(limit=0.8, margin=0.02),
    "silent": MetricLimits(margin=0.05),
    "rouge-l": MetricLimits(margin=0.05),
    "similarity": MetricLimits(margin=0.05),
    "facts-omitted": MetricLimits(margin=0.1),
}


def gate_limits(own: GateLimits) -> GateLimits:
    """Return the limits of a kind: its own, completed by the defaults."""
    return {**DEFAULT_LIMITS, **{name: item.over(DEFAULT_LIMITS.get(name)) for name, item in own.items()}}
