"""Handle an operator's requests about dead letters, without the rest of the services."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime

from services.approval.notifications.notification import read_notification
from services.approval.webhooks.webhook import read_delivery
from shared.contracts.ehr import parse_encounter_reported, parse_task_changed
from shared.contracts.visits import parse_visit_reported
from shared.messaging.operator_requests import OperatorRequests
from tests.support.server import NatsServer

CHECKS = {
    "ingest": {
        "ingest-discharged": parse_encounter_reported,
        "ingest-cancelled": parse_encounter_reported,
        "ingest-visits": parse_visit_reported,
    },
    "approval": {
        "approval-ehr-task": parse_task_changed,
        "approval-deliver": read_notification,
        "approval-webhook-send": read_delivery,
    },
}


@asynccontextmanager
async def operator_requests(server: NatsServer, at: datetime) -> AsyncIterator[None]:
    """Both services that redrive dead letters, at the time `at`."""
    buses = []
    for service, checks in CHECKS.items():
        bus = await server.connect(service)
        await OperatorRequests(bus, service, checks, lambda: at).start()
        await bus.client.flush()
        buses.append(bus)
    yield
    for bus in buses:
        await bus.close()
