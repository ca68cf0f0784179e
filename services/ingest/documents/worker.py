"""The process that reads documents; `reader.py` starts it as `python -P -m`.

It has no secrets in its environment and no connections. It forks for each document: the child reads it within limits of
memory, CPU and time, answers, and exits, so that nothing of a document is left for the next. When limits end a child,
this process exits too with a code for the reason (`exit_code_of`), and is restarted.
"""

import os
import resource
import signal
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any, BinaryIO

from services.ingest.documents import formats
from services.ingest.documents.blocks import UnreadableDocumentError
from services.ingest.documents.reader_protocol import ReaderLimits, encode, exit_code_of
from services.ingest.documents.rows import read_rows
from shared.runtime.worker_process import frame, requests


def serve(source: BinaryIO, sink: int) -> int:
    """Handle requests from `source` until it ends. Return the exit code."""
    for asked, data in requests(source):
        child = os.fork()
        if child == 0:
            _read_in_child(asked, data, sink)
        _, status = os.waitpid(child, 0)
        if status != 0:
            return exit_code_of(status)
    return 0


def _read_in_child(asked: dict[str, Any], data: bytes, sink: int) -> None:
    """Read one document within its limits, in the child. Does not return."""
    code = exit_code_of(signal.SIGABRT)
    try:
        _apply_limits(ReaderLimits(**asked["limits"]))
        _write(sink, frame(_answer(asked, data)))
        code = 0
    except MemoryError:
        code = exit_code_of(signal.SIGUSR1)
    finally:
        os._exit(code)


def _answer(asked: dict[str, Any], data: bytes) -> dict[str, Any]:
    try:
        if asked["kind"] == "rows":
            return {"rows": read_rows(asked["name"], data)}
        return encode(formats.parse_document(asked["name"], data, asked["media_type"]))
    except UnreadableDocumentError as error:
        return {"problem": str(error)}
    except MemoryError:
        raise
    except Exception as error:  # noqa: BLE001 - a library that stumbles over one document
        return {"problem": f"it cannot be read ({type(error).__name__})"}


def _apply_limits(limits: ReaderLimits) -> None:
    resource.setrlimit(resource.RLIMIT_AS, (limits.memory, limits.memory))
    resource.setrlimit(resource.RLIMIT_CPU, (limits.cpu, limits.cpu + 1))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    signal.alarm(limits.seconds)  # terminates the process: the signal has no handler
    with suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text(
            "1000"
        )  # when a container runs out of memory, this process is killed first
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))  # it writes no files, only to a pipe


def _write(sink: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(sink, view) :]


if __name__ == "__main__":
    sys.exit(serve(sys.stdin.buffer, sys.stdout.fileno()))
