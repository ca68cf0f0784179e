"""`make watch` as its users run it: the dashboards fill, and Ctrl-C leaves nothing behind."""

import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import psutil
import pytest

from cli.stack.ports import free_port
from tests.support.prometheus import MISSING

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.timeout(300),
    pytest.mark.skipif(bool(MISSING), reason=f"not here: {', '.join(MISSING)} (deploy/tools.sh)"),
]
DISCHARGES = 'sum(countersign_case_events_total{countersign_event="discharged"})'


@contextmanager
def watch(data_dir: Path, *arguments: str) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-m", "deploy.watch", "--data-dir", str(data_dir), "--port", str(free_port())]
    with subprocess.Popen(
        [*command, *arguments], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def test_the_dashboards_fill_and_ctrl_c_leaves_nothing_behind(tmp_path: Path) -> None:
    port = free_port()
    arguments = ("--dashboards-port", str(port), "--patients", "3", "--drafter-model", "drafter-scripted")
    with watch(tmp_path, *arguments) as process:
        assert process.stdout is not None
        said = iter(process.stdout)
        assert next(line for line in said if line.startswith("ready")) == f"ready http://127.0.0.1:{port}/user/\n"
        next(line for line in said if "signed: case" in line)
        assert "Discharge cases" in httpx.get(f"http://127.0.0.1:{port}/user/").text
        asked = httpx.get(f"http://127.0.0.1:{port}/api/v1/query", params={"query": DISCHARGES}).json()
        assert float(asked["data"]["result"][0]["value"][1]) >= 1
        everybody = psutil.Process(process.pid).children(recursive=True)
        assert {"prometheus", "victoria-metrics", "nats-server"} <= {child.name()[:16] for child in everybody}
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=40) == 0, "".join(said)
        assert "Traceback" not in "".join(said)
        _, left = psutil.wait_procs(everybody, timeout=10)
        assert left == []


def test_a_taken_port_is_said_before_anything_is_started(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with watch(tmp_path, "--dashboards-port", str(port)) as process:
            said, _ = process.communicate(timeout=30)
    assert process.returncode == 1
    assert said == f"watch: Port {port} is taken. Choose another with --dashboards-port.\n"
