"""Extract the text of a PDF in a separate process (`pdf_child.py`) with limits of time and memory."""

import asyncio
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
    child = await asyncio.create_subprocess_exec(
        sys.executable,
        "-I",  # no module of the working directory, no variable of the environment
        str(_CHILD_PROGRAM),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,  # its words may quote the file
        env={},
    )
    try:
        out, _ = await asyncio.wait_for(child.communicate(data), seconds)
    except TimeoutError:
        raise ValueError("reading it takes too long") from None
    finally:
        if child.returncode is None:
            child.kill()
            await child.wait()
    if child.returncode != 0:
        raise ValueError(_REASONS.get(child.returncode or 0, "reading it takes too much"))
    text = out.decode("utf-8", errors="replace").replace("\r\n", "\n").replace("\r", "\n")
    if not text.strip():
        raise ValueError("it is a scan: its pages are pictures without text")
    return text
