"""Drafters: what physicians do with the drafts of each configuration, and whether that changes."""

from grafana_foundation_sdk.builders import dashboard

from tools.grafana.panels import Query, make_dashboard, stat_panel, timeseries_panel

DECISIONS = "countersign_drafter_decisions_total"
SENTENCES = "countersign_drafter_sentences_total"
ANSWERS = "countersign_drafter_answer_sentences_total"
WAITING = "countersign_drafter_evaluation_waiting"
PLACE = "countersign_document, countersign_drafter_role"
LEGEND = "{{countersign_document}} {{countersign_drafter_role}}"
BY_PHYSICIANS = "rejected|redraft|replaced|changed|corrected|confirmed"


def _share(metric: str, outcome: str, by: str = "", window: str = "1d") -> str:
    """Return the share that an outcome has of a counter's increase."""
    grouped = f"sum by ({by})" if by else "sum"
    part = f'{grouped} (increase({metric}{{countersign_outcome="{outcome}"}}[{window}]))'
    return f"{part} / {grouped} (increase({metric}[{window}]))"


def _beside_live(matches: str) -> Query:
    """Return signals of the canary and of live since the canary began; `matches` is a matcher of their names."""
    grouped = "countersign_document, countersign_drafter_signal, countersign_drafter_role"
    return Query(
        f"max by ({grouped}) (countersign_drafter_canary_signal{{countersign_drafter_signal{matches}}})",
        "{{countersign_document}} {{countersign_drafter_signal}} {{countersign_drafter_role}}",
    )


def make() -> dashboard.Dashboard:
    return make_dashboard(
        "Drafters",
        "countersign-drafters",
        "What physicians do with the drafts of each configuration, and whether that changes.",
        [
            stat_panel(
                "Drift of live configurations",
                "From 1 on, drafts fare worse than at first: countersign drafters drift.",
                Query("max(countersign_drafter_drift) or vector(0)"),
                unit="percentunit",
                bad=0.5,
                worse=1,
            ),
            stat_panel(
                "Evidence against the canary",
                "An e-value. At 20 the canary is rolled back, unless the settings say otherwise.",
                Query("max(countersign_drafter_canary_evidence) or vector(0)"),
                bad=5,
                worse=20,
            ),
            stat_panel(
                "Rejected, 7 d",
                "Share of the drafts that were decided.",
                Query(_share(DECISIONS, "rejected", window="7d")),
                unit="percentunit",
            ),
            stat_panel(
                "Stays still to be drafted",
                "For evaluations and shadows. Drafts for physicians go first.",
                Query(f"sum(max by ({PLACE}) ({WAITING}))"),
            ),
            timeseries_panel(
                "Decisions by outcome, by day",
                "About drafts of live configurations and canaries.",
                Query(
                    f"sum by (countersign_drafter_role, countersign_outcome) (increase({DECISIONS}[1d]))",
                    "{{countersign_drafter_role}} {{countersign_outcome}}",
                ),
                bars=True,
            ),
            timeseries_panel(
                "Rejected drafts, by day",
                "Share of the drafts that were decided.",
                Query(_share(DECISIONS, "rejected", PLACE), LEGEND),
                unit="percentunit",
            ),
            timeseries_panel(
                "Replaced sentences, by day",
                "Share of the sentences of signed drafts that the signed text does not have.",
                Query(_share(SENTENCES, "replaced", PLACE), LEGEND),
                unit="percentunit",
            ),
            timeseries_panel(
                "Sentences of the model's answer, by day",
                "By what the record says, whether the draft has them or not.",
                Query(
                    f"sum by (countersign_drafter_role, countersign_outcome) (increase({ANSWERS}[1d]))",
                    "{{countersign_drafter_role}} {{countersign_outcome}}",
                ),
                bars=True,
            ),
            timeseries_panel(
                "Canary beside live: decisions of physicians",
                "Means since the canary began. The larger, the worse.",
                _beside_live(f'=~"{BY_PHYSICIANS}"'),
                unit="percentunit",
            ),
            timeseries_panel(
                "Canary beside live: sentences of the model, and time",
                "Means since the canary began. They are no part of the test.",
                _beside_live(f'!~"{BY_PHYSICIANS}"'),
                unit="percentunit",
            ),
            timeseries_panel(
                "Signals of live configurations",
                "Means of what was decided, at first and of late. Higher is worse.",
                Query(
                    "max by (countersign_document, countersign_drafter_signal, countersign_drafter_period)"
                    " (countersign_drafter_signal)",
                    "{{countersign_document}} {{countersign_drafter_signal}} {{countersign_drafter_period}}",
                ),
                unit="percentunit",
            ),
            timeseries_panel(
                "Test for drift",
                "Share of the threshold. It has no value before the first decision.",
                Query(
                    "max by (countersign_document, countersign_drafter_signal) (countersign_drafter_drift)",
                    "{{countersign_document}} {{countersign_drafter_signal}}",
                ),
                unit="percentunit",
            ),
            timeseries_panel(
                "Evaluations without progress",
                "Time since a stay was drafted, while others wait.",
                Query(f"max by ({PLACE}) (countersign_drafter_evaluation_stalled_seconds)", LEGEND),
                unit="s",
            ),
            timeseries_panel(
                "Gate",
                "Of the last evaluation, and of the shadow so far. 1: passed. 0: held back.",
                Query(f"min by ({PLACE}) (countersign_drafter_evaluation_passed)", LEGEND),
            ),
        ],
    )
