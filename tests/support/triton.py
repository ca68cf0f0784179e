"""A real Triton server for tests, with just the models that are asked for."""

import os
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx

from cli.stack import triton
from cli.stack.ports import free_port
from tests.support import http

PATIENCE = 90.0


@dataclass(frozen=True)
class TritonServer:
    """`grpc` is host:port; `metrics`, which Prometheus reads, is an address."""

    grpc: str
    metrics: str
    process: subprocess.Popen[bytes]


@contextmanager
def triton_server(directory: Path, models: tuple[str, ...]) -> Iterator[TritonServer]:
    home = triton.server_home(triton.ENVIRONMENT)
    ports = triton.TritonPorts(free_port(), free_port())
    region = f"countersign_test_{os.getpid()}_{ports.grpc}_"
    command = triton.command(home, triton.link_backends(home, directory), ports, models, region)
    with (directory / "triton.log").open("wb") as log:
        process = subprocess.Popen(
            command,
            stdout=log,
            stderr=log,
            env=triton.process_environment(triton.ENVIRONMENT),
            cwd=triton.empty_directory(directory / "run"),
        )
    metrics = f"http://127.0.0.1:{ports.metrics}/metrics"  # its ports are opened when the models are loaded
    deadline = time.monotonic() + PATIENCE
    while not _ready(metrics):
        assert time.monotonic() < deadline, (directory / "triton.log").read_text()[-2000:]
        assert process.poll() is None, (directory / "triton.log").read_text()[-2000:]
        time.sleep(0.1)
    yield TritonServer(f"127.0.0.1:{ports.grpc}", metrics, process)
    process.kill()
    process.wait()
    triton.clear_shared_memory(region)


def _ready(url: str) -> bool:
    try:
        return http.get(url, timeout=1).is_success
    except httpx.HTTPError:
        return False
