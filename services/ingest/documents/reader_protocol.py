"""Protocol between ingest and its reader process: JSON frames, limits, exit codes."""

import os
import signal
from dataclasses import dataclass
from typing import Any

from services.ingest.documents.blocks import Block, Heading, Paragraph, ParsedDocument, Table

_FAILED = 64  # exit codes from here on are signals


@dataclass(frozen=True, slots=True)
class ReaderLimits:
    """Limits of the process that reads one document."""

    memory: int = (
        288 * 2**20
    )  # bytes of address space; a pod has 512 MB, and ingest takes some 200 of it with a large upload
    cpu: int = 60  # seconds of processor time
    seconds: int = 120  # seconds of real time

    @property
    def timeout_reason(self) -> str:
        return f"reading it takes more than {self.cpu} seconds"

    def reason(self, code: int) -> str:
        """Return why a document could not be read, by the exit code, for the maintainer of the source.

        Returns an empty string where the document was not the cause.
        """
        if code <= _FAILED:
            return ""
        match code - _FAILED:
            case signal.SIGXCPU | signal.SIGALRM:
                return self.timeout_reason
            case signal.SIGUSR1:
                return f"reading it needs more than {self.memory // 2**20} MB of memory"
            case signal.SIGKILL:
                return "reading it was stopped: it needs too much memory or time"
            case number:
                return f"what reads it has failed over it ({number})"


def encode(text: ParsedDocument) -> dict[str, Any]:
    return {"title": text.title, "blocks": [_encode_block(block) for block in text.blocks]}


def _encode_block(block: Block) -> list[Any]:
    match block:
        case Heading(level, words):
            return ["h", level, words]
        case Paragraph(words):
            return ["p", words]
        case Table(header, rows):
            return ["t", header, rows]


def decode(answer: dict[str, Any]) -> ParsedDocument:
    return ParsedDocument(answer["title"], tuple(_decode_block(block) for block in answer["blocks"]))


def _decode_block(block: list[Any]) -> Block:
    match block:
        case ["h", level, words]:
            return Heading(level, words)
        case ["t", header, rows]:
            return Table(header, tuple(rows))
        case _:
            return Paragraph(block[1])


def exit_code_of(status: int) -> int:
    """Return the exit code that passes on a child's end: its signal, or its own code. SIGUSR1 is a MemoryError."""
    if os.WIFSIGNALED(status):
        return _FAILED + os.WTERMSIG(status)
    return os.WEXITSTATUS(status) or 1
