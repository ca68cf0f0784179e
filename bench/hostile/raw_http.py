"""One hostile connection: what it writes, and what became of it. Raw sockets, since clients are too polite."""

import asyncio
import random
from contextlib import suppress
from dataclasses import dataclass

HEAD = 64 * 2**10


@dataclass(frozen=True, slots=True)
class Address:
    """Where a service listens. Attackers come from addresses of their own: all of 127/8 is loopback."""

    port: int
    host: str = "127.0.0.1"

    async def connect(self, chance: random.Random) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        source = f"127.{chance.randint(1, 9)}.{chance.randint(0, 9)}.{chance.randint(2, 250)}"
        return await asyncio.open_connection(self.host, self.port, local_addr=(source, 0), limit=HEAD)


def request(method: str, path: str, port: int, body: bytes = b"", /, **headers: str) -> bytes:
    """A whole request. `headers` with `_` for `-`."""
    lines = [f"{method} {path} HTTP/1.1", f"Host: 127.0.0.1:{port}"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    if body:
        lines.append(f"Content-Length: {len(body)}")
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


async def outcome(reader: asyncio.StreamReader, within: float) -> str:
    """The status that is answered, `closed` without one, or `unanswered`."""
    try:
        async with asyncio.timeout(within):
            line = await reader.readline()
    except TimeoutError:
        return "unanswered"
    except (OSError, ValueError):
        return "closed"
    return line.split(b" ")[1].decode() if line.startswith(b"HTTP/1.1 ") else "closed"


async def rest(reader: asyncio.StreamReader) -> bytes:
    """Everything until the other side closes."""
    found = b""
    with suppress(OSError):
        while part := await reader.read(HEAD):
            found += part
    return found


async def close(writer: asyncio.StreamWriter) -> None:
    writer.close()
    with suppress(OSError, TimeoutError):
        async with asyncio.timeout(1):
            await writer.wait_closed()
