"""A Python module as a process of its own that answers one request at a time.

For work that would hold up the event loop or take the service's memory with it. Requests and answers are frames: the
length in decimals, a line break, JSON.
"""

import asyncio
import json
import os
import signal
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, BinaryIO

from shared.contracts.errors import TransientError

PACKAGES = Path(__file__).resolve().parents[2]
MAX_ANSWER_BYTES = 32 * 2**20


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
        self.process: asyncio.subprocess.Process | None = None  # while it runs

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
            except BaseException:  # what it still writes would be taken for the next answer
                await self.close()
                raise

    async def close(self) -> None:
        """Kill the process and what it has started."""
        process, self.process = self.process, None
        if process is not None:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            await process.wait()

    async def _answer(self, request: dict[str, Any], data: bytes) -> Any:
        process = await self._running()
        assert process.stdin is not None and process.stdout is not None  # noqa: S101, PT018 - both are pipes
        try:
            process.stdin.write(json.dumps(request).encode() + b"\n")
            process.stdin.write(data)
            await process.stdin.drain()
            length = int(await process.stdout.readuntil(b"\n"))
            if length > MAX_ANSWER_BYTES:
                raise AnswerTooLargeError
            return json.loads(await process.stdout.readexactly(length))
        except (asyncio.IncompleteReadError, ConnectionError):
            raise WorkerEndedError(await process.wait()) from None

    async def _running(self) -> asyncio.subprocess.Process:
        if self.process is None or self.process.returncode is not None:
            try:
                self.process = await asyncio.create_subprocess_exec(
                    *(sys.executable, "-P", "-m", self._module),
                    stdin=asyncio.subprocess.PIPE,
                    stdout=asyncio.subprocess.PIPE,
                    stderr=asyncio.subprocess.DEVNULL,  # a traceback may quote what was read
                    env={"PYTHONPATH": str(PACKAGES), "LANG": "C.UTF-8"},
                    start_new_session=True,
                )
            except OSError as error:
                raise TransientError(f"no worker process can be started ({error.strerror})") from None
        return self.process


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
