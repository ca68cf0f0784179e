"""Inference and GPU: the model server, what waits for it, where the time goes."""

from grafana_foundation_sdk.builders import dashboard

from tools.grafana.panels import GPU_ONLY, Query, make_dashboard, quantiles, stat_panel, timeseries_panel


def make() -> dashboard.Dashboard:
    done = "sum by (model) (rate(nv_inference_request_success[$__rate_interval]))"
    return make_dashboard(
        "Inference and GPU",
        "countersign-inference",
        "The model server: what is asked of it, what waits, and where the time goes.",
        [
            stat_panel(
                "Models ready",
                "Of those that services ask.",
                Query('min(countersign_dependency_up{countersign_dependency=~"triton.*"})'),
            ),
            stat_panel(
                "Requests in the queue", "Now, all models.", Query("sum(nv_inference_pending_request_count)"), bad=20
            ),
            stat_panel(
                "Failed requests, 24 h",
                "That the server gave up on.",
                Query("sum(increase(nv_inference_request_failure[24h])) or vector(0)"),
                bad=1,
            ),
            stat_panel(
                "Tokens, 24 h",
                "Read and written by the drafting model.",
                Query(
                    "sum(increase(vllm:prompt_tokens_total[24h])) + sum(increase(vllm:generation_tokens_total[24h]))"
                ),
            ),
            timeseries_panel(
                "Drafting and embedding, as services see it",
                "From the request to the last token.",
                *quantiles("gen_ai_client_operation_duration_seconds", by="gen_ai_request_model"),
                unit="s",
            ),
            timeseries_panel("Requests a second", "By model.", Query(done, "{{model}}"), unit="reqps"),
            timeseries_panel(
                "Time in the queue",
                "Mean wait of a request. Grows first when the server is too small: it scales on this.",
                Query(
                    f"sum by (model) (rate(nv_inference_queue_duration_us[$__rate_interval])) / {done} / 1e6",
                    "{{model}}",
                ),
                unit="s",
            ),
            timeseries_panel(
                "Time in the model",
                "Mean time of a request in compute.",
                Query(
                    f"sum by (model) (rate(nv_inference_compute_infer_duration_us[$__rate_interval])) / {done} / 1e6",
                    "{{model}}",
                ),
                unit="s",
            ),
            timeseries_panel(
                "Batch size",
                "Requests that were computed together, on average.",
                Query(
                    "sum by (model) (rate(nv_inference_count[$__rate_interval]))"
                    " / sum by (model) (rate(nv_inference_exec_count[$__rate_interval]))",
                    "{{model}}",
                ),
            ),
            timeseries_panel(
                "Tokens a second",
                "Read (prompt) and written (generation).",
                Query("sum(rate(vllm:prompt_tokens_total[$__rate_interval]))", "prompt"),
                Query("sum(rate(vllm:generation_tokens_total[$__rate_interval]))", "generation"),
            ),
            timeseries_panel(
                "GPU utilisation",
                f"{GPU_ONLY}. Share of time in which a kernel ran.",
                Query("avg by (gpu_uuid) (nv_gpu_utilization)", "{{gpu_uuid}}"),
                unit="percentunit",
            ),
            timeseries_panel(
                "GPU memory",
                f"{GPU_ONLY}. What is in use.",
                Query("sum by (gpu_uuid) (nv_gpu_memory_used_bytes)", "{{gpu_uuid}}"),
                unit="bytes",
            ),
        ],
    )
