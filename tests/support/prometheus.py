"""A real Prometheus beside a receiver of OTLP, on loopback: what a platform team looks at, in small."""

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
from tests.support import http
from tests.support.command import Up
from tools.local_dashboards import pages, servers
from tools.local_dashboards.servers import RULES

MISSING = servers.missing()
PATIENCE = 60.0


@dataclass(frozen=True)
class Prometheus:
    """`otlp`: where metrics are sent to. `url`: where they are asked for."""

    otlp: str
    url: str
    targets: Path  # a file of further targets, which is watched
    stack: Up | None = None  # the stack that it watches, where a test needs it

    def query(self, expr: str) -> list[dict[str, Any]]:
        """The instant vector of `expr`. Raises AssertionError with Prometheus' words where it is not understood."""
        answer = http.get(f"{self.url}/api/v1/query", params={"query": expr}, timeout=30).json()
        assert answer["status"] == "success", f"{expr}: {answer.get('error')}"
        result = answer["data"]["result"]
        return list(result) if answer["data"]["resultType"] == "vector" else [{"value": result}]

    def names(self) -> set[str]:
        """Every metric that there is."""
        answer = http.get(f"{self.url}/api/v1/label/__name__/values", timeout=30).json()
        return set(answer["data"])

    def firing(self) -> set[str]:
        """Names of alerts that fire."""
        alerts = http.get(f"{self.url}/api/v1/alerts", timeout=30).json()["data"]["alerts"]
        return {alert["labels"]["alertname"] for alert in alerts if alert["state"] == "firing"}

    def scrape(self, *addresses: str) -> None:
        """Read metrics from these, too: `host:port`."""
        self.targets.write_text(yaml.safe_dump([{"targets": list(addresses)}]))


@contextmanager
def prometheus(directory: Path, rules: Path = RULES) -> Iterator[Prometheus]:
    """Both servers, answering, with the pages; everything is read every second."""
    place = servers.ServerFiles(directory, free_port(), free_port())
    pages.write_pages(place.pages, servers.TOOLS / "share/javascript")
    config = servers.config(place, "1s", rules=rules)
    (directory / "prometheus.yml").write_text(yaml.safe_dump(config))
    with ExitStack() as stack:
        log = stack.enter_context((directory / "servers.log").open("wb"))
        for command in (servers.receiver(place), servers.prometheus(place)):
            process = subprocess.Popen(command, stdout=log, stderr=log)
            stack.callback(process.wait)
            stack.callback(process.kill)
        for url in servers.health(place):
            _await(url, directory / "servers.log")
        yield Prometheus(place.otlp, place.url, place.targets)


def _await(url: str, log: Path) -> None:
    deadline = time.monotonic() + PATIENCE
    while True:
        try:
            if http.get(url, timeout=1).is_success:
                return
        except httpx.HTTPError:
            pass
        assert time.monotonic() < deadline, log.read_text()[-2000:]
        time.sleep(0.1)
