"""Composition root of approval."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from functools import partial
from uuid import uuid4

from services.approval.api import make_router
from services.approval.desk import Desk
from services.approval.directory import Directory
from services.approval.directory_file import read as read_directory
from services.approval.escalation import Escalation
from services.approval.escalations_api import make_escalations_router
from services.approval.filing import Filing
from services.approval.handlers import Approval
from services.approval.inbox.pages import add_pages
from services.approval.notify import channels
from services.approval.notify.handlers import Notify
from services.approval.reviews import Reviews
from services.approval.settings import ApprovalSettings
from services.approval.tasks import Devices, Tasks
from shared.clinical.connect import connect_ehr
from shared.clinical.fhir import FhirClient
from shared.messaging.connection import Bus
from shared.messaging.steps import Clock, Steps
from shared.messaging.topology import consumer
from shared.runtime.access import Guard, read_grants
from shared.runtime.service import Service, serve


def build(
    settings: ApprovalSettings,
    *,
    clock: Clock = lambda: datetime.now(UTC),
    new_id: Callable[[], str] = lambda: str(uuid4()),
    ehr: FhirClient | None = None,
) -> Service:
    """Everything approval needs, built and not started. `ehr` takes the place of the real one."""
    steps = Steps("approval", clock)
    ehr = ehr or connect_ehr(settings.ehr.url, settings.ehr.token, settings.ehr.connections)
    file = read_directory(settings.directory) if settings.directory else None
    directory = Directory(ehr, settings.supervisors, settings.escalate_after, file)
    devices, reviews = Devices(ehr), Reviews()
    tasks = Tasks(ehr, devices, clock, settings.public_url)
    filing = Filing(ehr, devices, clock)
    approval = Approval(steps, tasks, filing, directory, reviews, clock)
    escalation = Escalation(steps, tasks, directory, clock)
    threads = ThreadPoolExecutor(consumer("approval-deliver").workers, "notify")
    notify = Notify(steps, directory, tasks.link, clock, channels.send, threads)
    desk = Desk(ehr, directory, reviews, clock, new_id)

    async def on_connect(bus: Bus) -> None:
        desk.attach(bus)
        escalation.attach(bus)
        notify.attach(bus)
        await approval.attach(bus)

    guard = Guard(read_grants(settings.tokens_file))
    router = make_router(desk, reviews, guard)
    router.include_router(make_escalations_router(desk, directory, guard))
    add_pages(router, desk, reviews, guard, clock)
    return Service(
        "approval",
        settings.nats_url,
        settings.seed,
        steps,
        on_connect,
        router,
        checks={"ehr": ehr.ready},
        closers=(ehr.close, partial(asyncio.to_thread, threads.shutdown, wait=False)),
    )


def main() -> None:
    settings = ApprovalSettings()
    serve(build(settings), settings.host, settings.port)


if __name__ == "__main__":
    main()
