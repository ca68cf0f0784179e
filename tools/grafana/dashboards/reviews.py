"""Reviews and escalations: who waits for whom, since when, and who was notified."""

from grafana_foundation_sdk.builders import dashboard

from tools.grafana.panels import DEPARTMENT, Query, cases_in_state, make_dashboard, stat_panel, timeseries_panel


def make() -> dashboard.Dashboard:
    oldest = f"countersign_review_oldest_seconds{{{DEPARTMENT}}}"
    return make_dashboard(
        "Reviews and escalations",
        "countersign-reviews",
        "Who waits for whom, since when, and who was notified.",
        [
            stat_panel(
                "Oldest open review", "Since when it waits.", Query(f"max({oldest}) or vector(0)"), unit="s", bad=86_400
            ),
            stat_panel("Open reviews", "All departments that are chosen.", Query(cases_in_state("awaiting-review"))),
            stat_panel(
                "Due and not notified",
                "Reviews whose next level has passed without an escalation. Always 0 while the timers fire.",
                Query("max(countersign_review_unescalated)"),
                worse=1,
            ),
            stat_panel(
                "Escalations, 24 h",
                "Levels that were reached.",
                Query(f"sum(increase(countersign_escalations_total{{{DEPARTMENT}}}[24h])) or vector(0)"),
                bad=1,
            ),
            timeseries_panel(
                "Open reviews by department",
                "Who has how much to sign.",
                Query(
                    f'max by (countersign_department) (countersign_cases{{countersign_case_state="awaiting-review", {DEPARTMENT}}})',
                    "{{countersign_department}}",
                ),
            ),
            timeseries_panel(
                "Oldest review by department and level",
                "Level 0: nobody was notified yet. At level 3 the supervisor owns it.",
                Query(
                    f"max by (countersign_department, countersign_escalation_level) ({oldest})",
                    "{{countersign_department}}, level {{countersign_escalation_level}}",
                ),
                unit="s",
            ),
            timeseries_panel(
                "Escalations by level, by hour",
                "24 h and 72 h are words to the supervisor; the third hands the review over.",
                Query(
                    "sum by (countersign_escalation_level)"
                    f" (increase(countersign_escalations_total{{{DEPARTMENT}}}[1h]))",
                    "level {{countersign_escalation_level}}",
                ),
                bars=True,
            ),
            timeseries_panel(
                "Messages to people, by hour",
                "Mails, chats and pages that were sent or failed, by kind of channel. Failed ones are tried again.",
                Query(
                    "sum by (countersign_channel, countersign_outcome) (increase(countersign_notifications_total[1h]))",
                    "{{countersign_channel}} {{countersign_outcome}}",
                ),
                bars=True,
            ),
            timeseries_panel(
                "Messages that wait",
                "Not delivered yet: a channel is down, or its address is wrong.",
                Query(
                    "max by (messaging_consumer_group_name)"
                    ' (countersign_consumer_lag{messaging_consumer_group_name=~"approval-(notify|deliver)"}'
                    ' + countersign_consumer_unacknowledged{messaging_consumer_group_name=~"approval-(notify|deliver)"})',
                    "{{messaging_consumer_group_name}}",
                ),
            ),
            timeseries_panel(
                "Decisions by where they were taken, by hour",
                "Our inbox, our API, the EHR's own inbox.",
                Query(
                    f"sum by (countersign_channel) (increase(countersign_drafts_total{{{DEPARTMENT}}}[1h]))",
                    "{{countersign_channel}}",
                ),
                bars=True,
            ),
            timeseries_panel(
                "Pages and API of reviews",
                "What physicians wait for, by route; the 95th percentile.",
                Query(
                    "histogram_quantile(0.95, sum by (le, http_route)"
                    ' (rate(http_server_request_duration_seconds_bucket{http_route=~"/|/reviews.*|/v1/reviews.*"}[$__rate_interval])))',
                    "{{http_route}}",
                ),
                unit="s",
                span=24,
            ),
        ],
        departments=True,
    )
