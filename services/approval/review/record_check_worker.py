"""Check texts against records, as a process: `record_check.py` starts it as `python -P -m`.

It keeps the last records indexed, with what was said of their sentences, so a text that changes a little costs little.
"""

import sys
import time
from typing import Any, BinaryIO

from pydantic import TypeAdapter

from services.approval.review.added_text import Statement, statements
from shared.contracts.context import EncounterContext
from shared.contracts.draft import Draft
from shared.contracts.model import read_strictly
from shared.grounding import EvidenceIndex
from shared.runtime.worker_process import frame, requests

MAX_INDEXED_RECORDS = 16  # that stay indexed
MAX_CACHED_SENTENCES = 2_000  # of one record, cached with their results
STATEMENTS = TypeAdapter(tuple[Statement, ...])


class IndexedRecords:
    def __init__(self) -> None:
        self._indexed: dict[str, tuple[EvidenceIndex, dict[str, Statement]]] = {}  # by the digest of their context

    def answer(self, request: dict[str, Any], context: bytes) -> dict[str, Any]:
        """Return `statements` and the processor `seconds` that they took; `unknown` if the context has to be sent."""
        began = time.process_time()
        digest = request["context"]
        if digest not in self._indexed and not context:
            return {"unknown": True}
        record, checked = self._record(digest, context)
        if len(checked) > MAX_CACHED_SENTENCES:
            checked.clear()
        found = statements(Draft.model_validate_json(request["draft"]), request["text"], record, checked)
        return {"statements": STATEMENTS.dump_python(found, mode="json"), "seconds": time.process_time() - began}

    def _record(self, digest: str, context: bytes) -> tuple[EvidenceIndex, dict[str, Statement]]:
        indexed = self._indexed.pop(digest, None)
        if indexed is None:
            indexed = EvidenceIndex(read_strictly(EncounterContext, context)), {}
            if len(self._indexed) >= MAX_INDEXED_RECORDS:
                self._indexed.pop(next(iter(self._indexed)))  # the one that was not used for the longest time
        self._indexed[digest] = indexed
        return indexed


def serve(source: BinaryIO, sink: BinaryIO) -> None:
    records = IndexedRecords()
    for request, context in requests(source):
        sink.write(frame(records.answer(request, context)))
        sink.flush()


if __name__ == "__main__":
    serve(sys.stdin.buffer, sys.stdout.buffer)
