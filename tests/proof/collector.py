"""Takes what the services export by OTLP, and keeps it as it came: the checker looks for patients' words in it."""

import asyncio
from contextlib import suppress
from pathlib import Path


class Collector:
    """An endpoint of OTLP over HTTP. Bodies are appended to `file`."""

    def __init__(self, port: int, file: Path) -> None:
        self._port, self._file = port, file
        self._server: asyncio.Server | None = None
        self._open: set[asyncio.StreamWriter] = set()

    async def start(self) -> None:
        self._kept = self._file.open("ab")
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self._port)

    async def stop(self) -> None:
        if self._server is not None:
            self._server.close()
            while self._open:
                for writer in list(self._open):
                    writer.transport.abort()
                await asyncio.sleep(0)
            self._kept.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._open.add(writer)
        with suppress(OSError, asyncio.IncompleteReadError, ValueError):  # whoever exports was killed, or the run ends
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).lower()
                length = int(head.partition(b"content-length:")[2].partition(b"\r\n")[0])
                self._kept.write(await reader.readexactly(length) + b"\n")
                writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
                await writer.drain()
        self._open.discard(writer)
        writer.close()
