"""The HTTP interface of approval: who may call it, its routes, and what they work with."""

import asyncio
from collections.abc import Callable, Sequence
from functools import partial
from typing import NamedTuple

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from fastapi import APIRouter, Request

from services.approval.absences.service import AbsenceService
from services.approval.access.service import AccessLogReader
from services.approval.access.signatures import SignatureReview
from services.approval.alerts.prometheus import PrometheusAlerts
from services.approval.corrections.service import CorrectionsService
from services.approval.department.dependencies import DepartmentDependencies
from services.approval.department.names import PractitionerNames
from services.approval.department.reminders import ReminderService
from services.approval.dependencies import ApiDependencies
from services.approval.erasure.service import ErasureService
from services.approval.event_feed.feed import EventFeed
from services.approval.evidence.service import EvidenceService
from services.approval.filing.renditions.make import PDF, TEXT
from services.approval.filing.renditions.writer import Renditions
from services.approval.filing.service import UnfiledDocumentService
from services.approval.filing.status import FilingStatuses
from services.approval.health.service import HealthService
from services.approval.operations.saved_views import SavedViews
from services.approval.operations.service import Operations
from services.approval.parts import Core
from services.approval.projections.case_index import CaseIndex
from services.approval.projections.turnaround import TurnaroundProjection
from services.approval.projections.unreadable_events import UnreadableEvents
from services.approval.ratings.service import RatingService
from services.approval.review.autosave import DraftAutosave
from services.approval.review.draft_labels import DraftLabels
from services.approval.routes import LAUNCH_ROUTERS, PROVIDER_ROUTERS, ROUTERS
from services.approval.sign_in.launch.client import TIMEOUT_S, EhrLaunch
from services.approval.sign_in.service import SignInService
from services.approval.sign_in.sessions import SessionStore
from services.approval.system.service import SystemService
from services.approval.trials.service import TrialReader
from services.approval.verification.service import VerificationService
from services.approval.web.render import templates
from shared.http import HttpClient
from shared.messaging.access_log import AccessLog
from shared.messaging.checkpoints import Folder, signing_key
from shared.runtime.authentication import Authenticator, Caller, read_api_tokens
from shared.runtime.oidc import OidcProvider
from shared.runtime.request_limits import EventStreamLimit
from shared.runtime.service import Part


class HttpInterface(NamedTuple):
    routers: tuple[APIRouter, ...]
    dependencies: ApiDependencies
    part: Part


def http_interface(core: Core, new_secret: Callable[[], str], people: Sequence[Caller]) -> HttpInterface:
    """Return the HTTP interface. As any of `people`, whoever reaches the sign-in page may sign in."""
    settings, clock = core.settings, core.clock
    provider = OidcProvider(settings.oidc, clock, new_id=core.new_id) if settings.oidc.issuer else None
    launch = _launch(core) if settings.launch.issuer else None
    sessions = SessionStore(core.bus, clock, new_secret, settings.idle, settings.session, provider)
    unreadable, feed, turnaround = UnreadableEvents(), EventFeed(core.bus), TurnaroundProjection(clock)
    index = CaseIndex(turnaround)
    downloads = Renditions(core.bus, core.interactive_ehr, core.devices, (TEXT, PDF), settings.paper)
    checkpoints = _checkpoints(core)
    alerts = PrometheusAlerts(settings.prometheus.url, settings.prometheus.token_file, HttpClient())
    verifications = VerificationService(core.bus, core.ehr, checkpoints, clock, core.new_id)
    operations = Operations(core.bus, core.requests, clock)
    chart = UnfiledDocumentService(
        core.review, core.write_backs, FilingStatuses(core.bus, clock), core.unfiled, downloads
    )
    system = SystemService(core.bus, settings.nats_monitor_url, settings.checkpoint_dir)
    health = HealthService(core.bus, settings, system, operations, chart, alerts, clock)
    dependencies = ApiDependencies(
        authenticator=_authenticator(core, sessions, provider),
        log=core.log,
        access_log=AccessLogReader(core.bus, core.log, settings.organization),
        signatures=SignatureReview(core.bus, core.log),
        clock=clock,
        organization=settings.organization,
        zone_of=settings.zones.of,
        trace_url=settings.trace_url,
        review=core.review,
        open_reviews=core.open_reviews,
        index=index,
        corrections=CorrectionsService(core.bus, core.review),
        ratings=RatingService(core.review),
        chart=chart,
        erasures=ErasureService(core.bus, core.review),
        operations=operations,
        directory=core.interactive_directory,
        sign_in=SignInService(sessions, core.log, clock, new_secret, settings.public, provider, people, launch),
        autosave=DraftAutosave(core.bus),
        preparations=core.preparations,
        labels=DraftLabels(core.bus),
        unreadable=unreadable,
        ehr=core.interactive_ehr,
        streams=EventStreamLimit(),
        webhooks=core.webhooks,
        feed=feed,
        system=system,
        health=health,
        alerts=alerts,
        department=_department(core, turnaround),
        views=SavedViews(core.bus),
        trials=TrialReader(core.evaluations, core.review.cases, core.log),
        verifications=verifications,
        evidence=EvidenceService(core.bus, core.interactive_ehr, core.review.cases, core.log, checkpoints, clock),
    )
    part = Part(
        starts=(
            partial(unreadable.start, core.bus),
            feed.start,
            sessions.start,
            partial(index.start, core.bus),
            operations.start,
            partial(asyncio.to_thread, templates.compile),
        ),
        stops=(verifications.stop,),
        closers=(
            unreadable.close,
            alerts.close,
            health.close,
            *(item.close for item in (provider, launch) if item is not None),
        ),
    )
    routers = (*ROUTERS, *(PROVIDER_ROUTERS if provider else ()), *(LAUNCH_ROUTERS if launch else ()))
    return HttpInterface(routers, dependencies, part)


def _authenticator(core: Core, sessions: SessionStore, provider: OidcProvider | None) -> Authenticator:
    tokens, log_refusal = read_api_tokens(core.settings.tokens_file), partial(_log_refusal, core.log)
    return Authenticator(tokens, provider, sessions, log_refusal, core.settings.public, says_where=provider is not None)


def _department(core: Core, turnaround: TurnaroundProjection) -> DepartmentDependencies:
    return DepartmentDependencies(
        names=PractitionerNames(core.interactive_ehr),
        reminders=ReminderService(core.bus, core.review.cases, core.interactive_directory, core.clock),
        absences=AbsenceService(core.absences, core.clock, core.review.check_person),
        turnaround=turnaround,
        new_id=core.new_id,
    )


def _checkpoints(core: Core) -> tuple[Folder, Ed25519PublicKey] | None:
    """Return the checkpoints that this installation makes, and the public half of their key; None: it makes none."""
    folder, key = core.settings.checkpoint_dir, core.settings.checkpoint_key_file
    return (Folder(folder), signing_key(key).public_key()) if folder is not None and key is not None else None


def _launch(core: Core) -> EhrLaunch:
    http = HttpClient(timeout=TIMEOUT_S)
    return EhrLaunch(core.settings.launch, core.interactive_ehr, http, core.clock, core.new_id)


async def _log_refusal(log: AccessLog, reason: str, caller: Caller | None, request: Request) -> None:
    """Record a refused request in the access log: by the route's own pattern, never by what was sent."""
    route = request.scope.get("route")
    await log.record(
        "refused",
        detail=f"{request.method} {getattr(route, 'path', '')}: {reason}",
        by=caller.actor if caller else None,
    )
