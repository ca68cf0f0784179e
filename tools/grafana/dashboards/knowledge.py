"""Knowledge quality: what drafts cite, how good it is, what each night changed."""

from grafana_foundation_sdk.builders import dashboard

from tools.grafana.panels import Query, make_dashboard, quantiles, stat_panel, timeseries_panel


def make() -> dashboard.Dashboard:
    return make_dashboard(
        "Knowledge quality",
        "countersign-knowledge",
        "What drafts cite, how good it is, and what each night changed.",
        [
            stat_panel("Live version", "What drafts cite now.", Query("max(countersign_knowledge_live_version)")),
            stat_panel(
                "MRR@10, live",
                "Over the golden queries, when it was judged. The bar is 0.75.",
                Query('max(countersign_knowledge_mrr{countersign_knowledge_role="live"})'),
                unit="percentunit",
            ),
            stat_panel(
                "Held back, 7 d",
                "Versions that were not good enough: live stayed as it was.",
                Query(
                    'sum(increase(countersign_knowledge_refreshes_total{countersign_outcome="held-back"}[7d]))'
                    " or vector(0)"
                ),
                bad=1,
            ),
            stat_panel(
                "Failed, 7 d",
                "Refreshes that failed.",
                Query(
                    'sum(increase(countersign_knowledge_refreshes_total{countersign_outcome="failed"}[7d])) or vector(0)'
                ),
                worse=1,
            ),
            timeseries_panel(
                "MRR@10 by version",
                "Live, and the version that was judged last.",
                Query(
                    "max by (countersign_knowledge_role, countersign_knowledge_version) (countersign_knowledge_mrr)",
                    "{{countersign_knowledge_role}} {{countersign_knowledge_version}}",
                ),
                unit="percentunit",
            ),
            timeseries_panel(
                "Recall@10 by version",
                "Share of the relevant documents among the first ten.",
                Query(
                    "max by (countersign_knowledge_role, countersign_knowledge_version) (countersign_knowledge_recall)",
                    "{{countersign_knowledge_role}} {{countersign_knowledge_version}}",
                ),
                unit="percentunit",
            ),
            timeseries_panel(
                "Refreshes by outcome, by day",
                "skipped: nothing had changed.",
                Query(
                    "sum by (countersign_outcome) (increase(countersign_knowledge_refreshes_total[1d]))",
                    "{{countersign_outcome}}",
                ),
                bars=True,
            ),
            timeseries_panel(
                "Chunks, by hour",
                "Embedded, or kept because nothing in them changed.",
                Query(
                    "sum by (countersign_outcome) (increase(countersign_knowledge_chunks_total[1h]))",
                    "{{countersign_outcome}}",
                ),
                bars=True,
            ),
            timeseries_panel(
                "Batches that wait",
                "The night's queue. It stands still in peak hours.",
                Query(
                    'max(countersign_consumer_lag{messaging_consumer_group_name="embedder-embed"})', "embedder-embed"
                ),
            ),
            timeseries_panel(
                "Embedding requests",
                "Queries of drafts and batches of the night together.",
                *quantiles("gen_ai_client_operation_duration_seconds", where='gen_ai_operation_name="embeddings"'),
                unit="s",
            ),
        ],
    )
