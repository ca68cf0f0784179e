"""Composition root of ingest."""

from collections.abc import Callable
from datetime import UTC, datetime
from uuid import uuid4

from services.ingest.api import Door, make_router
from services.ingest.documents.reader import Reader
from services.ingest.handlers import Ingest
from services.ingest.notifications_api import NotificationDoor, make_notification_router
from services.ingest.refresh.api import make_router as make_refresh_router
from services.ingest.refresh.desk import RefreshDesk
from services.ingest.refresh.handlers import Refreshing
from services.ingest.settings import IngestSettings
from shared.contracts.ehr import read_fact
from shared.contracts.subjects import REFRESH_TIMER, RETRY_TIMER, timer_filter
from shared.messaging.connection import Bus
from shared.messaging.lost_timers import LostTimers
from shared.messaging.mending import Mending
from shared.messaging.steps import Clock, Steps
from shared.messaging.timers import REFRESHES
from shared.runtime.access import Guard, read_grants
from shared.runtime.oidc import Provider
from shared.runtime.service import Service
from shared.runtime.start import start


def build(
    settings: IngestSettings,
    *,
    clock: Clock = lambda: datetime.now(UTC),
    new_id: Callable[[], str] = lambda: str(uuid4()),
) -> Service:
    """Everything ingest needs, built and not started."""
    steps = Steps("ingest", clock)
    ingest = Ingest(steps, settings.organization, clock)
    door = Door(ingest, settings.default_department, new_id)
    notifications = NotificationDoor(new_id)

    knowledge = settings.knowledge
    reader = Reader()
    mending = Mending("ingest", dict.fromkeys(("ingest-discharged", "ingest-cancelled"), read_fact), clock)
    refreshing = Refreshing(steps, knowledge.file, knowledge.tokenizer, reader, clock, new_id)
    refreshes = RefreshDesk(refreshing, knowledge.uploads, reader, clock)

    lost_timers = LostTimers(REFRESHES, (timer_filter(REFRESH_TIMER), timer_filter(RETRY_TIMER)), clock)

    async def on_connect(bus: Bus) -> None:
        ingest.attach(bus)
        door.attach(bus)
        notifications.attach(bus)
        await refreshing.attach(bus)
        refreshes.attach(bus)
        lost_timers.attach(bus)
        await mending.attach(bus)

    provider = Provider(settings.oidc, clock) if settings.oidc.issuer else None
    guard = Guard(read_grants(settings.tokens_file), provider)
    router = make_router(door, ingest, guard)
    router.include_router(make_notification_router(notifications, guard))
    router.include_router(make_refresh_router(refreshes, guard))
    closers = (lost_timers.close, reader.close, *((provider.close,) if provider else ()))
    return Service(
        "ingest",
        settings.nats_url,
        settings.nats_ca_file,
        settings.seed,
        steps,
        on_connect,
        router,
        closers=closers,
    )


def main() -> None:
    start(IngestSettings, build)


if __name__ == "__main__":
    main()
