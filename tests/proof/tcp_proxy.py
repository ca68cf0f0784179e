"""A TCP proxy between two parts of the stack: it can be cut, and slowed."""

import asyncio
from contextlib import suppress

CHUNK = 1 << 16


class TcpProxy:
    """What connects to `port` reaches `target` on this machine."""

    def __init__(self, name: str, port: int, target: int) -> None:
        self.name, self.port, self._target = name, port, target
        self._cut = False
        self._delay = 0.0
        self._open: set[asyncio.StreamWriter] = set()
        self._server: asyncio.Server | None = None

    async def start(self) -> None:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self.port)

    async def stop(self) -> None:
        if self._server is not None:
            self._server.close()
        self._cut = True
        while self._open:
            self._abort()
            await asyncio.sleep(0)

    def cut(self) -> None:
        """Reset every connection, in the middle of whatever it carries, and every new one."""
        self._cut = True
        self._abort()

    def slow(self, seconds: float) -> None:
        """Each piece of what is sent takes so much longer."""
        self._delay = seconds

    def mend(self) -> None:
        self._cut, self._delay = False, 0.0

    def _abort(self) -> None:
        for writer in list(self._open):
            writer.transport.abort()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._cut:
            writer.transport.abort()
            return
        try:
            far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self._target)
        except OSError:
            writer.transport.abort()
            return
        both = (writer, far_writer)
        self._open.update(both)
        try:
            await asyncio.gather(self._pump(reader, far_writer), self._pump(far_reader, writer))
        finally:
            self._open.difference_update(both)
            for end in both:
                end.transport.abort()

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError, RuntimeError):  # uvloop's word for an end that was cut off in between
            while data := await reader.read(CHUNK):
                if self._delay:
                    await asyncio.sleep(self._delay)  # the slowness itself
                writer.write(data)
                await writer.drain()
        with suppress(OSError, RuntimeError):
            writer.write_eof()
