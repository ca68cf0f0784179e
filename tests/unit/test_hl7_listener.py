"""The listener over sockets: what is stored is answered, in order, and what is not is not."""

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from cli.stack.certificates import CA, CERTIFICATE, KEY, ensure_certificates
from services.ingest.hl7 import listener as module
from services.ingest.hl7.intake import NotStoredError
from services.ingest.hl7.listener import MllpListener
from services.ingest.hl7.receive import FrameOutcome
from services.ingest.hl7.sender import Senders
from shared.runtime.settings import Hl7Settings
from tests.support.hl7 import NOW, framed, samples, sender

PATIENCE = 20.0


class Stored:
    """A store that keeps what it is given, unless it is `down`."""

    def __init__(self) -> None:
        self.outcomes: list[FrameOutcome] = []
        self.broken = 0
        self.down = False

    async def store(self, outcome: FrameOutcome) -> None:
        if self.down:
            raise NotStoredError
        self.outcomes.append(outcome)

    async def report_broken_frame(self, outcome: FrameOutcome) -> None:
        self.broken += 1


@asynccontextmanager
async def listening(senders: Senders | None = None, **settings: Any) -> AsyncIterator[tuple[MllpListener, Stored]]:
    store = Stored()
    known = senders or Senders(senders=(sender(),))
    ids = iter(range(10_000))
    listener = MllpListener(Hl7Settings(**settings), known, store, lambda: NOW, lambda: f"own-{next(ids)}")
    await listener.start()
    try:
        yield listener, store
    finally:
        await listener.stop()


async def answers(port: int, *pieces: bytes, **options: Any) -> list[bytes]:
    """What is answered to `pieces`, each written alone, until the listener closes after our end."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port, **options)
    for piece in pieces:
        writer.write(piece)
        await writer.drain()
    writer.write_eof() if writer.can_write_eof() else None
    said = await asyncio.wait_for(reader.read(), PATIENCE)
    writer.close()
    return [item for item in said.split(b"\x0b") if item]


def codes(found: list[bytes]) -> list[str]:
    return [item.split(b"\rMSA")[1][1:3].decode() for item in found]


async def test_every_sample_is_answered_over_a_socket() -> None:
    known, found = samples()
    async with listening(Senders(senders=(known,))) as (listener, _):
        for sample in found:
            for sent in (sample.pieces, sample.bytewise):
                said = codes(await answers(listener.port, *sent))
                assert said in [sample.expected["acks"], *sample.expected.get("acks_or", [])], sample.name


async def test_messages_of_a_connection_are_answered_in_order() -> None:
    async with listening() as (listener, store):
        said = await answers(listener.port, b"".join(framed(MSH_10=str(number)) for number in range(50)))
        assert [item.split(b"\rMSA|AA|")[1].split(b"\r")[0] for item in said] == [str(n).encode() for n in range(50)]
        assert len(store.outcomes) == 50


async def test_what_is_not_stored_is_not_answered_and_the_connection_is_closed() -> None:
    async with listening() as (listener, store):
        reader, writer = await asyncio.open_connection("127.0.0.1", listener.port)
        writer.write(framed())
        assert b"MSA|AA" in await asyncio.wait_for(reader.readuntil(b"\x1c"), PATIENCE)
        store.down = True
        writer.write(framed())
        assert (await asyncio.wait_for(reader.read(), PATIENCE)).strip() == b""
        writer.close()
        assert len(store.outcomes) == 1


async def test_unknown_peers_and_connections_beyond_the_limit_are_refused() -> None:
    elsewhere = Senders(senders=(sender(peers=("192.0.2.0/24",)),))
    async with listening(elsewhere) as (listener, store):
        assert await answers(listener.port) == []
        assert store.outcomes == []
    async with listening(connections=1) as (listener, _):
        reader, writer = await asyncio.open_connection("127.0.0.1", listener.port)
        writer.write(framed())
        await asyncio.wait_for(reader.readuntil(b"\x1c"), PATIENCE)
        assert await answers(listener.port) == []
        writer.write(framed())
        assert b"MSA|AA" in await asyncio.wait_for(reader.readuntil(b"\x1c"), PATIENCE)
        writer.close()


async def test_a_stall_inside_a_frame_ends_the_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "STALL_TIMEOUT_S", 0.2)
    async with listening() as (listener, store):
        reader, writer = await asyncio.open_connection("127.0.0.1", listener.port)
        writer.write(framed())
        await asyncio.wait_for(reader.readuntil(b"\x1c\r"), PATIENCE)
        writer.write(framed()[:40])
        assert await asyncio.wait_for(reader.read(), PATIENCE) == b""
        assert store.broken == 1
        writer.close()


async def test_a_broken_frame_is_told_and_not_answered() -> None:
    async with listening() as (listener, store):
        said = await answers(listener.port, framed()[:40] + framed(MSH_10="whole") + framed()[:40])
        assert len(said) == 1
        assert b"MSA|AA|whole" in said[0]
        assert store.broken == 2


async def test_stopping_ends_connections_and_may_be_repeated() -> None:
    async with listening() as (listener, _):
        reader, writer = await asyncio.open_connection("127.0.0.1", listener.port)
        writer.write(framed())
        await asyncio.wait_for(reader.readuntil(b"\x1c\r"), PATIENCE)
        port = listener.port
        await listener.stop()
        assert await asyncio.wait_for(reader.read(), PATIENCE) == b""
        with pytest.raises(OSError):
            await asyncio.open_connection("127.0.0.1", port)
        await listener.stop()
        writer.close()


async def test_tls_with_client_certificates(tmp_path: Path) -> None:
    ensure_certificates(tmp_path, ["127.0.0.1"], datetime.now(UTC))
    own = {"certificate_file": tmp_path / CERTIFICATE, "key_file": tmp_path / KEY}
    trusting = ssl.create_default_context(cafile=str(tmp_path / CA))
    with_certificate = ssl.create_default_context(cafile=str(tmp_path / CA))
    with_certificate.load_cert_chain(tmp_path / CERTIFICATE, tmp_path / KEY)
    async with listening(**own) as (listener, _):
        assert codes(await sent_by_tls(listener.port, trusting)) == ["AA"]
    async with listening(**own, client_ca_file=tmp_path / CA) as (listener, store):
        with pytest.raises((OSError, asyncio.IncompleteReadError)):
            await sent_by_tls(listener.port, trusting)
        assert store.outcomes == []
        assert codes(await sent_by_tls(listener.port, with_certificate)) == ["AA"]


async def sent_by_tls(port: int, context: ssl.SSLContext) -> list[bytes]:
    reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=context)
    try:
        writer.write(framed())
        return [await asyncio.wait_for(reader.readuntil(b"\x1c"), PATIENCE)]
    finally:
        writer.close()


async def test_silence_is_a_share_of_what_the_feed_may_be_silent() -> None:
    now = NOW
    feed = sender(silent_after=60)
    listener = MllpListener(Hl7Settings(), Senders(senders=(feed,)), Stored(), lambda: now, lambda: "1")
    now += timedelta(seconds=90)
    assert listener.silence.share(feed) == 1.5
    listener.silence.message_received(feed)
    assert listener.silence.share(feed) == 0
