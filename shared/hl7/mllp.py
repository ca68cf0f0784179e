"""Find MLLP frames in a stream of bytes. Pure.

A frame is VT (0x0B), content, FS (0x1C), CR. FS alone ends it: some senders write no CR, or in another write. What
stands between frames is skipped. A frame that breaks off is found by the start of the next one inside it: read as one,
the two would be one message made of two patients.
https://github.com/medplum/medplum/issues/8122
"""

import re
from dataclasses import dataclass
from typing import Literal

VT, FS, CR = b"\x0b", b"\x1c", b"\r"
MAX_FRAME_BYTES = 16 * 1024 * 1024
HEAD_BYTES = 4096  # of a frame that is too large: enough for the MSH segment that its answer needs
# A byte order mark may follow VT: https://github.com/dcm4che/dcm4che/issues/465
RESTART = re.compile(rb"\x0b(?=(?:\xef\xbb\xbf)?(?:MSH|FHS|BHS))")
FRAME_END = re.compile(rb"\x1c")
FRAME_END_OR_RESTART = re.compile(rb"\x1c|" + RESTART.pattern)
LOOKAHEAD_BYTES = 7  # after VT, until a restart is certain


@dataclass(frozen=True, slots=True)
class Frame:
    """The content of a whole frame."""

    content: bytes


@dataclass(frozen=True, slots=True)
class BrokenFrame:
    """A frame that broke off: before the next one began, or before the end of the connection."""

    reason: Literal["next-frame", "end-of-connection"]


@dataclass(frozen=True, slots=True)
class OversizedFrame:
    """A whole frame that is larger than the limit. `head` is its beginning; the rest was not kept."""

    head: bytes


Received = Frame | BrokenFrame | OversizedFrame


def frame(content: bytes) -> bytes:
    """Return the frame of a message."""
    return VT + content + FS + CR


class Deframer:
    """Split a stream into frames, whatever pieces it arrives in. `limit` is the largest content in bytes."""

    def __init__(self, limit: int = MAX_FRAME_BYTES) -> None:
        self._limit = limit
        self._buffer = bytearray()
        self._open = False  # between VT and FS
        self._head: bytes | None = None  # of a frame that is too large, while the rest of it is skipped
        self._scanned = 0  # bytes of the buffer in which there is no end

    @property
    def in_frame(self) -> bool:
        """Return whether a frame has begun and not ended."""
        return self._open

    def feed(self, data: bytes) -> list[Received]:
        """Return the frames that end with `data`, in order."""
        self._buffer += data
        found: list[Received] = []
        while self._step(found):
            pass
        return found

    def close(self) -> list[Received]:
        """Return the frames that the end of the connection cut off."""
        if not self._open:
            return []
        cut = 1 if self._head is not None else len(RESTART.split(self._buffer))
        self._reset(b"")
        return [*[BrokenFrame("next-frame")] * (cut - 1), BrokenFrame("end-of-connection")]

    def _step(self, found: list[Received]) -> bool:
        """Process the next frame in the buffer; return whether there may be another."""
        if not self._open:
            return self._begin()
        if self._head is not None:
            return self._skip(found)
        end = self._buffer.find(FS, self._scanned)
        if end < 0 and len(self._buffer) <= self._limit:
            self._scanned = len(self._buffer)
            return False
        *broken, content = RESTART.split(bytes(self._buffer if end < 0 else self._buffer[:end]))
        found.extend([BrokenFrame("next-frame")] * len(broken))
        if end >= 0:
            found.append(Frame(content) if len(content) <= self._limit else OversizedFrame(content[:HEAD_BYTES]))
            self._reset(self._buffer[end + 1 :])
            return True
        self._buffer, self._scanned = bytearray(content), len(content)
        if len(content) > self._limit:
            self._head = content[:HEAD_BYTES]
            self._buffer = bytearray(content[-LOOKAHEAD_BYTES:])
        return False

    def _begin(self) -> bool:
        start = self._buffer.find(VT)
        if start < 0:
            self._buffer.clear()
            return False
        del self._buffer[: start + 1]
        self._open, self._scanned = True, 0
        return True

    def _skip(self, found: list[Received]) -> bool:
        """Skip the rest of a frame that is too large."""
        match = FRAME_END_OR_RESTART.search(self._buffer)
        if match is None:
            del self._buffer[:-LOOKAHEAD_BYTES]
            return False
        head, ended = self._head or b"", match[0] == FS
        found.append(OversizedFrame(head) if ended else BrokenFrame("next-frame"))
        self._reset(self._buffer[match.end() :])
        self._open = not ended
        return True

    def _reset(self, rest: bytes | bytearray) -> None:
        self._buffer, self._open, self._head, self._scanned = bytearray(rest), False, None, 0
