"""Read documents in a separate process (`worker.py`): one at a time, within limits, restarted when it has died.

Parsers handle untrusted input in the service that takes discharges: no document may use up its memory or CPU.
"""

from dataclasses import asdict
from typing import Any

from services.ingest.documents import reader_protocol
from services.ingest.documents.blocks import ParsedDocument, UnreadableDocumentError
from services.ingest.documents.formats import MAX_DOCUMENT_BYTES
from services.ingest.documents.reader_protocol import ReaderLimits
from services.ingest.documents.rows import Row
from shared.contracts.errors import TransientError
from shared.runtime.worker_process import AnswerTooLargeError, WorkerEndedError, WorkerProcess

WORKER = "services.ingest.documents.worker"
TIMEOUT_MARGIN_S = 30.0  # on top of a document's limit: to start the process and to transfer the result


class DocumentReader:
    """Start the process with the first document."""

    def __init__(self, limits: ReaderLimits | None = None) -> None:
        self._limits = limits or ReaderLimits()
        self.worker = WorkerProcess(WORKER)

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

    async def close(self) -> None:
        """End the process and its children."""
        await self.worker.close()

    async def _request(self, asked: dict[str, Any], data: bytes) -> dict[str, Any]:
        request = asked | {"limits": asdict(self._limits)}
        try:
            answer: dict[str, Any] = await self.worker.ask(
                request, data, seconds=self._limits.seconds + TIMEOUT_MARGIN_S
            )
        except TimeoutError:
            raise UnreadableDocumentError(self._limits.timeout_reason) from None
        except AnswerTooLargeError:
            raise UnreadableDocumentError("there is too much in it") from None
        except WorkerEndedError as ended:
            raise self._to_error(ended.code) from None
        if "problem" in answer:
            raise UnreadableDocumentError(answer["problem"])
        return answer

    def _to_error(self, code: int) -> UnreadableDocumentError | TransientError:
        """Return the error for the exit of the process: of this document, or of the process itself."""
        reason = self._limits.reason(code)
        return (
            UnreadableDocumentError(reason) if reason else TransientError(f"the document reader process ended ({code})")
        )
