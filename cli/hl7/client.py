"""Send HL7v2 messages by MLLP, one at a time, and read their answers."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cli.errors import CommandError
from services.ingest.hl7.acknowledgment import answer_code
from services.ingest.hl7.adt import ANSWERS
from shared.hl7.message import Message, messages_in
from shared.hl7.mllp import Deframer, Frame, frame

POSITIVE = ("AA", "CA")


@dataclass(frozen=True, slots=True)
class Target:
    """Where messages are sent. `ca_file` makes it TLS; `timeout` in seconds is for each answer."""

    host: str
    port: int
    timeout: float
    ca_file: Path | None = None
    certificate_file: Path | None = None
    key_file: Path | None = None

    def context(self) -> ssl.SSLContext | None:
        """Return the TLS context; None for a plain connection. Raises CommandError for files that are no good."""
        if self.ca_file is None:
            return None
        try:
            context = ssl.create_default_context(cafile=str(self.ca_file))
            if self.certificate_file is not None:
                context.load_cert_chain(self.certificate_file, self.key_file)
        except (OSError, ssl.SSLError) as error:
            raise CommandError(f"The certificates cannot be used ({type(error).__name__}).") from None
        return context


async def send(contents: Sequence[bytes], target: Target) -> AsyncIterator[dict[str, Any]]:
    """Send each content in a frame, and yield the answers to it; one without an answer ends the connection.

    Raises CommandError where nobody listens.
    """
    try:
        reader, writer = await asyncio.open_connection(target.host, target.port, ssl=target.context())
    except (OSError, UnicodeError) as error:  # the latter: no name of a host has such characters, or so many
        raise CommandError(f"{target.host}:{target.port} does not answer ({type(error).__name__}).") from None
    deframer = Deframer()
    try:
        for number, content in enumerate(contents, 1):
            writer.write(frame(content))
            wanted = sum(_is_answered(message) for message in messages_in(content))
            codes = await _codes(reader, deframer, wanted, target.timeout)
            yield {"message": number, "answers": codes, "missing": wanted - len(codes)}
            if len(codes) < wanted:
                return
    finally:
        writer.close()


def _is_answered(message: Message) -> bool:
    """Return whether the message asks for an answer. Each message of a batch has its own."""
    return message.value("MSH", 9) not in ANSWERS and answer_code(message, None) is not None


async def _codes(reader: asyncio.StreamReader, deframer: Deframer, wanted: int, timeout_s: float) -> list[str]:
    """Return MSA-1 of up to `wanted` answers: fewer where none comes in time, or the connection ends."""
    found: list[str] = []
    try:
        async with asyncio.timeout(timeout_s):
            while len(found) < wanted and (data := await reader.read(65_536)):
                contents = [item.content for item in deframer.feed(data) if isinstance(item, Frame)]
                found += [message.value("MSA", 1) for content in contents for message in messages_in(content)]
    except (TimeoutError, OSError):
        pass
    return found
