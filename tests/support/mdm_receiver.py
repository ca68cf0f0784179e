"""A receiver of MDM messages over MLLP: it answers as told, and keeps documents by TXA-12 as a chart does."""

import asyncio
import ssl
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from shared.hl7.message import Message, messages_in
from shared.hl7.mllp import Deframer, Frame, frame
from shared.runtime.mdm_settings import MdmSettings


@dataclass
class MdmReceiver:
    """`answers` are the next ones; then AA. `silent`: the message is kept and not answered; `lost`: neither."""

    answers: deque[str] = field(default_factory=deque)
    contents: list[bytes] = field(default_factory=list)  # of every frame that came
    documents: dict[str, str] = field(default_factory=dict)  # TXA-12 → text or Base64, of those that stand
    connections: int = 0
    open: int = 0
    most_open: int = 0
    port: int = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self.open += 1
        self.most_open = max(self.most_open, self.open)
        deframer = Deframer()
        try:
            while data := await reader.read(65_536):
                for item in deframer.feed(data):
                    assert isinstance(item, Frame)
                    await self.before_answer(item.content)
                    answers = self._answers(item.content)
                    writer.write(b"".join(frame(answer) for answer in answers))
                    await writer.drain()
                    if not answers:
                        return
        except (ConnectionError, asyncio.CancelledError):  # cancelled: the test has ended
            return
        finally:
            self.open -= 1
            writer.close()

    async def before_answer(self, content: bytes) -> None:
        """What a slow receiver waits for."""

    def _answers(self, content: bytes) -> list[bytes]:
        code = self.answers.popleft() if self.answers else "AA"
        if code == "lost":
            return []
        self.contents.append(content)
        (message,) = messages_in(content)
        if code in ("AA", "CA", "silent"):
            self._take(message)
        if code == "silent":
            return []
        if code == "other":  # the answer to another message, then none
            return [acknowledgment("AA", "another")]
        return [acknowledgment("AA", "another"), acknowledgment(code, message.raw("MSH", 10))]

    def _take(self, message: Message) -> None:
        number, parent = message.value("TXA", 12), message.value("TXA", 13)
        if message.value("MSH", 9, 2) == "T10":
            self.documents.pop(parent, None)
        count = len(message.named("OBX"))
        lines = [message.raw("OBX", 5, which) for which in range(count)]
        if message.value("OBX", 2) == "ED":
            lines = [message.component(line, 5) for line in lines]
        self.documents[number] = "\n".join(message.text(line, "utf-8") for line in lines)

    @property
    def settings(self) -> MdmSettings:
        return MdmSettings(host="127.0.0.1", port=self.port, timeout=1)


def acknowledgment(code: str, of: str) -> bytes:
    error = "ERR|||207^Application error^HL70357|E\r" if code in ("AE", "AR", "CE", "CR") else ""
    return f"MSH|^~\\&|CHART|MAIN|COUNTERSIGN||20261129||ACK|R-{of}|P|2.5.1\rMSA|{code}|{of}\r{error}".encode()


@asynccontextmanager
async def receiving(tls: ssl.SSLContext | None = None, kind: type[MdmReceiver] = MdmReceiver) -> AsyncIterator[Any]:
    receiver = kind()
    server = await asyncio.start_server(receiver.serve, "127.0.0.1", 0, ssl=tls)
    receiver.port = server.sockets[0].getsockname()[1]
    try:
        yield receiver
    finally:
        server.close()
