"""Prometheus and a receiver of OTLP on loopback, as `tools/fetch.sh` unpacks them.

VictoriaMetrics stands where the OpenTelemetry collector does: it takes OTLP and shows it in Prometheus' form, which
Debian's builds of Prometheus cannot do.
"""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
TOOLS = ROOT / ".tools/usr"
RULES = ROOT / "deploy/prometheus/alerts.yml"
REQUIRED_FILES = ("bin/prometheus", "bin/promtool", "bin/victoria-metrics", "share/javascript/dygraphs")
HOST = "127.0.0.1"


@dataclass(frozen=True, slots=True)
class ServerFiles:
    """Where both keep what they know, and the ports that they have."""

    directory: Path
    receiver_port: int
    port: int

    @property
    def otlp(self) -> str:
        """Return the URL to which metrics are sent: `OTEL_EXPORTER_OTLP_METRICS_ENDPOINT`."""
        return f"http://{HOST}:{self.receiver_port}/opentelemetry/v1/metrics"

    @property
    def url(self) -> str:
        """Return the URL at which metrics are queried."""
        return f"http://{HOST}:{self.port}"

    @property
    def targets(self) -> Path:
        """Return the file of further targets, which Prometheus watches."""
        return self.directory / "targets.yml"

    @property
    def pages(self) -> Path:
        """Return the folder that Prometheus serves under /user/."""
        return self.directory / "pages"


def missing() -> list[str]:
    """Return the parts that are not unpacked."""
    return [name for name in REQUIRED_FILES if not (TOOLS / name).exists()]


def config(place: ServerFiles, every: str, *, silent: str = "5m", rules: Path = RULES) -> dict[str, Any]:
    """Return Prometheus' configuration. `every` is the interval of scraping and of evaluating `rules`, such as "5s".

    Metrics that were not reported for `silent` expire; for a collector, too, that is five minutes.
    """
    return {
        "global": {"scrape_interval": every, "evaluation_interval": every},
        "rule_files": [str(rules)],
        "scrape_configs": [
            {
                "job_name": "otlp",
                "honor_labels": True,
                "honor_timestamps": False,  # what comes with its own time is shown five minutes longer than it is said
                "metrics_path": "/federate",
                "params": {"match[]": ['{__name__!=""}'], "max_lookback": [silent]},
                "static_configs": [{"targets": [f"{HOST}:{place.receiver_port}"]}],
            },
            {"job_name": "direct", "file_sd_configs": [{"files": [str(place.targets)], "refresh_interval": every}]},
        ],
    }


def receiver(place: ServerFiles) -> list[str]:
    """Return the command of the alert receiver. It forgets alerts after a day, its shortest retention."""
    return [
        *(str(TOOLS / "bin/victoria-metrics"), f"-httpListenAddr={HOST}:{place.receiver_port}"),
        *(f"-storageDataPath={place.directory}/receiver", "-retentionPeriod=1d", "-memory.allowedBytes=64MB"),
        *("-search.latencyOffset=0s", "-opentelemetry.usePrometheusNaming", "-loggerLevel=ERROR"),
    ]


def prometheus(place: ServerFiles) -> list[str]:
    """Return Prometheus' command, with `prometheus.yml` in its folder and a week of retention."""
    return [
        *(str(TOOLS / "bin/prometheus"), f"--config.file={place.directory}/prometheus.yml"),
        *(f"--storage.tsdb.path={place.directory}/tsdb", "--storage.tsdb.retention.time=7d"),
        *(f"--web.listen-address={HOST}:{place.port}", f"--web.user-assets={place.pages}", "--log.level=error"),
        f"--web.cors.origin={re.escape(place.url)}",  # its default lets every page in the same browser read along
    ]


def health(place: ServerFiles) -> tuple[str, str]:
    """Return the URLs that answer when the receiver and Prometheus are ready."""
    return f"http://{HOST}:{place.receiver_port}/health", f"{place.url}/-/ready"
