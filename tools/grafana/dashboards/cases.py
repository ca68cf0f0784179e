"""Discharge cases: where every case is, and how long it took to get there."""

from grafana_foundation_sdk.builders import dashboard

from tools.grafana.panels import (
    DEPARTMENT,
    EVENTS,
    STATES,
    Query,
    cases_in_state,
    events_within,
    make_dashboard,
    quantiles,
    stat_panel,
    timeseries_panel,
)

READING = "countersign_draft_reading_total"


def make() -> dashboard.Dashboard:
    return make_dashboard(
        "Discharge cases",
        "countersign-cases",
        "Where every case is, and how long it took to get there.",
        [
            stat_panel("Discharges, 24 h", "Cases that were opened.", Query(events_within("discharged", "24h"))),
            stat_panel(
                "Filed, 24 h",
                "Documents that were signed and stand in the chart.",
                Query(events_within("filed", "24h")),
            ),
            stat_panel("Waiting for a signature", "Open reviews, now.", Query(cases_in_state("awaiting-review"))),
            stat_panel(
                "Stopped",
                "A step has given up. Each waits for an operator: countersign dead-letters list.",
                Query(cases_in_state("failed")),
                worse=1,
            ),
            timeseries_panel(
                "Cases by state",
                "What cases wait for. Only the ones awaiting review should be many for long.",
                Query(f"sum by (countersign_case_state) ({STATES})", "{{countersign_case_state}}"),
            ),
            timeseries_panel(
                "Events a minute",
                "Appended events, by type.",
                Query(
                    f"sum by (countersign_event) (rate({EVENTS}{{{DEPARTMENT}}}[$__rate_interval])) * 60",
                    "{{countersign_event}}",
                ),
            ),
            timeseries_panel(
                "From discharge to draft",
                "How long physicians wait for a draft. The model is most of it.",
                *quantiles("countersign_case_time_to_draft_seconds", where=DEPARTMENT),
                unit="s",
            ),
            timeseries_panel(
                "From discharge to signature",
                "How long a document waits for a person.",
                *quantiles("countersign_case_time_to_signature_seconds", where=DEPARTMENT),
                unit="s",
            ),
            timeseries_panel(
                "What became of drafts, by hour",
                "Signed as it was, after a change, with a narrative by hand, refused. Many refusals: look at the model or the prompt.",
                Query(
                    f"sum by (countersign_outcome) (increase(countersign_drafts_total{{{DEPARTMENT}}}[1h]))",
                    "{{countersign_outcome}}",
                ),
                bars=True,
            ),
            timeseries_panel(
                "Sentences without support",
                "Share of what the model wrote that the record does not support; a physician confirms or removes each.",
                Query(
                    'sum(rate(countersign_draft_sentences_total{countersign_outcome="unsupported"}[1h]))'
                    " / sum(rate(countersign_draft_sentences_total[1h]))",
                    "unsupported",
                ),
                unit="percentunit",
            ),
            timeseries_panel(
                "Sentences without support, a draft",
                "How many a physician has to look at.",
                *quantiles("countersign_draft_unsupported", where=DEPARTMENT),
            ),
            timeseries_panel(
                "Signatures by how much was seen, by hour",
                "Parts of the draft that came into view before the signature; no-look: none, or under ten seconds; unknown: "
                "signed by the API or in the EHR.",
                Query(
                    f"sum by (countersign_outcome) (increase({READING}{{{DEPARTMENT}}}[1h]))",
                    "{{countersign_outcome}}",
                ),
                bars=True,
            ),
            timeseries_panel(
                "Signatures without reading",
                "Share of the signatures on our page that had the document in front for less than ten seconds, or no part "
                "of it in view. Each is in the events of its case (approved, reading).",
                Query(
                    f'(sum(increase({READING}{{countersign_outcome="no-look",{DEPARTMENT}}}[1d]))'
                    f' / (sum(increase({READING}{{countersign_outcome!="unknown",{DEPARTMENT}}}[1d])) > 0)) or vector(0)',
                    "not read",
                ),
                unit="percentunit",
            ),
            timeseries_panel(
                "Edits",
                "Characters between the draft and what was signed; narratives that were written by hand are left out.",
                *quantiles("countersign_draft_edit_distance", where=DEPARTMENT),
            ),
            timeseries_panel(
                "Ratings of drafts, by day",
                "By who signed them, in all departments, for each kind of document and configuration: countersign "
                "drafters edits shows what was changed.",
                Query(
                    "sum by (countersign_document, countersign_drafter_configuration, countersign_outcome) "
                    "(increase(countersign_draft_ratings_total[1d]))",
                    "{{countersign_document}} {{countersign_drafter_configuration}} {{countersign_outcome}}",
                ),
                bars=True,
            ),
        ],
        departments=True,
    )
