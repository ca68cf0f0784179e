"""Facts of one stay that are tried again, or told twice: what came last in the EHR's stream is what holds."""

from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any, cast

import pytest

from services.ingest.domain import CANCELLED, DISCHARGED
from services.ingest.handlers import Ingest
from shared.contracts.case import fold
from shared.contracts.subjects import case_id, encounter_subject
from shared.messaging.connection import NatsConnection
from shared.messaging.event_store import EventStore
from tests.support.server import NatsServer

pytestmark = pytest.mark.connected
ENCOUNTER = "enc-1"
NOW = datetime(2026, 11, 28, tzinfo=UTC)


async def told(bus: NatsConnection, fact: str, id: str) -> Any:
    """A fact in the EHR's stream, as its consumer brings it."""
    subject, body = encounter_subject(fact, "cardiology", ENCOUNTER), b'{"encounter_id": "enc-1"}'
    ack = await bus.publish(subject, body, stream="EHR", headers={"ce-id": id}, id=id)
    metadata = SimpleNamespace(sequence=SimpleNamespace(stream=ack.seq))
    return cast(Any, SimpleNamespace(subject=subject, data=body, headers={"ce-id": id}, metadata=metadata))


@pytest.mark.parametrize("again", [False, True])
async def test_a_cancellation_takes_back_no_discharge_that_was_told_after_it(nats: NatsServer, again: bool) -> None:
    await nats.provision()
    bus = await nats.connect("ingest")
    ingest = Ingest(bus, "hospital", lambda: NOW)

    async def state() -> str:
        return fold(await EventStore(bus, "ingest").find(case_id("hospital", ENCOUNTER))).state

    await ingest.on_discharged(await told(bus, DISCHARGED, "first"))
    cancelled, twice = await told(bus, CANCELLED, "cancelled"), await told(bus, CANCELLED, "told-twice")
    await ingest.on_cancelled(cancelled)
    assert await state() == "withdrawn"
    if again:
        await ingest.on_discharged(await told(bus, DISCHARGED, "second"))
        assert await state() == "drafting"
    await ingest.on_cancelled(twice)
    assert await state() == ("drafting" if again else "withdrawn")
    await ingest.on_cancelled(await told(bus, CANCELLED, "of-the-second"))
    assert await state() == "withdrawn"
    await bus.close()


@pytest.mark.parametrize("again", [False, True])
async def test_a_discharge_that_is_redelivered_undoes_no_cancellation_that_was_reported_after_it(
    nats: NatsServer, again: bool
) -> None:
    await nats.provision()
    bus = await nats.connect("ingest")
    ingest = Ingest(bus, "hospital", lambda: NOW)
    first, twice = await told(bus, DISCHARGED, "by-the-engine"), await told(bus, DISCHARGED, "by-rest")
    await ingest.on_discharged(first)
    await ingest.on_cancelled(await told(bus, CANCELLED, "cancelled"))
    if again:
        await ingest.on_discharged(await told(bus, DISCHARGED, "second"))
    await ingest.on_discharged(twice)
    state = fold(await EventStore(bus, "ingest").find(case_id("hospital", ENCOUNTER))).state
    assert state == ("drafting" if again else "withdrawn")
    await bus.close()
