"""Streams, buckets and consumers: everything that exists on the bus. What each service may do is `permissions.py`.

One page, so that the whole topology can be read, provisioned and checked in one place. Services declare nothing; an
administrator's `provision` creates what is here and shows what differs.
"""

from typing import Any

from shared.contracts import retry, steps, subjects
from shared.contracts.evaluations import EvaluationRequested, ItemReady
from shared.contracts.events import (
    Approved,
    CaseEvent,
    Escalated,
    Reassigned,
    Reimported,
    Rejected,
    Retried,
    Withdrawn,
    name_of,
)
from shared.contracts.ratings import Rated
from shared.contracts.refresh import (
    BATCH_EVENTS,
    AttemptFailed,
    BatchReady,
    Embedded,
    HeldBack,
    Indexed,
    Planned,
    Promoted,
    RefreshEvent,
    Requested,
    Resumed,
    Skipped,
    Started,
)
from shared.contracts.retry import BUS_ONLY, EHR_FOR_A_DAY, EHR_UNTIL_DONE, FHIR_LAG, RetryPolicy
from shared.contracts.steps import StepDefinition
from shared.messaging.topology_model import Consumer, Stream

DAY = 86_400.0
DEDUPE_WINDOW = 600.0  # seconds in which a repeated Nats-Msg-Id is dropped by the server
EMBED = "embedder-embed"  # the night's work: paused during clinical peak hours


def _timers(*kinds: str) -> tuple[str, ...]:
    """Return subjects of timers that are set, and of fired ones."""
    return tuple(state(kind) for kind in kinds for state in (subjects.timer_filter, subjects.fired_timer_filter))


STREAMS = (
    Stream("EHR", (subjects.EHR_EVENTS,), max_age=30 * DAY),
    Stream("DISCHARGE", (subjects.CASE_EVENTS,), max_age=None, append_only=True),
    Stream("KNOWLEDGE", (subjects.KNOWLEDGE_EVENTS,), max_age=90 * DAY),
    # Which configuration drafts each kind of document, and who decided that.
    Stream("DRAFTERS", (subjects.DRAFTER_EVENTS,), max_age=None, append_only=True),
    Stream("EVALUATIONS", (subjects.EVALUATION_EVENTS,), max_age=None, append_only=True),
    # A stream that takes schedules takes roll-ups, too, and a schedule reaches its own stream alone. The clocks of
    # reviews are apart, so that whoever may set the knowledge base's timers can neither set nor wipe out those.
    Stream("TIMERS", _timers(subjects.ESCALATION_TIMER, subjects.RECONCILE_TIMER), max_age=None, schedules=True),
    Stream("REFRESH_TIMERS", _timers(*subjects.REFRESH_TIMER_KINDS), max_age=None, schedules=True),
    Stream("ALERTS", (subjects.ALERTS,), max_age=90 * DAY),
    # Views of drafts, sign-ins, refusals. Kept six years: https://www.ecfr.gov/current/title-45/section-164.316
    Stream("ACCESS", (subjects.ACCESS_EVENTS,), max_age=2192 * DAY, append_only=True),
    # One message for each channel of each escalation, and the receipts of those that were sent; one for each event
    # of a webhook, and each attempt to send it.
    Stream("NOTIFY", subjects.NOTIFY_SUBJECTS, max_age=90 * DAY),
    Stream("DEADLETTER", (subjects.DEAD_LETTERS,), max_age=None),
    # Core advisories are lost when nobody listens; a stream keeps them until their service takes them up.
    Stream("ADVISORIES", (subjects.MAX_DELIVERIES_ADVISORIES,), max_age=30 * DAY),
)

# Stream → consumer that was there in an earlier version, and is elsewhere now.
MOVED = (("TIMERS", "ingest-schedule"), ("TIMERS", "embedder-peak"))


def refresh_events(*kinds: type[RefreshEvent]) -> tuple[str, ...]:
    """Return the filters of events, for every refresh."""
    return tuple(
        subjects.knowledge_subject("*", "*", name_of(kind)) + (".*" if kind in BATCH_EVENTS else "") for kind in kinds
    )


def case_events(*kinds: type[CaseEvent]) -> tuple[str, ...]:
    """Return the filters of events, for every case."""
    return tuple(subjects.case_filter(name_of(kind)) for kind in kinds)


def _consumer_of(
    step: StepDefinition[CaseEvent, Any], *, workers: int, retry_backlog: int = 10_000, reserved_slots: int = 0
) -> Consumer:
    """Return the consumer of a case's step, which also receives the event of an operator's retry."""
    filters = case_events(*step.consumes, Retried)
    return Consumer(
        step.consumer,
        "DISCHARGE",
        filters,
        step.retry,
        workers=workers,
        retry_backlog=retry_backlog,
        reserved_slots=reserved_slots,
        step=step.name,
    )


CONSUMERS = (
    # A discharge after a retraction waits until that is in the chart.
    Consumer("ingest-discharged", "EHR", (subjects.ENCOUNTER_DISCHARGED,), BUS_ONLY, workers=64, retry_backlog=10_000),
    Consumer(
        "ingest-cancelled",
        "EHR",
        (subjects.DISCHARGE_CANCELLED,),
        # An un-discharge may overtake its discharge; after these attempts no case exists for it.
        RetryPolicy(timeout=30, max_attempts=5, initial_interval=1),
        workers=8,
        retry_backlog=10_000,
    ),
    Consumer("ingest-pending", "EHR", subjects.PENDING_DISCHARGES, BUS_ONLY, workers=8, retry_backlog=10_000),
    Consumer("ingest-visits", "EHR", (subjects.VISIT_EVENTS,), FHIR_LAG, workers=16, retry_backlog=10_000),
    # What a notification or the poll named: its Encounter is read, and decides.
    Consumer(
        "ingest-encounters", "EHR", (subjects.ENCOUNTER_UPDATED,), EHR_FOR_A_DAY, workers=16, retry_backlog=10_000
    ),
    # Appointments that may plan a discharge. Their Encounter may name them only later.
    Consumer("ingest-appointments", "EHR", (subjects.APPOINTMENT_UPDATED,), FHIR_LAG, workers=4, retry_backlog=10_000),
    # One process polls at a time.
    Consumer(
        "ingest-poll",
        "REFRESH_TIMERS",
        (subjects.fired_timer_filter(subjects.POLL_TIMER),),
        RetryPolicy(timeout=900, max_attempts=None, initial_interval=5, max_interval=300, alert_after=5),
        workers=1,
    ),
    _consumer_of(steps.EXTRACT, workers=16, reserved_slots=4),
    _consumer_of(steps.DRAFT, workers=16, reserved_slots=4),
    _consumer_of(steps.REQUEST_REVIEW, workers=32),
    _consumer_of(steps.FILE, workers=32),
    _consumer_of(steps.SETTLE_REJECTION, workers=8),
    _consumer_of(steps.ERASE, workers=4),
    # Few at a time, and none of them ahead of a discharge: preparations have a consumer of their own.
    _consumer_of(steps.PREPARE, workers=2),
    Consumer(
        "approval-follow",
        "DISCHARGE",
        case_events(Escalated, Reassigned, Approved, Rejected, Withdrawn, Reimported),
        EHR_UNTIL_DONE,
        workers=8,
        retry_backlog=10_000,
    ),
    # One at a time: it keeps the queue of refreshes.
    Consumer(
        "ingest-queue",
        "KNOWLEDGE",
        refresh_events(Requested, Promoted, HeldBack, Skipped, AttemptFailed),
        BUS_ONLY,
        workers=1,
    ),
    Consumer("ingest-prepare", "KNOWLEDGE", refresh_events(Started, Resumed), retry.PREPARE, workers=1),
    Consumer(
        "ingest-schedule",
        "REFRESH_TIMERS",
        (subjects.fired_timer_filter(subjects.REFRESH_TIMER), subjects.fired_timer_filter(subjects.RETRY_TIMER)),
        BUS_ONLY,
        workers=4,
    ),
    Consumer(
        "ingest-census",
        "REFRESH_TIMERS",
        (subjects.fired_timer_filter(subjects.CENSUS_TIMER),),
        retry.CENSUS,
        workers=1,
    ),
    Consumer(
        EMBED,
        "KNOWLEDGE",
        refresh_events(BatchReady),
        RetryPolicy(timeout=60, max_attempts=5, initial_interval=5),
        workers=6,
    ),
    Consumer("embedder-settle", "KNOWLEDGE", refresh_events(Planned, Embedded, Resumed), retry.SETTLE, workers=1),
    Consumer("embedder-retain", "KNOWLEDGE", refresh_events(Promoted), retry.SETTLE, workers=1),
    Consumer(
        "embedder-peak", "REFRESH_TIMERS", (subjects.fired_timer_filter(subjects.PEAK_TIMER),), BUS_ONLY, workers=1
    ),
    Consumer("evaluator-judge", "KNOWLEDGE", refresh_events(Indexed, Resumed), retry.SETTLE, workers=1),
    Consumer(
        "evaluator-evaluate",
        "EVALUATIONS",
        (subjects.evaluation_subject("*", name_of(EvaluationRequested)),),
        BUS_ONLY,
        workers=1,
    ),
    # Stays that are drafted again for an evaluation: few at a time, and all the same to whoever waits for a draft.
    Consumer(
        "drafter-evaluate",
        "EVALUATIONS",
        (subjects.evaluation_subject("*", name_of(ItemReady), "*"),),
        RetryPolicy(timeout=900, max_attempts=8, initial_interval=5, max_interval=300, alert_after=5),
        workers=2,
    ),
    # One at a time, so that decisions are compared in the order of the stream.
    Consumer("evaluator-compare", "DISCHARGE", case_events(Approved, Rejected), BUS_ONLY, workers=1),
    Consumer("evaluator-feedback", "DISCHARGE", case_events(Approved, Rated), BUS_ONLY, workers=1),
    Consumer("approval-notify", "DISCHARGE", case_events(Escalated), BUS_ONLY, workers=8, retry_backlog=10_000),
    # A channel that is down for days delays no other: each message is retried alone.
    Consumer(
        "approval-deliver",
        "NOTIFY",
        (subjects.NOTIFICATIONS,),
        RetryPolicy(timeout=60, max_attempts=None, initial_interval=2, max_interval=600, alert_after=5),
        workers=16,
        retry_backlog=10_000,
    ),
    Consumer("approval-webhook-queue", "DISCHARGE", (subjects.CASE_EVENTS,), BUS_ONLY, workers=8, retry_backlog=10_000),
    Consumer(
        "approval-webhook-send",
        "NOTIFY",
        (subjects.WEBHOOK_DELIVERIES,),
        retry.WEBHOOK,
        workers=16,
        retry_backlog=100_000,
        alerts_together=True,
    ),
    # What a physician decided in the EHR is not given up. One process reconciles at a time.
    Consumer("approval-ehr-task", "EHR", (subjects.TASK_UPDATED,), EHR_UNTIL_DONE, workers=16, retry_backlog=10_000),
    # What a person wants taken over from the chart after a restore.
    Consumer(
        "approval-reimport", "EHR", (subjects.REIMPORT_REQUESTED,), EHR_UNTIL_DONE, workers=8, retry_backlog=10_000
    ),
    Consumer("approval-opened", "ACCESS", (subjects.DRAFT_VIEWED,), EHR_UNTIL_DONE, workers=8, retry_backlog=10_000),
    Consumer(
        "approval-reconcile",
        "TIMERS",
        (subjects.fired_timer_filter(subjects.RECONCILE_TIMER),),
        RetryPolicy(timeout=240, max_attempts=None, initial_interval=1, max_interval=60, alert_after=5),
        workers=1,
    ),
    Consumer(
        "approval-escalate",
        "TIMERS",
        (subjects.fired_timer_filter(subjects.ESCALATION_TIMER),),
        BUS_ONLY,
        workers=32,
        retry_backlog=10_000,
    ),
)
SERVICES = ("ingest", "embedder", "drafter", "approval", "evaluator")


def advisory_consumer(service: str) -> Consumer:
    """Return the consumer of advisories about a service's messages that were delivered too often without answer."""
    filters = tuple(subjects.advisory_subject(item.stream, item.name) for item in CONSUMERS if item.service == service)
    return Consumer(f"{service}-advisories", "ADVISORIES", filters, BUS_ONLY, workers=1)


def all_consumers() -> tuple[Consumer, ...]:
    return CONSUMERS + tuple(advisory_consumer(service) for service in SERVICES)


_BY_NAME = {item.name: item for item in all_consumers()}


def consumer(name: str) -> Consumer:
    """Return the consumer or advisory consumer of that name."""
    return _BY_NAME[name]
