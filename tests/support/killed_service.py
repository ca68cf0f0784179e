"""A service as a process of its own that kills itself with SIGKILL at one of its writes to NATS.

Each start is a fork of one process that has imported the service, so that a test can start it many times.
"""

import asyncio
import importlib
import multiprocessing
import os
import signal
import time
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import httpx

from shared.messaging.connection import Ack, NatsConnection
from tests.support import http

_PROCESSES = multiprocessing.get_context("forkserver")
PATIENCE_S = 60.0


def _die_at(when: str, subject: str) -> None:
    """Have this process die before a write is sent, or when the server has stored it and nobody knows yet."""
    real = NatsConnection.publish

    async def publish(bus: NatsConnection, to: str, *args: Any, **sent: Any) -> Ack:
        if subject not in to:
            return await real(bus, to, *args, **sent)
        if when == "after":
            await real(bus, to, *args, **sent)  # one that the server refuses is none: this raises
        os.kill(os.getpid(), signal.SIGKILL)
        raise AssertionError("it lives on")

    NatsConnection.publish = publish  # type: ignore[assignment, method-assign]


def _run(name: str, environment: dict[str, str], log: Path, dies: str) -> None:
    file = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(file, 1)
    os.dup2(file, 2)
    os.environ.update(environment)
    if dies:
        _die_at(*dies.split(" ", 1))
    importlib.import_module(f"services.{name}.main").main()


class KilledService:
    """One process at a time, with the environment and the log of a service. Its variable of the port is needed."""

    def __init__(self, name: str, environment: dict[str, str], log: Path) -> None:
        # The client of Qdrant takes longest, and a service imports it only when it connects.
        _PROCESSES.set_forkserver_preload([__name__, f"services.{name}.main", "shared.knowledge.qdrant_server"])
        self._name, self._environment, self._log = name, environment, log
        self.url = f"http://127.0.0.1:{environment['COUNTERSIGN_PORT']}"
        self._process: BaseProcess | None = None
        self._dies = ""

    def start(self, dies: str = "") -> None:
        """`dies`: `before` or `after`, a space, and a part of the subject of the write; empty: it lives."""
        self._dies = dies
        given = (self._name, self._environment, self._log, dies)
        self._process = _PROCESSES.Process(target=_run, args=given, daemon=True)
        self._process.start()

    async def healthy(self) -> None:
        deadline = time.monotonic() + PATIENCE_S
        while not self._answers():
            assert time.monotonic() < deadline, f"{self._name} does not get ready: {self._last_words()}"
            await asyncio.sleep(0.02)

    def _answers(self) -> bool:
        try:
            return http.get(f"{self.url}/healthz", timeout=1).is_success
        except httpx.HTTPError:
            return False

    async def dead(self) -> None:
        """Wait until it has killed itself."""
        assert self._process is not None
        await asyncio.to_thread(self._process.join, PATIENCE_S)
        assert self._process.exitcode == -signal.SIGKILL, (self._dies, self._last_words())

    def kill(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.join()

    def _last_words(self) -> str:
        return self._log.read_text()[-1500:]
