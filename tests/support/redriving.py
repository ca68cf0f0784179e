"""Who takes the operator's requests, without the rest of its service."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime

from services.approval.notify.notices import read_notice
from shared.contracts.ehr import read_fact, read_task_fact
from shared.messaging.mending import Mending
from tests.support.server import NatsServer

CHECKS = {
    "ingest": {"ingest-discharged": read_fact, "ingest-cancelled": read_fact},
    "approval": {"approval-ehr-task": read_task_fact, "approval-deliver": read_notice},
}


@asynccontextmanager
async def mending(server: NatsServer, at: datetime) -> AsyncIterator[None]:
    """Both services that mend, at the time `at`."""
    buses = []
    for service, checks in CHECKS.items():
        bus = await server.connect(service)
        await Mending(service, checks, lambda: at).attach(bus)
        await bus.client.flush()
        buses.append(bus)
    yield
    for bus in buses:
        await bus.close()
