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
from shared.clinical.fhir import FhirClient
from shared.contracts.ehr import read_task_fact
from shared.contracts.steps import ERASE, FILE, REQUEST_REVIEW, SETTLE_REJECTION
from shared.contracts.subjects import ESCALATION_TIMER, RECONCILE_TIMER, timer_filter
from shared.messaging.access_log import AccessLog
from shared.messaging.journal import Clock
from shared.messaging.lost_timers import LostTimers
from shared.messaging.mending import Mending
from shared.messaging.timers import REVIEWS
from shared.messaging.topology import consumer
from shared.runtime.access import Caller, Guard, read_grants
from shared.runtime.oidc import Provider
from shared.runtime.service import Service, service_broker
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
    broker = service_broker("approval", settings, clock, settings.master_key)
    bus = broker.bus
    front = ehr or settings.ehr.connect_interactive()
    ehr = ehr or settings.ehr.connect()
    file = read_directory(settings.directory) if settings.directory else None
    directory = Directory(ehr, settings.supervisors, settings.escalate_after, file)
    front_directory = Directory(front, settings.supervisors, settings.escalate_after, file)
    devices, reviews = Devices(ehr), Reviews()
    tasks = Tasks(ehr, devices, clock, settings.public_url)
    filing = Filing(ehr, devices, clock)
    renditions = Renditions(bus, ehr, devices, settings.ehr_contents, settings.paper)
    approval = Approval(bus, tasks, filing, Retracting(ehr, filing, clock), renditions, directory, reviews, clock)
    escalation = Escalation(bus, tasks, directory, clock)
    threads = ThreadPoolExecutor(consumer("approval-deliver").workers, "notify")
    notify = Notify(bus, directory, tasks.link, clock, channels.send, threads, settings.zones.of)
    log = AccessLog(bus, clock, new_id)
    desk = Desk(bus, front, front_directory, reviews, log, clock, new_id)
    decisions = EhrDecisions(bus, ehr, desk, directory, tasks, log, draft_shown=settings.ehr_shows_draft)
    opened = Opened(bus, tasks)
    reimport = Reimport(bus, ehr, settings.organization, clock)
    follow_up = FollowUp(bus, ehr, filing, tasks, clock)
    reconciling = Reconciling(bus, ehr, reviews, settings.reconcile_every, clock, new_id, follow_up.run)
    checkpointing = Checkpointing(
        bus,
        settings.checkpoint_dir,
        settings.checkpoint_key_file,
        settings.checkpoint_every,
        clock,
        reconciling.on_timer,
    )
    retaining = Retaining(bus, settings.retention.kept, settings.retention.retain_every, clock, checkpointing.on_timer)
    erasing, erasures = Erasing(bus, settings.erasure_dir), ErasureDesk(bus, desk)
    provider = Provider(settings.oidc, clock) if settings.oidc.issuer else None
    sessions = SessionStore(bus, clock, new_secret, settings.idle, settings.session, provider)
    lost_timers = LostTimers(bus, REVIEWS, (timer_filter(ESCALATION_TIMER), timer_filter(RECONCILE_TIMER)), clock)
    census, patrol = Census(reviews, clock), Patrol(bus, settings.nats_monitor_url, ehr)
    working, names, not_read = WorkingCopies(bus), Names(bus), NotRead()
    checks = {"approval-ehr-task": read_task_fact, "approval-deliver": read_notice}
    mending = Mending(bus, "approval", checks, clock, {"ehr-decisions": on_request(bus, clock)})

    broker.on(REQUEST_REVIEW, approval.request_review, undo=approval.take_back_request)
    broker.on(FILE, approval.file)
    broker.on(SETTLE_REJECTION, approval.settle_rejection)
    broker.on(ERASE, erasing.erase)
    broker.on_message("approval-escalate", escalation.escalate)
    broker.on_message("approval-follow", escalation.follow)
    broker.on_message("approval-notify", notify.announce)
    broker.on_message("approval-deliver", notify.deliver)
    broker.on_message("approval-ehr-task", decisions.on_task)
    broker.on_message("approval-opened", opened.on_look)
    broker.on_message("approval-reimport", reimport.on_wanted)
    broker.on_message("approval-reconcile", retaining.on_timer)

    guard = Guard(read_grants(settings.tokens_file), provider, sessions, partial(_refused, log), settings.public)
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
        broker,
        router,
        starts=(
            partial(reviews.start, bus),
            follow_up.start,
            reconciling.start,
            checkpointing.start,
            retaining.start,
            partial(census.start, bus),
            patrol.start,
            lost_timers.start,
            partial(not_read.start, bus),
            mending.start,
        ),
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
