"""Composition root of ingest."""

from collections.abc import Callable
from datetime import UTC, datetime
from uuid import uuid4

from services.ingest.api import Door, make_router
from services.ingest.documents.reader import DocumentReader
from services.ingest.handlers import Ingest
from services.ingest.notifications_api import NotificationDoor, make_notification_router
from services.ingest.refresh.api import make_router as make_refresh_router
from services.ingest.refresh.handlers import Refreshing
from services.ingest.refresh.service import RefreshService
from services.ingest.settings import IngestSettings
from shared.contracts.ehr import parse_encounter_reported
from shared.messaging.connection import Bus
from shared.messaging.lost_timers import LostTimers
from shared.messaging.mending import Mending
from shared.messaging.steps import Clock, Steps
from shared.messaging.timers import REFRESHES
from shared.runtime.authentication import Authenticator, read_api_tokens
from shared.runtime.oidc import OidcProvider
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
    reader = DocumentReader()
    mending = Mending(
        "ingest", dict.fromkeys(("ingest-discharged", "ingest-cancelled"), parse_encounter_reported), clock
    )
    refreshing = Refreshing(steps, knowledge.file, knowledge.tokenizer, reader, clock, new_id)
    refreshes = RefreshService(refreshing, knowledge.uploads, reader, clock)

    lost_timers = LostTimers(REFRESHES, ("timers.refresh.*", "timers.again.*"), clock)

    async def on_connect(bus: Bus) -> None:
        ingest.attach(bus)
        door.attach(bus)
        notifications.attach(bus)
        await refreshing.attach(bus)
        refreshes.attach(bus)
        lost_timers.attach(bus)
        await mending.attach(bus)

    provider = OidcProvider(settings.oidc, clock) if settings.oidc.issuer else None
    guard = Authenticator(read_api_tokens(settings.tokens_file), provider)
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
