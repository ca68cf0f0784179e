"""The parts of approval. Each builds its objects from the core, registers its handlers, and lists what to start."""

import asyncio
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial

from services.approval.absences.registry import AbsenceRegistry
from services.approval.audit.chain_verifier import AuditChainVerifier
from services.approval.audit.checkpoints import CheckpointPublisher
from services.approval.ehr_tasks.decisions import EhrDecisionHandler
from services.approval.ehr_tasks.hold import on_request
from services.approval.ehr_tasks.reconciler import TaskReconciler
from services.approval.ehr_tasks.review_started import ReviewStartedHandler
from services.approval.ehr_tasks.tasks import Devices, ReviewTasks
from services.approval.erasure.handlers import ErasureHandler
from services.approval.erasure.retention import RetentionScheduler
from services.approval.escalation.directory import Directory
from services.approval.escalation.directory_file import read as read_directory
from services.approval.escalation.handlers import EscalationHandler
from services.approval.filing.filing import Filing
from services.approval.filing.late_write_check import LateWriteCheck
from services.approval.filing.profiles import build_write_backs
from services.approval.filing.write_back import WriteBacks
from services.approval.handlers import Approval
from services.approval.notifications import channels
from services.approval.notifications.handlers import NotificationDispatcher
from services.approval.notifications.notification import read_notification
from services.approval.notifications.transfer import TransferNotifier
from services.approval.preparation.expiry import PreparationExpiry
from services.approval.projections.case_states import CaseStateProjection
from services.approval.projections.open_reviews import OpenReviewsProjection
from services.approval.projections.preparations import PreparationsProjection
from services.approval.projections.unfiled import UnfiledProjection
from services.approval.reimport.handlers import Reimport
from services.approval.review.service import ReviewService
from services.approval.settings import ApprovalSettings
from services.approval.webhooks.deliver import WebhookDispatcher
from services.approval.webhooks.queue import WebhookQueue
from services.approval.webhooks.registry import WebhookRegistry
from services.approval.webhooks.rules import WebhookAddresses
from services.approval.webhooks.sender import WebhookSender
from services.approval.webhooks.service import WebhookService
from services.approval.webhooks.webhook import read_delivery
from shared.clinical.fhir_client import FhirClient
from shared.contracts.ehr import parse_task_changed
from shared.contracts.steps import ERASE, FILE, REQUEST_REVIEW, SETTLE_REJECTION
from shared.contracts.subjects import ESCALATION_TIMER, RECONCILE_TIMER, timer_filter
from shared.messaging.access_log import AccessLog
from shared.messaging.broker import ServiceBroker
from shared.messaging.connection import NatsConnection
from shared.messaging.evaluations import EvaluationLog
from shared.messaging.event_store import Clock
from shared.messaging.lost_timers import LostTimers
from shared.messaging.operator_requests import OperatorRequests
from shared.messaging.recurring_timer import by_timer
from shared.messaging.timers import REVIEWS
from shared.messaging.topology import consumer
from shared.runtime.service import Part, service_broker


@dataclass(frozen=True, slots=True, kw_only=True)
class Core:
    """What the parts share. Pages have an EHR client of their own, so that a slow filing delays none."""

    settings: ApprovalSettings
    broker: ServiceBroker
    clock: Clock
    new_id: Callable[[], str]
    ehr: FhirClient
    interactive_ehr: FhirClient
    directory: Directory
    interactive_directory: Directory
    open_reviews: OpenReviewsProjection
    preparations: PreparationsProjection
    log: AccessLog
    tasks: ReviewTasks
    write_backs: WriteBacks
    unfiled: UnfiledProjection
    devices: Devices
    review: ReviewService
    requests: OperatorRequests
    absences: AbsenceRegistry
    webhook_registry: WebhookRegistry
    webhook_sender: WebhookSender

    @property
    def webhooks(self) -> WebhookService:
        sender = self.webhook_sender
        return WebhookService(self.bus, self.webhook_registry, sender, self.clock, self.new_id, os.urandom)

    @property
    def evaluations(self) -> EvaluationLog:
        return EvaluationLog(self.bus, "approval", self.clock)

    @property
    def bus(self) -> NatsConnection:
        return self.broker.bus

    @property
    def part(self) -> Part:
        return Part(
            starts=(
                partial(self.open_reviews.start, self.bus),
                partial(self.preparations.start, self.bus),
                partial(self.unfiled.start, self.bus),
            ),
            checks={"ehr": self.interactive_ehr.ready},
            closers=(self.review.cases.close, self.interactive_ehr.close, self.ehr.close),
        )


def core(settings: ApprovalSettings, clock: Clock, new_id: Callable[[], str], ehr: FhirClient | None) -> Core:
    """Build what the parts share. `ehr` replaces both clients of the EHR, for tests."""
    broker = service_broker("approval", settings, clock, settings.master_keys)
    interactive, ehr = ehr or settings.ehr.connect_interactive(), ehr or settings.ehr.connect()
    file = read_directory(settings.directory) if settings.directory else None
    interactive_directory = Directory(interactive, settings.supervisors, settings.escalate_after, file)
    devices, reviews, log = Devices(ehr), OpenReviewsProjection(), AccessLog(broker.bus, clock, new_id)
    directory = Directory(ehr, settings.supervisors, settings.escalate_after, file)
    notify = TransferNotifier(broker.bus, directory).notify
    filing = Filing(ehr, devices, clock)
    parsers = {"approval-ehr-task": parse_task_changed, "approval-deliver": read_notification}
    parsers |= {"approval-webhook-send": read_delivery}
    hosts = map(str.lower, settings.webhooks.internal_hosts)
    verbs = {"ehr-decisions": on_request(broker.bus, clock)}
    return Core(
        settings=settings,
        broker=broker,
        clock=clock,
        new_id=new_id,
        ehr=ehr,
        interactive_ehr=interactive,
        directory=directory,
        interactive_directory=interactive_directory,
        open_reviews=reviews,
        preparations=PreparationsProjection(reviews.notify),
        log=log,
        tasks=ReviewTasks(ehr, devices, clock, settings.public_url),
        write_backs=build_write_backs(settings, broker.bus, ehr, filing, devices, clock, notify),
        unfiled=UnfiledProjection(clock, reviews.notify),  # the page of a case shows that its document is filed
        devices=devices,
        review=ReviewService(
            broker.bus, interactive, interactive_directory, reviews, log, clock, new_id, settings.sign_within
        ),
        requests=OperatorRequests(broker.bus, "approval", parsers, clock, verbs),
        absences=AbsenceRegistry(broker.bus, clock),
        webhook_registry=WebhookRegistry(broker.bus, os.urandom),
        webhook_sender=WebhookSender(WebhookAddresses(frozenset(hosts)), clock),
    )


def case_steps(core: Core) -> Part:
    """Request a review, file what was signed, follow up a rejection."""
    approval = Approval(
        core.bus, core.tasks, core.write_backs, core.directory, core.open_reviews, core.absences, core.clock
    )
    core.broker.on(REQUEST_REVIEW, approval.request_review, compensate=approval.cancel_request)
    core.broker.on(FILE, approval.file)
    core.broker.on(SETTLE_REJECTION, approval.settle_rejection)
    return Part()


def escalation(core: Core) -> Part:
    handler = EscalationHandler(core.bus, core.tasks, core.directory, core.clock)
    core.broker.on_message("approval-escalate", handler.escalate)
    core.broker.on_message("approval-follow", handler.follow)
    return Part()


def notifications(core: Core) -> Part:
    threads = ThreadPoolExecutor(consumer("approval-deliver").workers, "notify")
    dispatcher = NotificationDispatcher(
        core.bus, core.directory, core.tasks.link, core.clock, channels.send, threads, core.settings.zones.of
    )
    core.broker.on_message("approval-notify", dispatcher.announce)
    core.broker.on_message("approval-deliver", dispatcher.deliver)
    return Part(closers=(partial(asyncio.to_thread, threads.shutdown, wait=False),))


def webhooks(core: Core) -> Part:
    """Build the delivery of case events to endpoints of integrators."""
    registry, sender = core.webhook_registry, core.webhook_sender
    dispatcher = WebhookDispatcher(core.bus, registry, sender, core.clock, core.settings.webhooks.retry_for)
    core.broker.on_message("approval-webhook-queue", WebhookQueue(core.bus, registry).enqueue)
    core.broker.on_message("approval-webhook-send", dispatcher.deliver)
    return Part(closers=(sender.close,))


def ehr_decisions(core: Core) -> Part:
    """Build the handling of decisions that physicians take in the EHR, and of the start of a review on our page."""
    decisions = EhrDecisionHandler(
        core.bus,
        core.ehr,
        core.review,
        core.directory,
        core.tasks,
        core.log,
        draft_shown=core.settings.ehr_shows_draft,
    )
    core.broker.on_message("approval-ehr-task", decisions.on_task)
    core.broker.on_message("approval-opened", ReviewStartedHandler(core.bus, core.tasks).on_draft_viewed)
    return Part()


def recurring_jobs(core: Core) -> Part:
    """Search the EHR for decisions, follow up ended cases, sign checkpoints, order erasures, end preparations."""
    bus, settings, clock = core.bus, core.settings, core.clock
    follow_up = LateWriteCheck(bus, core.ehr, core.write_backs, core.tasks, clock)
    jobs = (
        TaskReconciler(bus, core.ehr, core.open_reviews, settings.reconcile_every, clock, core.new_id, follow_up.run),
        CheckpointPublisher(
            bus, settings.checkpoint_dir, settings.checkpoint_key_file, settings.checkpoint_every, clock
        ),
        RetentionScheduler(bus, settings.retention.rules, settings.retention.retain_every, clock),
        PreparationExpiry(bus, core.preparations, settings.end_preparations_every, clock),
    )
    core.broker.on_message("approval-reconcile", by_timer(*jobs))
    return Part(starts=(follow_up.start, *(job.start for job in jobs)))


def erasure(core: Core) -> Part:
    core.broker.on(ERASE, ErasureHandler(core.bus, core.evaluations, core.settings.erasure_dir).erase)
    return Part()


def reimport(core: Core) -> Part:
    handler = Reimport(core.bus, core.ehr, core.settings.organization, core.clock, core.write_backs.chosen)
    core.broker.on_message("approval-reimport", handler.on_requested)
    return Part()


def operator_requests(core: Core) -> Part:
    """Build the handling of an operator's requests over NATS: redrive, discard, retry, hold decisions of the EHR."""
    return Part(starts=(core.requests.start,))


def monitoring(core: Core) -> Part:
    """Build the gauges of cases and of the audit chain, and the restoring of timers that NATS has lost."""
    states = CaseStateProjection(core.open_reviews, core.clock)
    chain = AuditChainVerifier(core.bus, core.settings.nats_monitor_url, core.ehr)
    filters = (timer_filter(ESCALATION_TIMER), timer_filter(RECONCILE_TIMER))
    lost = LostTimers(core.bus, REVIEWS, filters, core.clock)
    return Part(
        starts=(partial(states.start, core.bus), chain.start, lost.start),
        closers=(lost.close,),
        gauges=(states.collect_gauges, chain.collect_gauges, core.unfiled.collect_gauges),
    )
