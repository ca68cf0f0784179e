"""`make local-dashboards` as its users run it: the dashboards fill, and Ctrl-C leaves nothing behind."""

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
    pytest.mark.skipif(bool(MISSING), reason=f"not here: {', '.join(MISSING)} (tools/fetch.sh)"),
]
DISCHARGES = 'sum(countersign_case_events_total{countersign_event="discharged"})'


@contextmanager
def watch(data_dir: Path, *arguments: str) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-m", "tools.local_dashboards", "--data-dir", str(data_dir), "--port", str(free_port())]
    with subprocess.Popen(
        [*command, *arguments], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def told(process: subprocess.Popen[str], word: str) -> str:
    """The next line with `word` in it."""
    assert process.stdout is not None
    before = []
    for line in process.stdout:
        if word in line:
            return line
        before.append(line)
    raise AssertionError(f"{word!r} was not said, but:\n{''.join(before)}")


def test_the_dashboards_fill_and_ctrl_c_leaves_nothing_behind(tmp_path: Path) -> None:
    port = free_port()
    arguments = ("--dashboards-port", str(port), "--patients", "3", "--drafter-model", "drafter-scripted")
    with watch(tmp_path, *arguments) as process:
        assert told(process, "ready") == f"ready http://127.0.0.1:{port}/user/\n"
        told(process, "signed: case")
        assert "Discharge cases" in httpx.get(f"http://127.0.0.1:{port}/user/").text
        asked = httpx.get(f"http://127.0.0.1:{port}/api/v1/query", params={"query": DISCHARGES}).json()
        assert float(asked["data"]["result"][0]["value"][1]) >= 1
        everybody = psutil.Process(process.pid).children(recursive=True)
        assert {"prometheus", "victoria-metrics", "nats-server"} <= {child.name()[:16] for child in everybody}
        process.send_signal(signal.SIGINT)
        said, _ = process.communicate(timeout=40)
        assert process.returncode == 0, said
        assert "Traceback" not in said
        _, left = psutil.wait_procs(everybody, timeout=10)
        assert left == []


def test_a_taken_port_is_said_before_anything_is_started(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with watch(tmp_path, "--dashboards-port", str(port)) as process:
            said, _ = process.communicate(timeout=30)
    assert process.returncode == 2
    assert said == f"local-dashboards: Port {port} is taken. Choose another with --dashboards-port.\n"
