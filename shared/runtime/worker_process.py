"""A Python module as a process of its own that answers one request at a time.

For work that would hold up the event loop or take the service's memory with it. Requests and answers are frames: the
length in decimals, a line break, JSON.
"""

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, BinaryIO

from shared.contracts.errors import TransientError

PACKAGES = Path(__file__).resolve().parents[2]
MAX_ANSWER_BYTES = 32 * 2**20
PROCESS_NICENESS = 10  # requests to the service go first


class WorkerEndedError(Exception):
    """The process ended before it answered. `code`: its exit code, negative for a signal."""

    def __init__(self, code: int) -> None:
        super().__init__(f"the process ended with {code}")
        self.code = code


class AnswerTooLargeError(Exception):
    """The answer has more than `MAX_ANSWER_BYTES`."""


class WorkerProcess:
    """Runs `module`, which answers `requests` in frames. Started with the first request, and again after it ended.

    The process gets no secret from the environment and no module from the working directory. It ends with its parent,
    since its standard input does.
    """

    def __init__(self, module: str) -> None:
        self._module = module
        self._turn = asyncio.Lock()
        self.process: subprocess.Popen[bytes] | None = None  # while it runs
        self.reader: asyncio.StreamReader  # of what it answers
        self.writer: asyncio.StreamWriter

    async def ask(self, request: dict[str, Any], data: bytes = b"", *, seconds: float) -> Any:
        """Return the answer to `request`, to which `data` belongs, when earlier requests are answered.

        Raises TimeoutError after `seconds` without an answer (waiting for earlier ones not counted), WorkerEndedError,
        AnswerTooLargeError, and TransientError where no process can be started. The process is killed when the caller
        is cancelled.
        """
        async with self._turn:
            try:
                async with asyncio.timeout(seconds):
                    return await self._answer({**request, "length": len(data)}, data)
            except BaseException:  # what it still writes would be read as the next answer
                await self.close()
                raise

    async def close(self) -> None:
        """Kill the process and what it has started."""
        process, self.process = self.process, None
        if process is not None:
            self.writer.close()
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            await asyncio.to_thread(process.wait)

    async def _answer(self, request: dict[str, Any], data: bytes) -> Any:
        process = await self._running()
        try:
            _write(self.writer, json.dumps(request).encode() + b"\n", data)
            await self.writer.drain()
            length = int(await self.reader.readuntil(b"\n"))
            if length > MAX_ANSWER_BYTES:
                raise AnswerTooLargeError
            return json.loads(await self.reader.readexactly(length))
        except (asyncio.IncompleteReadError, ConnectionError):
            raise WorkerEndedError(await asyncio.to_thread(process.wait)) from None

    async def _running(self) -> subprocess.Popen[bytes]:
        if self.process is not None and self.process.poll() is not None:
            await self.close()
        if self.process is None:
            ours, theirs = socket.socketpair()
            try:
                self.process = self._start(theirs)
            except OSError as error:
                ours.close()
                raise TransientError(f"no worker process can be started ({error.strerror})") from None
            finally:
                theirs.close()
            self.reader, self.writer = await asyncio.open_unix_connection(sock=ours)
        return self.process

    def _start(self, connection: socket.socket) -> subprocess.Popen[bytes]:
        """Start the process on `connection`.

        Not by the event loop: uvloop forks, and then the child first runs what gRPC and OpenTelemetry do after a fork,
        which at times ends it with SIGSEGV. `Popen` without `preexec_fn` runs nothing before it executes the program.
        """
        process = subprocess.Popen(
            (sys.executable, "-P", "-m", self._module),
            stdin=connection.fileno(),
            stdout=connection.fileno(),
            stderr=subprocess.DEVNULL,  # a traceback may quote what was read
            env={"PYTHONPATH": str(PACKAGES), "LANG": "C.UTF-8"},
            # Not a session of its own: Linux schedules sessions against each other as equals (sched_autogroup), and a
            # nice value then only counts among the processes of one session.
            process_group=0,
        )
        # Not by the process itself: its imports come first.
        os.setpriority(os.PRIO_PROCESS, process.pid, os.getpriority(os.PRIO_PROCESS, 0) + PROCESS_NICENESS)
        return process


def _write(writer: asyncio.StreamWriter, *parts: bytes) -> None:
    """Raise ConnectionError where the process has ended: what a write raises then depends on the event loop."""
    for part in parts:
        if writer.is_closing():
            raise ConnectionResetError
        writer.write(part)


def frame(answer: Any) -> bytes:
    """Encode an answer."""
    body = json.dumps(answer, ensure_ascii=False).encode(errors="replace")
    return b"%d\n%s" % (len(body), body)


def requests(source: BinaryIO) -> Iterator[tuple[dict[str, Any], bytes]]:
    """Yield each request with its data, until `source` ends."""
    while line := source.readline():
        request = json.loads(line)
        data = source.read(request["length"])
        if len(data) < request["length"]:
            return
        yield request, data
