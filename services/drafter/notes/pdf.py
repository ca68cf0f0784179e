"""Extract the text of a PDF in a separate process (`pdf_child.py`) with limits of time and memory."""

import asyncio
import subprocess
import sys
from pathlib import Path

_CHILD_PROGRAM = Path(__file__).with_name("pdf_child.py")
_REASONS = {
    3: "it is not a PDF, or damaged",
    4: "it is protected by a password",
    5: "it is too long",
}
TIMEOUT_S = 20.0


async def text_of(data: bytes, seconds: float = TIMEOUT_S) -> str:
    """Return the text of a PDF, page by page.

    Raises ValueError with the reason: damaged, protected, too long, a scan without text.
    """
    # Not by the event loop: a process that uvloop forks runs what gRPC and OpenTelemetry do after a fork.
    try:
        child = await asyncio.to_thread(_extract, data, seconds)
    except subprocess.TimeoutExpired:
        raise ValueError("reading it takes too long") from None
    if child.returncode != 0:
        raise ValueError(_REASONS.get(child.returncode, "reading it takes too much"))
    text = child.stdout.decode("utf-8", errors="replace").replace("\r\n", "\n").replace("\r", "\n")
    if not text.strip():
        raise ValueError("it is a scan: its pages are pictures without text")
    return text


def _extract(data: bytes, seconds: float) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        # -I: no module of the working directory, no variable of the environment
        (sys.executable, "-I", str(_CHILD_PROGRAM)),
        input=data,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,  # its words may quote the file
        env={},
        timeout=seconds,
        check=False,
    )
