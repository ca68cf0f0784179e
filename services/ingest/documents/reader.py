"""Read documents in a separate process (`worker.py`): one at a time, within limits, restarted when it has died.

Parsers handle untrusted input in the service that takes discharges: no document may use up its memory or CPU.
"""

import asyncio
import json
import os
import signal
import sys
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

from services.ingest.documents import reader_protocol
from services.ingest.documents.blocks import ParsedDocument, UnreadableDocumentError
from services.ingest.documents.formats import MAX_DOCUMENT_BYTES
from services.ingest.documents.reader_protocol import ReaderLimits
from services.ingest.documents.rows import Row
from shared.contracts.errors import TransientError

PACKAGES_FOLDER = Path(__file__).resolve().parents[3]
WORKER = "services.ingest.documents.worker"
TIMEOUT_MARGIN_S = 30.0  # on top of a document's limit: to start the process and to transfer the result
MAX_ANSWER_BYTES = 32 * 2**20  # `formats.MAX_CHARACTERS` and `MAX_BLOCKS`, encoded


class DocumentReader:
    """Start the process with the first document."""

    def __init__(self, limits: ReaderLimits | None = None) -> None:
        self._limits = limits or ReaderLimits()
        self._turn = asyncio.Lock()
        self._process: asyncio.subprocess.Process | None = None

    async def read(self, name: str, data: bytes, media_type: str | None = None) -> ParsedDocument:
        """Return the document as blocks. Documents are read one at a time.

        Raises UnreadableDocumentError saying why it cannot be used, TransientError where no process can be started.
        """
        if len(data) > MAX_DOCUMENT_BYTES:
            raise UnreadableDocumentError(f"it is larger than {MAX_DOCUMENT_BYTES // 2**20} MB")
        return reader_protocol.decode(
            await self._request({"kind": "document", "name": name, "media_type": media_type}, data)
        )

    async def rows(self, name: str, data: bytes) -> list[Row]:
        """Return the rows of a formulary. Raises as `read` does."""
        found: list[Row] = (await self._request({"kind": "rows", "name": name}, data))["rows"]
        return found

    async def _request(self, asked: dict[str, Any], data: bytes) -> dict[str, Any]:
        async with self._turn:
            try:
                async with asyncio.timeout(self._limits.seconds + TIMEOUT_MARGIN_S):
                    answer = await self._answer(asked, data)
            except TimeoutError:
                await self.close()
                raise UnreadableDocumentError(self._limits.timeout_reason) from None
            except BaseException:  # also when the request was cancelled: its answer must not be read as another's
                await self.close()
                raise
        if "problem" in answer:
            raise UnreadableDocumentError(answer["problem"])
        return answer

    async def _answer(self, asked: dict[str, Any], data: bytes) -> dict[str, Any]:
        process = await self._ensure_process()
        assert process.stdin is not None and process.stdout is not None  # noqa: S101, PT018 - both are pipes
        asked = asked | {"length": len(data), "limits": asdict(self._limits)}
        try:
            process.stdin.write(json.dumps(asked).encode() + b"\n")
            process.stdin.write(data)
            await process.stdin.drain()
            length = int(await process.stdout.readuntil(b"\n"))
            if length > MAX_ANSWER_BYTES:
                raise UnreadableDocumentError("there is too much in it")
            found: dict[str, Any] = json.loads(await process.stdout.readexactly(length))
            return found
        except (asyncio.IncompleteReadError, ConnectionError):
            raise self._to_error(await process.wait()) from None

    async def _ensure_process(self) -> asyncio.subprocess.Process:
        if self._process is None or self._process.returncode is not None:
            try:
                self._process = await asyncio.create_subprocess_exec(
                    *(sys.executable, "-P", "-m", WORKER),
                    stdin=asyncio.subprocess.PIPE,
                    stdout=asyncio.subprocess.PIPE,
                    stderr=asyncio.subprocess.DEVNULL,  # libraries may print document text
                    env={"PYTHONPATH": str(PACKAGES_FOLDER), "LANG": "C.UTF-8"},  # no secrets, and no other modules
                    start_new_session=True,
                )
            except OSError as error:
                raise TransientError(f"the document reader process cannot be started ({error.strerror})") from None
        return self._process

    async def close(self) -> None:
        """End the process and its children."""
        process, self._process = self._process, None
        if process is not None:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            await process.wait()

    def _to_error(self, code: int) -> UnreadableDocumentError | TransientError:
        """Return the error for the exit of the process: of this document, or of the process itself."""
        reason = self._limits.reason(code)
        return (
            UnreadableDocumentError(reason) if reason else TransientError(f"the document reader process ended ({code})")
        )
