"""The embedded stack as `countersign up` runs it, in a process of its own."""

import asyncio
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import psutil

from bench.result_files import ROOT
from cli.client import Api
from cli.stack.access import read_access
from cli.stack.ports import free_port


class Running:
    """A stack with one refresh after the other."""

    def __init__(self, data_dir: Path, process: psutil.Process) -> None:
        access = read_access(data_dir)
        self.data_dir = data_dir
        self.process = process
        self.operator = Api(access.base_url, access.tokens["operator"])

    async def refresh(self) -> tuple[dict[str, Any], float]:
        """The refresh as it ended, and the seconds from the request to its end."""
        started = time.perf_counter()
        begun = await self.operator("POST", "/v1/knowledge/refreshes")
        while True:
            found: dict[str, Any] = await self.operator("GET", f"/v1/knowledge/refreshes/{begun['refresh']}")
            if found["ended"]:
                return found, time.perf_counter() - started
            await asyncio.sleep(0.05)

    def memory_mb(self, name: str) -> float:
        """A figure of /proc/…/status: VmHWM, the highest resident; RssAnon, what is the process's own by now.

        The rest is Qdrant's files, mapped: the kernel takes those pages back when it needs them.
        """
        return status_mb(self.process.pid, name)


@asynccontextmanager
async def running(
    file: Path, *, model: str = "drafter-scripted", data_dir: Path | None = None
) -> AsyncIterator[Running]:
    """`countersign up`, in a directory of its own where none is named."""
    with tempfile.TemporaryDirectory(prefix="countersign-bench-") as directory:
        data_dir = data_dir or Path(directory)
        command = [str(ROOT / ".venv" / "bin" / "countersign"), "up", "--data-dir", str(data_dir)]
        command += ["--port", str(free_port()), "--drafter-model", model, "--knowledge", str(file)]
        process = await asyncio.create_subprocess_exec(
            *command, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL
        )
        assert process.stdout is not None
        await process.stdout.readline()
        stack = Running(data_dir, psutil.Process(process.pid))
        try:
            yield stack
        finally:
            await stack.operator.close()
            process.terminate()
            await process.wait()


def status_mb(process: int | str, name: str) -> float:
    status = Path(f"/proc/{process}/status").read_text()
    line = next(line for line in status.splitlines() if line.startswith(name))
    return round(int(line.split()[1]) / 1024, 1)
