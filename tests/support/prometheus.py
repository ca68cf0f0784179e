"""A real Prometheus beside a receiver of OTLP, on loopback: what a platform team looks at, in small.

VictoriaMetrics stands where the OpenTelemetry collector does: it takes OTLP and shows it in Prometheus' form.
"""

import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import yaml

from cli.stack.ports import free_port

TOOLS = Path(__file__).parents[2] / ".tools/usr/bin"
RULES = Path(__file__).parents[2] / "deploy/prometheus/alerts.yml"
MISSING = [name for name in ("prometheus", "promtool", "victoria-metrics") if not (TOOLS / name).exists()]
PATIENCE = 60.0


@dataclass(frozen=True)
class Prometheus:
    """`otlp`: where metrics are sent to. `url`: where they are asked for."""

    otlp: str
    url: str
    targets: Path  # a file of further targets, which is watched

    def query(self, expr: str) -> list[dict[str, Any]]:
        """The instant vector of `expr`. Raises AssertionError with Prometheus' words where it is not understood."""
        answer = httpx.get(f"{self.url}/api/v1/query", params={"query": expr}, timeout=30).json()
        assert answer["status"] == "success", f"{expr}: {answer.get('error')}"
        result = answer["data"]["result"]
        return list(result) if answer["data"]["resultType"] == "vector" else [{"value": result}]

    def names(self) -> set[str]:
        """Every metric that there is."""
        answer = httpx.get(f"{self.url}/api/v1/label/__name__/values", timeout=30).json()
        return set(answer["data"])

    def firing(self) -> set[str]:
        """Names of alerts that fire."""
        alerts = httpx.get(f"{self.url}/api/v1/alerts", timeout=30).json()["data"]["alerts"]
        return {alert["labels"]["alertname"] for alert in alerts if alert["state"] == "firing"}

    def scrape(self, *addresses: str) -> None:
        """Read metrics from these, too: `host:port`."""
        self.targets.write_text(yaml.safe_dump([{"targets": list(addresses)}]))


@contextmanager
def prometheus(directory: Path, rules: Path = RULES) -> Iterator[Prometheus]:
    """Both servers, answering; everything is read every second."""
    metrics, port = free_port(), free_port()
    targets = directory / "targets.yml"
    config = {
        "global": {"scrape_interval": "1s", "evaluation_interval": "1s"},
        "rule_files": [str(rules)],
        "scrape_configs": [
            {
                "job_name": "otlp",
                "honor_labels": True,
                "metrics_path": "/federate",
                "params": {"match[]": ['{__name__!=""}']},
                "static_configs": [{"targets": [f"127.0.0.1:{metrics}"]}],
            },
            {"job_name": "direct", "file_sd_configs": [{"files": [str(targets)], "refresh_interval": "1s"}]},
        ],
    }
    (directory / "prometheus.yml").write_text(yaml.safe_dump(config))
    commands = {
        f"http://127.0.0.1:{metrics}/health": [
            *("victoria-metrics", f"-httpListenAddr=127.0.0.1:{metrics}", f"-storageDataPath={directory}/victoria"),
            *("-search.latencyOffset=0s", "-opentelemetry.usePrometheusNaming", "-loggerLevel=ERROR"),
        ],
        f"http://127.0.0.1:{port}/-/ready": [
            *("prometheus", f"--config.file={directory}/prometheus.yml", f"--storage.tsdb.path={directory}/tsdb"),
            *(f"--web.listen-address=127.0.0.1:{port}", "--log.level=error"),
        ],
    }
    with ExitStack() as stack:
        log = stack.enter_context((directory / "servers.log").open("wb"))
        for name, *arguments in commands.values():
            process = subprocess.Popen([str(TOOLS / name), *arguments], stdout=log, stderr=log)
            stack.callback(process.wait)
            stack.callback(process.kill)
        for url in commands:
            _await(url, directory / "servers.log")
        yield Prometheus(f"http://127.0.0.1:{metrics}/opentelemetry/v1/metrics", f"http://127.0.0.1:{port}", targets)


def _await(url: str, log: Path) -> None:
    deadline = time.monotonic() + PATIENCE
    while True:
        try:
            if httpx.get(url, timeout=1).is_success:
                return
        except httpx.HTTPError:
            pass
        assert time.monotonic() < deadline, log.read_text()[-2000:]
        time.sleep(0.1)
