"""Composition root of approval."""

import asyncio
import secrets
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from functools import partial
from uuid import uuid4

from fastapi import Request

from services.approval.audit.chain_verifier import AuditChainVerifier
from services.approval.audit.checkpoints import CheckpointPublisher
from services.approval.corrections.service import CorrectionsService
from services.approval.dependencies import ApiDependencies
from services.approval.ehr_tasks.decisions import EhrDecisionHandler
from services.approval.ehr_tasks.hold import on_request
from services.approval.ehr_tasks.reconciler import TaskReconciler
from services.approval.ehr_tasks.review_started import ReviewStartedHandler
from services.approval.ehr_tasks.tasks import Devices, ReviewTasks
from services.approval.erasure.handlers import ErasureHandler
from services.approval.erasure.retention import RetentionScheduler
from services.approval.erasure.service import ErasureService
from services.approval.escalation.directory import Directory
from services.approval.escalation.directory_file import read as read_directory
from services.approval.escalation.handlers import EscalationHandler
from services.approval.filing.filing import Filing
from services.approval.filing.follow_up import FollowUp
from services.approval.filing.renditions.writer import Renditions
from services.approval.filing.retraction import RetractionFiling
from services.approval.handlers import Approval
from services.approval.notifications import channels
from services.approval.notifications.handlers import NotificationDispatcher
from services.approval.notifications.notification import read_notification
from services.approval.projections.case_states import CaseStateProjection
from services.approval.projections.open_reviews import OpenReviewsProjection
from services.approval.projections.unreadable_events import UnreadableEvents
from services.approval.reimport.handlers import Reimport
from services.approval.review.autosave import DraftAutosave
from services.approval.review.draft_labels import DraftLabels
from services.approval.review.service import ReviewService
from services.approval.routes import ROUTERS, provider_router
from services.approval.settings import ApprovalSettings
from services.approval.sign_in.service import SignInService
from services.approval.sign_in.sessions import SessionStore
from shared.clinical.fhir_client import FhirClient
from shared.contracts.ehr import parse_task_changed
from shared.contracts.steps import ERASE, FILE, REQUEST_REVIEW, SETTLE_REJECTION
from shared.contracts.subjects import ESCALATION_TIMER, RECONCILE_TIMER, timer_filter
from shared.messaging.access_log import AccessLog
from shared.messaging.event_store import Clock
from shared.messaging.lost_timers import LostTimers
from shared.messaging.operator_requests import OperatorRequests
from shared.messaging.recurring_timer import by_timer
from shared.messaging.timers import REVIEWS
from shared.messaging.topology import consumer
from shared.runtime.authentication import Authenticator, Caller, read_api_tokens
from shared.runtime.oidc import OidcProvider
from shared.runtime.request_limits import EventStreamLimit
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
    broker = service_broker("approval", settings, clock, settings.master_keys)
    bus = broker.bus
    front = ehr or settings.ehr.connect_interactive()
    ehr = ehr or settings.ehr.connect()
    file = read_directory(settings.directory) if settings.directory else None
    directory = Directory(ehr, settings.supervisors, settings.escalate_after, file)
    front_directory = Directory(front, settings.supervisors, settings.escalate_after, file)
    devices, reviews = Devices(ehr), OpenReviewsProjection()
    tasks = ReviewTasks(ehr, devices, clock, settings.public_url)
    filing = Filing(ehr, devices, clock)
    renditions = Renditions(bus, ehr, devices, settings.ehr_contents, settings.paper)
    approval = Approval(bus, tasks, filing, RetractionFiling(ehr, filing, clock), renditions, directory, reviews, clock)
    escalation = EscalationHandler(bus, tasks, directory, clock)
    threads = ThreadPoolExecutor(consumer("approval-deliver").workers, "notify")
    notify = NotificationDispatcher(bus, directory, tasks.link, clock, channels.send, threads, settings.zones.of)
    log = AccessLog(bus, clock, new_id)
    review = ReviewService(bus, front, front_directory, reviews, log, clock, new_id, settings.sign_within)
    corrections = CorrectionsService(bus, review)
    decisions = EhrDecisionHandler(bus, ehr, review, directory, tasks, log, draft_shown=settings.ehr_shows_draft)
    opened = ReviewStartedHandler(bus, tasks)
    reimport = Reimport(bus, ehr, settings.organization, clock)
    follow_up = FollowUp(bus, ehr, filing, tasks, clock)
    reconciling = TaskReconciler(bus, ehr, reviews, settings.reconcile_every, clock, new_id, follow_up.run)
    checkpointing = CheckpointPublisher(
        bus,
        settings.checkpoint_dir,
        settings.checkpoint_key_file,
        settings.checkpoint_every,
        clock,
    )
    retaining = RetentionScheduler(bus, settings.retention.kept, settings.retention.retain_every, clock)
    erasing, erasures = ErasureHandler(bus, settings.erasure_dir), ErasureService(bus, review)
    provider = OidcProvider(settings.oidc, clock) if settings.oidc.issuer else None
    sessions = SessionStore(bus, clock, new_secret, settings.idle, settings.session, provider)
    lost_timers = LostTimers(bus, REVIEWS, (timer_filter(ESCALATION_TIMER), timer_filter(RECONCILE_TIMER)), clock)
    census, patrol = CaseStateProjection(reviews, clock), AuditChainVerifier(bus, settings.nats_monitor_url, ehr)
    working, names, not_read = DraftAutosave(bus), DraftLabels(bus), UnreadableEvents()
    checks = {"approval-ehr-task": parse_task_changed, "approval-deliver": read_notification}
    mending = OperatorRequests(bus, "approval", checks, clock, {"ehr-decisions": on_request(bus, clock)})

    broker.on(REQUEST_REVIEW, approval.request_review, undo=approval.take_back_request)
    broker.on(FILE, approval.file)
    broker.on(SETTLE_REJECTION, approval.settle_rejection)
    broker.on(ERASE, erasing.erase)
    broker.on_message("approval-escalate", escalation.escalate)
    broker.on_message("approval-follow", escalation.follow)
    broker.on_message("approval-notify", notify.announce)
    broker.on_message("approval-deliver", notify.deliver)
    broker.on_message("approval-ehr-task", decisions.on_task)
    broker.on_message("approval-opened", opened.on_draft_viewed)
    broker.on_message("approval-reimport", reimport.on_wanted)
    broker.on_message("approval-reconcile", by_timer(reconciling, checkpointing, retaining))

    guard = Authenticator(
        read_api_tokens(settings.tokens_file), provider, sessions, partial(_refused, log), settings.public
    )
    api = ApiDependencies(
        guard=guard,
        log=log,
        clock=clock,
        zone_of=settings.zones.of,
        review=review,
        open_reviews=reviews,
        corrections=corrections,
        erasures=erasures,
        directory=front_directory,
        sign_in=SignInService(sessions, log, clock, new_secret, settings.public, provider, people),
        autosave=working,
        labels=names,
        unreadable=not_read,
        ehr=front,
        streams=EventStreamLimit(),
    )
    return Service(
        broker,
        (*ROUTERS, *((provider_router,) if provider else ())),
        api,
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
            review.cases.close,
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
