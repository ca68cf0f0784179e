"""Two processes of approval and one MLLP receiver: one message is in flight, also where a sender is killed."""

import asyncio
import time
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import psutil
import pytest

from shared.contracts.events import Filed
from shared.hl7.message import messages_in
from shared.messaging.event_store import EventStore
from tests.connected.test_mdm_crash import CHART, _references, approval, sign
from tests.support import third_party
from tests.support.mdm_receiver import MdmReceiver, receiving
from tests.support.processes import ServiceProcess
from tests.support.server import NatsServer
from tests.support.stack import until

pytestmark = [pytest.mark.connected, pytest.mark.system, pytest.mark.timeout(240)]
SLOW = 4  # messages that are answered late
OVERLAP_S = 0.5  # in which another message would come, if another process sent one
ANSWER_TIMEOUT_S = 3


@dataclass
class SlowReceiver(MdmReceiver):
    """It answers the first message when `release` is set, and each later one when another had time to come."""

    release: asyncio.Event = field(default_factory=asyncio.Event)
    first: asyncio.Event = field(default_factory=asyncio.Event)
    another: asyncio.Event = field(default_factory=asyncio.Event)
    arrivals: list[tuple[float, bytes]] = field(default_factory=list)

    async def before_answer(self, content: bytes) -> None:
        self.arrivals.append((time.monotonic(), content))
        if len(self.arrivals) == 1:
            self.first.set()
            await self.release.wait()
            return
        self.another.set()
        self.another.clear()
        if len(self.arrivals) > SLOW:
            return
        with suppress(TimeoutError):
            await asyncio.wait_for(self.another.wait(), OVERLAP_S)


def sends(service: ServiceProcess, port: int) -> bool:
    """Whether the process has a connection to the receiver."""
    assert service.process is not None
    found = psutil.Process(service.process.pid).net_connections("tcp")
    return any(item.raddr and item.raddr.port == port for item in found)


async def test_one_message_is_in_flight_and_a_sender_that_dies_is_waited_for(nats: NatsServer, tmp_path: Path) -> None:
    await nats.provision()
    bus, admin = await nats.connect("auditor"), await nats.connect("admin")
    journal = EventStore(bus, "auditor")
    with third_party.serving(CHART, tmp_path) as ehr:
        async with receiving(kind=SlowReceiver) as receiver:
            services = []
            for name in ("first", "second"):
                (tmp_path / name).mkdir()
                service = approval(nats, tmp_path / name, ehr, receiver.port)
                service.more = {"COUNTERSIGN_MDM_TIMEOUT": str(ANSWER_TIMEOUT_S)}
                services.append(service)
            try:
                for service in services:
                    service.start()

                async def both_ask() -> bool:
                    info = await admin.jetstream.consumer_info("DISCHARGE", "approval-file")
                    return (info.num_waiting or 0) >= len(services)

                await until(both_ask, "both processes to ask for documents", patience=120)
                cases = await sign(nats, *await _references(ehr))  # both take some of them

                await asyncio.wait_for(receiver.first.wait(), 60)
                (sender,) = [item for item in services if sends(item, receiver.port)]
                sender.kill()
                receiver.release.set()

                async def all_filed() -> bool:
                    histories = [await journal.history(case) for case in cases]
                    return all(any(isinstance(item.body, Filed) for item in history) for history in histories)

                await until(all_filed, "every document to be filed", patience=90)
            finally:
                for service in services:
                    service.kill()
                await bus.close()
                await admin.close()

    (begun, lost), (resumed, _), *_ = receiver.arrivals
    assert resumed - begun >= ANSWER_TIMEOUT_S, "until its answer would have come, a message is in flight"
    assert receiver.most_open == 1
    ids = {message.raw("MSH", 10): content for _, content in receiver.arrivals for message in messages_in(content)}
    assert len(ids) == len(cases), "what was sent again has the same MSH-10"
    assert len({content for _, content in receiver.arrivals}) == len(cases), "and the same bytes"
    assert [content for _, content in receiver.arrivals].count(lost) == 2
    assert sorted(receiver.documents) == sorted(f"{case.id}/final/1" for case in cases)
