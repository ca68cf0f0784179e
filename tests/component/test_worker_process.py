"""Worker processes start whatever else the process has loaded, and an end at any moment is a known error."""

import os
import signal
import socket
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from services.ingest.documents.reader import DocumentReader
from shared.runtime.worker_process import WorkerEndedError, WorkerProcess
from tests.support.stack import until

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
# What libraries have registered to run in a forked child is not ours to know: gRPC's at times ends it with SIGSEGV.
FORK_ENDS_THE_CHILD = """
import os, uvloop
from services.drafter.notes import pdf
from services.ingest.documents.reader import DocumentReader
from tests.unit.test_formats import pdf as written

async def main():
    os.register_at_fork(after_in_child=lambda: os._exit(9))
    reader = DocumentReader()
    print((await reader.read("a.md", b"words")).blocks[0].text)
    print(await pdf.text_of(written("Pneumonia")))
    await reader.close()

uvloop.run(main())
"""


@pytest.fixture
async def worker() -> AsyncIterator[WorkerProcess]:
    reader = DocumentReader()
    yield reader.worker
    await reader.close()


def test_nothing_of_this_process_runs_in_a_child() -> None:
    """On the event loop of the services, which forks where it starts processes itself."""
    done = subprocess.run(
        [sys.executable, "-c", FORK_ENDS_THE_CHILD], cwd=ROOT, capture_output=True, text=True, timeout=60
    )
    assert done.stdout.split() == ["words", "Pneumonia"], done.stderr


async def test_requests_to_the_service_go_before_a_worker(worker: WorkerProcess) -> None:
    """From its first instruction, and in the session of the service, outside which a nice value does not count."""
    process = worker._start(socket.socketpair()[0])
    try:
        assert os.getpriority(os.PRIO_PROCESS, process.pid) > os.getpriority(os.PRIO_PROCESS, 0)
        assert os.getsid(process.pid) == os.getsid(0)
        assert os.getpgid(process.pid) == process.pid
    finally:
        process.kill()
        process.wait()


async def test_a_process_that_ended_between_two_requests_is_started_again() -> None:
    reader = DocumentReader()
    for _ in range(3):
        assert (await reader.read("a.md", b"words")).blocks
        assert reader.worker.process is not None
        os.kill(reader.worker.process.pid, signal.SIGKILL)
        reader.worker.process.wait()
    await reader.close()


async def test_a_process_whose_connection_is_closed_has_ended(
    worker: WorkerProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever the event loop raises for a write to it."""
    request: dict[str, Any] = {"kind": "document", "name": "a.md", "media_type": None, "limits": {}}
    await worker.ask(request, b"words", seconds=30)
    assert worker.process is not None
    os.kill(worker.process.pid, signal.SIGKILL)
    monkeypatch.setattr(worker.process, "poll", lambda: None)  # it ends right after it was seen running

    async def noticed() -> bool:
        return worker.writer.is_closing() or worker.reader.at_eof()

    await until(noticed, "the end of the connection")
    with pytest.raises(WorkerEndedError) as ended:
        await worker.ask(request, b"words", seconds=30)
    assert ended.value.code == -signal.SIGKILL
