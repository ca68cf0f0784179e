"""What the routes of ingest work with, from the application's state."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from fastapi import Depends, Request

from services.ingest.encounters.lookup import EncounterLookup
from services.ingest.handlers import Ingest
from services.ingest.notification_service import NotificationService
from services.ingest.preparation.handlers import Preparations
from services.ingest.publishers import EncounterPublisher
from services.ingest.refresh.service import RefreshService
from shared.runtime.authentication import ROLES, Authenticator, Caller, RequireRole, Role
from shared.runtime.dependencies import provided


@dataclass(frozen=True, slots=True)
class IngestDependencies:
    authenticator: Authenticator
    ingest: Ingest
    encounters: EncounterPublisher
    notifications: NotificationService
    refreshes: RefreshService
    preparations: Preparations
    lookup: EncounterLookup
    jwks_file: Path | None = None


def allow(*roles: Role) -> RequireRole:
    """Return a dependency: the caller if they have one of `roles`, otherwise the request gets 401 or 403."""
    return RequireRole(lambda request: provided(request, IngestDependencies).authenticator, roles)


# Dependencies are `async`: FastAPI runs others in a thread.
async def _ingest(request: Request) -> Ingest:
    return provided(request, IngestDependencies).ingest


async def _encounters(request: Request) -> EncounterPublisher:
    return provided(request, IngestDependencies).encounters


async def _notifications(request: Request) -> NotificationService:
    return provided(request, IngestDependencies).notifications


async def _refreshes(request: Request) -> RefreshService:
    return provided(request, IngestDependencies).refreshes


async def _preparations(request: Request) -> Preparations:
    return provided(request, IngestDependencies).preparations


async def _jwks_file(request: Request) -> Path | None:
    return provided(request, IngestDependencies).jwks_file


async def _lookup(request: Request) -> EncounterLookup:
    return provided(request, IngestDependencies).lookup


IngestSteps = Annotated[Ingest, Depends(_ingest)]
Encounters = Annotated[EncounterPublisher, Depends(_encounters)]
NotificationsService = Annotated[NotificationService, Depends(_notifications)]
Lookup = Annotated[EncounterLookup, Depends(_lookup)]
PendingDischarges = Annotated[Preparations, Depends(_preparations)]
Refreshes = Annotated[RefreshService, Depends(_refreshes)]
JwksFile = Annotated[Path | None, Depends(_jwks_file)]

AnyRole = Annotated[Caller, Depends(allow(*ROLES))]
Editor = Annotated[Caller, Depends(allow("operator", "editor"))]  # changes the knowledge base
Sender = Annotated[Caller, Depends(allow("ingest"))]
