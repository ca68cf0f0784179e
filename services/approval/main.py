"""Composition root of approval."""

import asyncio
import secrets
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from functools import partial
from uuid import uuid4

from fastapi import APIRouter, Request

from services.approval.api import Parts, make_router
from services.approval.census import Census
from services.approval.checkpointing import Checkpointing
from services.approval.corrections_api import make_corrections_router
from services.approval.desk import Desk
from services.approval.directory import Directory
from services.approval.directory_file import read as read_directory
from services.approval.ehr_decisions import EhrDecisions
from services.approval.erasure.api import make_erasure_router
from services.approval.erasure.desk import ErasureDesk
from services.approval.erasure.retaining import Retaining
from services.approval.erasure.step import Erasing
from services.approval.escalation import Escalation
from services.approval.escalations_api import make_escalations_router
from services.approval.filing import Filing
from services.approval.follow_up import FollowUp
from services.approval.handlers import Approval
from services.approval.hold import on_request
from services.approval.inbox.case import add_case
from services.approval.inbox.lists import add_lists
from services.approval.inbox.names import Names
from services.approval.inbox.people import add_people
from services.approval.inbox.render import PageRoute, add_assets
from services.approval.inbox.working import WorkingCopies
from services.approval.not_read import NotRead
from services.approval.notify import channels
from services.approval.notify.handlers import Notify
from services.approval.notify.notices import read_notice
from services.approval.opened import Opened
from services.approval.patrol import Patrol
from services.approval.reconcile import Reconciling
from services.approval.reimport.handlers import Reimport
from services.approval.renditions.writer import Renditions
from services.approval.retracting import Retracting
from services.approval.reviews import Reviews
from services.approval.settings import ApprovalSettings
from services.approval.sign_in.routes import SignIn, add_sign_in
from services.approval.sign_in.sessions import SessionStore
from services.approval.sign_in.sessions_api import make_sessions_router
from services.approval.tasks import Devices, Tasks
from shared.clinical.fhir_client import FhirClient
from shared.contracts.ehr import parse_task_changed
from shared.messaging.access_log import AccessLog
from shared.messaging.connection import Bus
from shared.messaging.lost_timers import LostTimers
from shared.messaging.mending import Mending
from shared.messaging.steps import Clock, Steps
from shared.messaging.timers import REVIEWS
from shared.messaging.topology import consumer
from shared.runtime.authentication import Authenticator, Caller, read_api_tokens
from shared.runtime.oidc import OidcProvider
from shared.runtime.service import Service
from shared.runtime.start import start


def build(
    settings: ApprovalSettings,
    *,
    clock: Clock = lambda: datetime.now(UTC),
    new_id: Callable[[], str] = lambda: str(uuid4()),
    new_secret: Callable[[], str] = lambda: secrets.token_urlsafe(48),
    ehr: FhirClient | None = None,
    people: Sequence[Caller] = (),
) -> Service:
    """Everything approval needs, built and not started. `ehr` takes the place of the real ones.

    What a person waits for has a client of its own, so that no slow filing delays a page or a signature.

    `people` may be signed in as by whoever reaches the sign-in page: the embedded stack's demo, and no setting.
    """
    steps = Steps("approval", clock)
    front = ehr or settings.ehr.connect_interactive()
    ehr = ehr or settings.ehr.connect()
    file = read_directory(settings.directory) if settings.directory else None
    directory = Directory(ehr, settings.supervisors, settings.escalate_after, file)
    front_directory = Directory(front, settings.supervisors, settings.escalate_after, file)
    devices, reviews = Devices(ehr), Reviews()
    tasks = Tasks(ehr, devices, clock, settings.public_url)
    filing = Filing(ehr, devices, clock)
    renditions = Renditions(ehr, devices, settings.ehr_contents, settings.paper)
    approval = Approval(steps, tasks, filing, Retracting(ehr, filing, clock), renditions, directory, reviews, clock)
    escalation = Escalation(steps, tasks, directory, clock)
    threads = ThreadPoolExecutor(consumer("approval-deliver").workers, "notify")
    notify = Notify(steps, directory, tasks.link, clock, channels.send, threads, settings.zones.of)
    log = AccessLog(clock, new_id)
    desk = Desk(front, front_directory, reviews, log, clock, new_id)
    decisions = EhrDecisions(steps, ehr, desk, directory, tasks, log, draft_shown=settings.ehr_shows_draft)
    opened = Opened(steps, tasks)
    reimport = Reimport(steps, ehr, settings.organization, clock)
    follow_up = FollowUp(ehr, filing, tasks, clock)
    reconciling = Reconciling(steps, ehr, reviews, settings.reconcile_every, clock, new_id, follow_up.run)
    checkpointing = Checkpointing(
        steps,
        settings.checkpoint_dir,
        settings.checkpoint_key_file,
        settings.checkpoint_every,
        clock,
        reconciling.on_timer,
    )
    retaining = Retaining(
        steps, settings.retention.kept, settings.retention.retain_every, clock, checkpointing.on_timer
    )
    erasing, erasures = Erasing(steps, settings.erasure_dir), ErasureDesk(desk)
    provider = OidcProvider(settings.oidc, clock) if settings.oidc.issuer else None
    sessions = SessionStore(clock, new_secret, settings.idle, settings.session, provider)
    lost_timers = LostTimers(REVIEWS, ("timers.escalation.>", "timers.reconcile.*"), clock)
    census, patrol = Census(reviews, clock), Patrol(settings.nats_monitor_url, ehr)
    working, names, not_read = WorkingCopies(), Names(), NotRead()
    checks = {"approval-ehr-task": parse_task_changed, "approval-deliver": read_notice}
    mending = Mending("approval", checks, clock)

    async def on_connect(bus: Bus) -> None:
        for part in (
            log,
            sessions,
            working,
            names,
            desk,
            escalation,
            notify,
            decisions,
            opened,
            reimport,
            patrol,
            erasing,
            erasures,
        ):
            part.attach(bus)
        await approval.attach(bus)
        await follow_up.attach(bus)
        await reconciling.attach(bus)
        await checkpointing.attach(bus)
        await retaining.attach(bus)
        await census.start(bus)
        lost_timers.attach(bus)
        await not_read.start(bus)
        await mending.attach(bus, {"ehr-decisions": on_request(bus, clock)})

    guard = Authenticator(
        read_api_tokens(settings.tokens_file), provider, sessions, partial(_refused, log), settings.public
    )
    parts = Parts(desk, reviews, guard, log, clock, settings.sign_within, settings.zones.of)
    router = make_router(parts)
    router.include_router(make_corrections_router(parts))
    router.include_router(make_erasure_router(parts, erasures))
    router.include_router(make_escalations_router(desk, front_directory, guard))
    pages = APIRouter(route_class=PageRoute)
    add_assets(pages)
    sign_in = SignIn(sessions, log, clock, new_secret, settings.public, provider, people)
    router.include_router(make_sessions_router(sign_in, guard))
    add_sign_in(pages, sign_in, guard)
    add_lists(pages, parts, names, not_read)
    add_case(pages, parts, working)
    add_people(pages, parts, front)
    router.include_router(pages)
    return Service(
        "approval",
        settings.nats_url,
        settings.nats_ca_file,
        settings.seed,
        steps,
        on_connect,
        router,
        checks={"ehr": front.ready},
        closers=(
            lost_timers.close,
            front.close,
            not_read.close,
            ehr.close,
            partial(asyncio.to_thread, threads.shutdown, wait=False),
            *((provider.close,) if provider else ()),
        ),
        looks=(census.look, patrol.look),
        hsts=settings.public.secure,
        master_key=settings.master_key,
    )


async def _refused(log: AccessLog, reason: str, caller: Caller | None, request: Request) -> None:
    """Every refusal is on the trail: by the route's own pattern, never by what was sent."""
    route = request.scope.get("route")
    await log.record(
        "refused",
        detail=f"{request.method} {getattr(route, 'path', '')}: {reason}",
        subject=caller.subject if caller else None,
        role=caller.role if caller else None,
        method=caller.method if caller else None,
    )


def main() -> None:
    start(ApprovalSettings, build)


if __name__ == "__main__":
    main()
