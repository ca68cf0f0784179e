"""Read server-sent events from a response.

https://html.spec.whatwg.org/multipage/server-sent-events.html#event-stream-interpretation
"""

from collections.abc import AsyncIterator

MAX_EVENT_BYTES = 1 << 20


class EventTooLargeError(Exception):
    """An event, or a line of it, is longer than MAX_EVENT_BYTES."""


async def event_data(chunks: AsyncIterator[bytes]) -> AsyncIterator[str]:
    """Yield the data of each event. An event that the stream ends in is dropped, as it may be incomplete.

    Lines end in CR, LF or both, and in nothing else: JSON may contain other line separators. Raises EventTooLargeError.
    """
    data = bytearray()
    async for line in _lines(chunks):
        if not line and data:
            yield data.removesuffix(b"\n").decode(errors="replace")
            data.clear()
        elif line.startswith(b"data:"):
            data += line[5:].removeprefix(b" ") + b"\n"
            if len(data) > MAX_EVENT_BYTES:
                raise EventTooLargeError


async def _lines(chunks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """Yield whole lines without their ends."""
    rest = b""
    async for chunk in chunks:
        # A CR at the end of a chunk may be the first half of a CRLF: it waits for the next one.
        text = (rest + chunk).replace(b"\r\n", b"\n")
        held = text.endswith(b"\r")
        *lines, rest = (text[:-1] if held else text).replace(b"\r", b"\n").split(b"\n")
        rest += b"\r" if held else b""
        if len(rest) > MAX_EVENT_BYTES:
            raise EventTooLargeError
        for line in lines:
            yield line
    if rest.endswith(b"\r"):
        yield rest[:-1]
