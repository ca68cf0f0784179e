"""How panels look, in one place: calm lines, one unit, a sentence each that says what to make of it.

Built with Grafana's own SDK: https://grafana.github.io/grafana-foundation-sdk/
"""

from collections.abc import Sequence
from dataclasses import dataclass

from grafana_foundation_sdk.builders import common, dashboard, prometheus, stat, timeseries
from grafana_foundation_sdk.models.common import (
    BigValueColorMode,
    BigValueGraphMode,
    GraphDrawStyle,
    LegendDisplayMode,
    LegendPlacement,
    SortOrder,
    TooltipDisplayMode,
    VisibilityMode,
)
from grafana_foundation_sdk.models.dashboard import (
    DashboardCursorSync,
    DashboardLinkType,
    DataSourceRef,
    Threshold,
    ThresholdsMode,
    VariableRefresh,
)

SOURCE = DataSourceRef(type_val="prometheus", uid="prometheus")
RUNBOOK = "https://github.com/countersign/countersign/blob/main/docs/alerts.md"
GPU_ONLY = "GPU only"  # begins the description of a panel whose data needs a GPU or vLLM
DEPARTMENT = 'countersign_department=~"$department"'
EVENTS = "countersign_case_events_total"
STATES = f"max by (countersign_case_state, countersign_department) (countersign_cases{{{DEPARTMENT}}})"
GREEN, AMBER, RED = "green", "orange", "red"


@dataclass(frozen=True, slots=True)
class Query:
    """An expression, and what its lines are called."""

    expr: str
    legend: str = ""


def _target(query: Query, index: int) -> prometheus.Dataquery:
    return prometheus.Dataquery().expr(query.expr).legend_format(query.legend or "__auto").ref_id(chr(ord("A") + index))


def _thresholds(bad: float | None, worse: float | None) -> dashboard.ThresholdsConfig:
    steps = [Threshold(value=None, color=GREEN)]
    steps += [Threshold(value=bad, color=AMBER)] if bad is not None else []
    steps += [Threshold(value=worse, color=RED)] if worse is not None else []
    return dashboard.ThresholdsConfig().mode(ThresholdsMode.ABSOLUTE).steps(steps)


def stat_panel(
    title: str, says: str, query: Query, *, unit: str = "short", bad: float | None = None, worse: float | None = None
) -> stat.Panel:
    """Return a panel with one number: amber from `bad`, red from `worse` on."""
    return (
        stat.Panel()
        .title(title)
        .description(says)
        .datasource(SOURCE)
        .with_target(_target(query, 0))
        .unit(unit)
        .thresholds(_thresholds(bad, worse))
        .graph_mode(BigValueGraphMode.AREA)
        .color_mode(BigValueColorMode.VALUE)
        .reduce_options(common.ReduceDataOptions().calcs(["lastNotNull"]))
        .height(4)
        .span(6)
    )


def timeseries_panel(
    title: str, says: str, *queries: Query, unit: str = "short", span: int = 12, bars: bool = False
) -> timeseries.Panel:
    """Return a panel with lines over time, or bars for counts."""
    panel = (
        timeseries.Panel()
        .title(title)
        .description(says)
        .datasource(SOURCE)
        .unit(unit)
        .min(0)
        .line_width(1)
        .fill_opacity(60 if bars else 8)
        .draw_style(GraphDrawStyle.BARS if bars else GraphDrawStyle.LINE)
        .show_points(VisibilityMode.NEVER)
        .legend(
            common.VizLegendOptions()
            .display_mode(LegendDisplayMode.TABLE)
            .placement(LegendPlacement.BOTTOM)
            .calcs(["lastNotNull", "max"])
            .show_legend(True)
        )
        .tooltip(common.VizTooltipOptions().mode(TooltipDisplayMode.MULTI).sort(SortOrder.DESCENDING))
        .height(8)
        .span(span)
    )
    for index, query in enumerate(queries):
        panel = panel.with_target(_target(query, index))
    return panel


def quantiles(metric: str, by: str = "", where: str = "") -> tuple[Query, ...]:
    """Return the median and the 95th percentile of a histogram, by one label if given."""
    labels, legend = (f"le, {by}", f" {{{{{by}}}}}") if by else ("le", "")
    rate = f"sum by ({labels}) (rate({metric}_bucket{{{where}}}[$__rate_interval]))"
    return tuple(Query(f"histogram_quantile({q}, {rate})", f"p{round(q * 100)}{legend}") for q in (0.5, 0.95))


def make_dashboard(
    title: str, uid: str, says: str, panels: Sequence[stat.Panel | timeseries.Panel], *, departments: bool = False
) -> dashboard.Dashboard:
    """Return a read-only dashboard with links to the others."""
    made = (
        dashboard.Dashboard(title)
        .uid(uid)
        .description(says)
        .tags(["countersign"])
        .timezone("browser")
        .refresh("30s")
        .time("now-6h", "now")
        .tooltip(DashboardCursorSync.CROSSHAIR)
        .readonly()
        .link(
            dashboard.DashboardLink("Countersign")
            .type(DashboardLinkType.DASHBOARDS)
            .tags(["countersign"])
            .as_dropdown(True)
            .keep_time(True)
        )
        .link(dashboard.DashboardLink("What to do").type(DashboardLinkType.LINK).url(RUNBOOK).icon("doc"))
    )
    if departments:
        variable = (
            dashboard.QueryVariable("department")
            .label("Department")
            .datasource(SOURCE)
            .query("label_values(countersign_case_events_total, countersign_department)")
            .refresh(VariableRefresh.ON_TIME_RANGE_CHANGED)
            .include_all(True)
            .all_value(".*")
            .multi(True)
        )
        made = made.with_variable(variable)
    for panel in panels:
        made = made.with_panel(panel)
    return made


def events_within(name: str, window: str) -> str:
    """Return the number of events of this name in the last `window`."""
    return f'sum(increase({EVENTS}{{countersign_event="{name}", {DEPARTMENT}}}[{window}])) or vector(0)'


def cases_in_state(state: str) -> str:
    """Return the number of cases in a state; all processes of approval report the same."""
    where = f'countersign_case_state="{state}", {DEPARTMENT}'
    return f"sum(max by (countersign_department) (countersign_cases{{{where}}})) or vector(0)"
