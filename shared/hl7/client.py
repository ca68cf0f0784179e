"""Send one message by MLLP and wait for its answer, each on a connection of its own.

A connection that is used once cannot deliver a late answer to another message
(https://github.com/nextgenhealthcare/connect/issues/2071), and no firewall or half-open connection matters.
"""

import asyncio
import ssl
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import TypeVar

from shared.contracts.errors import TransientError
from shared.hl7.mllp import Deframer, Frame, frame

CONNECT_TIMEOUT_S = 5.0
MAX_ANSWER_BYTES = 256 * 1024
CHUNK_BYTES = 65_536

Answer = TypeVar("Answer")


@dataclass(frozen=True, slots=True)
class MllpAddress:
    """A receiver. `timeout` in seconds is for the answer; `tls` None: a plain connection."""

    host: str
    port: int
    timeout: float = 30.0
    tls: ssl.SSLContext | None = None

    @property
    def longest(self) -> float:
        """Return the seconds that one exchange takes at most."""
        return CONNECT_TIMEOUT_S + self.timeout


async def exchange(
    to: MllpAddress, content: bytes, read: Callable[[bytes], Answer | None], begin_by: float | None = None
) -> Answer:
    """Send a message and return what `read` makes of its answer. `read` returns None for the answer to another message.

    Nothing is sent after `begin_by`, a time of the loop: a process that was suspended sends no message that another one
    may be sending now.

    The connection is closed before this returns or raises. Raises TransientError where there is no answer in time: the
    receiver may have the message or not.
    """
    try:
        async with asyncio.timeout(CONNECT_TIMEOUT_S):
            reader, writer = await asyncio.open_connection(to.host, to.port, ssl=to.tls)
    except (OSError, TimeoutError) as error:  # ssl.SSLError is an OSError
        raise TransientError(f"the HL7v2 receiver cannot be reached ({type(error).__name__})") from None
    answered = False
    try:
        if begin_by is not None and asyncio.get_running_loop().time() > begin_by:
            raise TransientError("the message was not sent: its turn has ended")
        async with asyncio.timeout(to.timeout):
            writer.write(frame(content))
            await writer.drain()
            found = await _answer(reader, read)
            answered = True
            return found
    except TimeoutError:
        raise TransientError(f"the HL7v2 receiver has not answered within {to.timeout:g} s") from None
    except OSError as error:
        raise TransientError(f"the connection to the HL7v2 receiver was lost ({type(error).__name__})") from None
    finally:
        _close(writer, gently=answered)


async def _answer(reader: asyncio.StreamReader, read: Callable[[bytes], Answer | None]) -> Answer:
    deframer = Deframer(MAX_ANSWER_BYTES)
    others = 0
    while data := await reader.read(CHUNK_BYTES):
        for received in deframer.feed(data):
            if isinstance(received, Frame):
                if (found := read(received.content)) is not None:
                    return found
                others += 1
    words = f" after {others} answers to other messages" if others else " without an answer"
    raise TransientError(f"the HL7v2 receiver closed the connection{words}")


def _close(writer: asyncio.StreamWriter, *, gently: bool) -> None:
    with suppress(OSError):
        if gently:
            writer.close()
        else:
            writer.transport.abort()
