"""Where a difference, its interval and the margin of the gate stand on a line of 100 units. Pure."""

from dataclasses import dataclass

from services.evaluator.draft_metrics import METRICS, MetricResult

CENTRE, HALF = 50.0, 46.0
_METRICS = {item.name: item for item in METRICS}


@dataclass(frozen=True, slots=True)
class IntervalChart:
    """Positions from 0 to 100; 50 is no difference. `margin` is the end of what the gate tolerates; None: no gate."""

    low: float
    point: float
    high: float
    margin: float | None
    worse: str  # side of the worse values: left or right

    @property
    def width(self) -> float:
        return max(self.high - self.low, 0.5)


def interval_chart(found: MetricResult) -> IntervalChart | None:
    """Return the chart of a metric; None where it has no difference."""
    if found.difference is None or found.low is None or found.high is None:
        return None
    metric = _METRICS[found.name]
    margin = None if found.margin is None else -found.margin if metric.larger_is_better else found.margin
    furthest = max(abs(value) for value in (found.low, found.high, found.difference, margin or 0.0)) or 1.0
    at = {
        name: round(CENTRE + HALF * value / furthest, 2)
        for name, value in (("low", found.low), ("point", found.difference), ("high", found.high))
    }
    return IntervalChart(
        **at,
        margin=None if margin is None else round(CENTRE + HALF * margin / furthest, 2),
        worse="left" if metric.larger_is_better else "right",
    )
