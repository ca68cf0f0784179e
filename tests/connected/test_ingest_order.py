"""Facts of one stay that are tried again, or told twice: what came last in the EHR's stream is what holds."""

import asyncio
import json
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any, cast

import pytest

from services.ingest.domain import CANCELLED, DISCHARGED
from services.ingest.handlers import Ingest
from services.ingest.preparation.handlers import Preparations
from services.ingest.preparation.rules import PENDING, PENDING_CANCELLED
from services.ingest.publishers import EncounterPublisher, EncounterReport
from services.ingest.stored_reports import ADT_SOURCE, ARRIVED, FHIR_SOURCE
from shared.contracts.case import fold
from shared.contracts.ehr import EncounterReported
from shared.contracts.subjects import case_id, encounter_subject
from shared.messaging.connection import NatsConnection
from shared.messaging.event_store import EventStore
from tests.support.chain import broken_link
from tests.support.server import NatsServer

pytestmark = pytest.mark.connected
ENCOUNTER = "enc-1"
NOW = datetime(2026, 11, 28, tzinfo=UTC)


async def told(
    bus: NatsConnection, fact: str, id: str, *, source: str = "engine", arrived: int | None = None, **more: str
) -> Any:
    """A fact in the EHR's stream, as its consumer brings it; `arrived`: the ADT message that it follows from."""
    subject, body = encounter_subject(fact, "cardiology", ENCOUNTER), json.dumps({"encounter_id": ENCOUNTER} | more)
    headers = {"ce-id": id, "ce-source": source} | ({ARRIVED: str(arrived)} if arrived is not None else {})
    ack = await bus.publish(subject, body.encode(), stream="EHR", headers=headers, id=id)
    metadata = SimpleNamespace(sequence=SimpleNamespace(stream=ack.seq))
    return cast(Any, SimpleNamespace(subject=subject, data=body.encode(), headers=headers, metadata=metadata))


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


@pytest.mark.parametrize("first", ["request", "cancellation", "both"])
async def test_a_pending_discharge_and_its_cancellation_in_any_order_end_nothing_prepared(
    nats: NatsServer, first: str
) -> None:
    await nats.provision()
    bus = await nats.connect("ingest")
    preparations = Preparations(bus, "hospital", "general", timedelta(days=7), lambda: NOW)
    asked, cancelled = await told(bus, PENDING, "asked"), await told(bus, PENDING_CANCELLED, "cancelled")
    if first == "both":
        await asyncio.gather(preparations.on_pending(cancelled), preparations.on_pending(asked))
    else:
        for message in (asked, cancelled) if first == "request" else (cancelled, asked):
            await preparations.on_pending(message)
    await preparations.on_pending(asked)  # redelivered
    history = await EventStore(bus, "ingest").find(case_id("hospital", ENCOUNTER))
    assert [event.name for event in history] == ["preparation-requested", "preparation-ended"]
    again = await told(bus, PENDING, "again")
    for message in (again, asked, cancelled, again):
        await preparations.on_pending(message)
    history = await EventStore(bus, "ingest").find(case_id("hospital", ENCOUNTER))
    assert [event.name for event in history[2:]] == ["preparation-requested"]
    await bus.close()


async def test_a_discharge_follows_a_preparation_to_the_department_where_the_patient_is(nats: NatsServer) -> None:
    await nats.provision()
    bus = await nats.connect("ingest")
    preparations = Preparations(bus, "hospital", "general", timedelta(days=7), lambda: NOW)
    ingest = Ingest(bus, "hospital", lambda: NOW)
    asked = EncounterReported(encounter_id=ENCOUNTER, department="surgery")
    await preparations.request(asked, "asked")
    await ingest.on_discharged(await told(bus, DISCHARGED, "discharged"))
    await preparations.request(asked, "too-late")
    history = await EventStore(bus, "ingest").find(case_id("hospital", ENCOUNTER))
    assert [event.name for event in history] == ["preparation-requested", "discharged"]
    assert [event.case.department for event in history] == ["surgery", "cardiology"]
    assert broken_link(history) is None
    await bus.close()


@pytest.mark.parametrize("first", ["discharge", "cancellation"])
async def test_a_cancelled_discharge_of_a_prepared_stay_is_not_drafted(nats: NatsServer, first: str) -> None:
    await nats.provision()
    bus = await nats.connect("ingest")
    preparations = Preparations(bus, "hospital", "general", timedelta(days=7), lambda: NOW)
    ingest = Ingest(bus, "hospital", lambda: NOW)
    await preparations.on_pending(await told(bus, PENDING, "asked"))
    discharged, cancelled = await told(bus, DISCHARGED, "discharged"), await told(bus, CANCELLED, "cancelled")
    if first == "discharge":
        await ingest.on_discharged(discharged)
        await ingest.on_cancelled(cancelled)
    else:
        # By REST, the case is opened while the cancellation is handled.
        await ingest.on_cancelled(cancelled)
        await ingest.open(EncounterReported(encounter_id=ENCOUNTER, department="cardiology"), "discharged")
    await ingest.on_discharged(discharged)
    state = fold(await EventStore(bus, "ingest").find(case_id("hospital", ENCOUNTER))).state
    # A discharge that is known to be cancelled opens nothing: the stay is prepared as before.
    assert state == ("preparing" if first == "discharge" else "withdrawn")
    await bus.close()


@pytest.mark.parametrize("moment", ["before", "between"])
async def test_a_cancellation_that_is_handled_while_rest_opens_the_case_again_holds(
    nats: NatsServer, monkeypatch: pytest.MonkeyPatch, moment: str
) -> None:
    """The route opens the case itself: `between` is after it has read the cancellations, before it appends."""
    await nats.provision()
    bus = await nats.connect("ingest")
    ingest = Ingest(bus, "hospital", lambda: NOW)
    ids = iter(("first", "again"))
    publisher = EncounterPublisher(bus, "cardiology", lambda: next(ids), lambda: NOW)
    report = EncounterReport(encounter_id=ENCOUNTER)
    first = await publisher.publish(DISCHARGED, report)
    await ingest.open(first.report.fact, first.id, first)
    await ingest.on_cancelled(await told(bus, CANCELLED, "cancelled"))
    again = await publisher.publish(DISCHARGED, report)
    append = ingest._append_discharged

    async def late(*args: Any) -> None:
        if args[1] and moment == "between":  # the history, once the case is known
            await ingest.on_cancelled(await told(bus, CANCELLED, "cancelled-again"))
        await append(*args)

    monkeypatch.setattr(ingest, "_append_discharged", late)
    if moment == "before":
        await ingest.on_cancelled(await told(bus, CANCELLED, "cancelled-again"))
    await ingest.open(again.report.fact, again.id, again)
    assert fold(await EventStore(bus, "ingest").find(case_id("hospital", ENCOUNTER))).state == "withdrawn"
    await bus.close()


async def test_a_discharge_by_another_route_that_is_stored_later_does_not_hold_up_an_earlier_cancellation(
    nats: NatsServer,
) -> None:
    """An Encounter that lags behind ADT still says `finished` after the cancellation."""
    await nats.provision()
    bus = await nats.connect("ingest")
    ingest = Ingest(bus, "hospital", lambda: NOW)
    await ingest.on_discharged(await told(bus, DISCHARGED, "by-rest"))
    cancelled = await told(bus, CANCELLED, "by-adt", source=ADT_SOURCE, occurred_at="2026-11-27T12:00:00Z")
    lagging = await told(
        bus,
        DISCHARGED,
        "by-fhir",
        source=FHIR_SOURCE,
        occurred_at="2026-11-27T11:00:00Z",
        recorded_at="2026-11-27T12:30:00Z",
    )
    await ingest.on_cancelled(cancelled)
    await ingest.on_discharged(lagging)
    assert fold(await EventStore(bus, "ingest").find(case_id("hospital", ENCOUNTER))).state == "withdrawn"
    await bus.close()


@pytest.mark.parametrize("known", [True, False])
async def test_a_visit_that_is_resolved_late_does_not_reopen_what_was_cancelled_after_its_message(
    nats: NatsServer, known: bool
) -> None:
    """The EHR knew the visit of the discharge only after an engine without times had cancelled it."""
    await nats.provision()
    bus = await nats.connect("ingest")
    ingest = Ingest(bus, "hospital", lambda: NOW)

    async def state() -> str:
        return fold(await EventStore(bus, "ingest").find(case_id("hospital", ENCOUNTER))).state

    first = await told(bus, DISCHARGED, "by-the-engine")
    arrived = first.metadata.sequence.stream
    cancelled = await told(bus, CANCELLED, "cancelled")
    if known:
        await ingest.on_discharged(first)
        await ingest.on_cancelled(cancelled)
    await ingest.on_discharged(await told(bus, DISCHARGED, "by-adt", source=ADT_SOURCE, arrived=arrived))
    assert await state() == "withdrawn"
    await ingest.on_cancelled(cancelled)
    assert await state() == "withdrawn"
    later = cancelled.metadata.sequence.stream + 1
    await ingest.on_discharged(await told(bus, DISCHARGED, "by-adt-again", source=ADT_SOURCE, arrived=later))
    assert await state() == "drafting"
    await bus.close()


async def test_a_cancellation_that_is_resolved_late_does_not_cancel_what_was_discharged_after_its_message(
    nats: NatsServer,
) -> None:
    await nats.provision()
    bus = await nats.connect("ingest")
    ingest = Ingest(bus, "hospital", lambda: NOW)
    first = await told(bus, DISCHARGED, "first")
    await ingest.on_discharged(first)
    await ingest.on_discharged(await told(bus, DISCHARGED, "second"))
    arrived = first.metadata.sequence.stream
    await ingest.on_cancelled(await told(bus, CANCELLED, "by-adt", source=ADT_SOURCE, arrived=arrived))
    assert fold(await EventStore(bus, "ingest").find(case_id("hospital", ENCOUNTER))).state == "drafting"
    await bus.close()
