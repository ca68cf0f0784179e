"""Bus and services: what waits, what is tried again, what was refused, who does not answer."""

from grafana_foundation_sdk.builders import dashboard

from tools.grafana.panels import Query, make_dashboard, stat_panel, timeseries_panel


def make() -> dashboard.Dashboard:
    consumer = "messaging_consumer_group_name"
    return make_dashboard(
        "Bus and services",
        "countersign-bus",
        "What waits on the bus, what is tried again, what was refused, and who does not answer.",
        [
            stat_panel(
                "Every write on disk first",
                "1: NATS syncs before it acknowledges.",
                Query("min(countersign_nats_sync_always)"),
            ),
            stat_panel(
                "Dead letters, 24 h",
                "Messages whose retries are exhausted.",
                Query("sum(increase(countersign_dead_letters_total[24h]))"),
                worse=1,
            ),
            stat_panel(
                "Refused by NATS, 24 h",
                "Somebody asks for what is not theirs.",
                Query("sum(increase(countersign_nats_refused_total[24h]))"),
                bad=1,
            ),
            stat_panel(
                "Broken links in audit chains",
                "Found on the rounds. More than 0: somebody touched it.",
                Query("sum(countersign_trail_faults_total)"),
                worse=1,
            ),
            timeseries_panel(
                "Messages that wait, by consumer",
                "Not delivered yet.",
                Query(f"max by ({consumer}) (countersign_consumer_lag)", f"{{{{{consumer}}}}}"),
            ),
            timeseries_panel(
                "Messages in work, by consumer",
                "Delivered and not answered: being worked on, or waiting for their next attempt.",
                Query(f"max by ({consumer}) (countersign_consumer_unacknowledged)", f"{{{{{consumer}}}}}"),
            ),
            timeseries_panel(
                "EHR access tokens, by hour",
                "Requests at the token endpoint, by outcome. Refused: the registration of our client must be corrected.",
                Query(
                    "sum by (countersign_outcome) (increase(countersign_ehr_token_requests_total[1h]))",
                    "{{countersign_outcome}}",
                ),
                bars=True,
            ),
            timeseries_panel(
                "Time of a step, 95th percentile",
                "One attempt, by consumer.",
                Query(
                    f"histogram_quantile(0.95, sum by (le, {consumer}) (rate(messaging_process_duration_seconds_bucket[$__rate_interval])))",
                    f"{{{{{consumer}}}}}",
                ),
                unit="s",
            ),
            timeseries_panel(
                "Second and later deliveries, by hour",
                "A failed attempt or a process that died.",
                Query(f"sum by ({consumer}) (increase(countersign_redeliveries_total[1h]))", f"{{{{{consumer}}}}}"),
                bars=True,
            ),
            timeseries_panel(
                "Messages stored a second",
                "By stream. With an error: a lost race (10071) or no answer.",
                Query(
                    "sum by (messaging_destination_name, error_type) (rate(messaging_client_sent_messages_total[$__rate_interval]))",
                    "{{messaging_destination_name}} {{error_type}}",
                ),
            ),
            timeseries_panel(
                "Who answers",
                "1: it does. By dependency.",
                Query("min by (countersign_dependency) (countersign_dependency_up)", "{{countersign_dependency}}"),
            ),
            timeseries_panel(
                "Requests to the EHR, 95th percentile",
                "By resource type.",
                Query(
                    "histogram_quantile(0.95, sum by (le, url_template) (rate(http_client_request_duration_seconds_bucket[$__rate_interval])))",
                    "{{url_template}}",
                ),
                unit="s",
            ),
            timeseries_panel(
                "Answers by status, a second",
                "Of our own API and pages.",
                Query(
                    "sum by (http_response_status_code) (rate(http_server_request_duration_seconds_count[$__rate_interval]))",
                    "{{http_response_status_code}}",
                ),
                unit="reqps",
            ),
            timeseries_panel(
                "Links verified, by hour",
                "Rounds through all cases.",
                Query("sum(increase(countersign_trail_verified_total[1h]))", "links"),
                bars=True,
            ),
            timeseries_panel(
                "Used storage for streams",
                "Of the server, and of the account where it has a limit. At 1 nothing is acknowledged any more.",
                Query("max by (countersign_nats_scope) (countersign_nats_storage_used)", "{{countersign_nats_scope}}"),
                unit="percentunit",
            ),
        ],
    )
