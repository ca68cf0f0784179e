"""Least rights: what each NATS user may publish and subscribe to. The server enforces them."""

from dataclasses import dataclass

from shared.contracts import subjects
from shared.contracts.drafters import (
    Added,
    BaselineReset,
    CanaryStarted,
    Declared,
    DrafterEvent,
    DrafterPromoted,
    Retired,
    RolledBack,
    Shadowed,
)
from shared.contracts.evaluations import DraftsKept, EvaluationRequested, EvaluationSetMade, ItemJudged, ItemReady
from shared.contracts.events import name_of
from shared.contracts.refresh import (
    AttemptFailed,
    BatchIndexed,
    BatchReady,
    Embedded,
    Evaluated,
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
from shared.contracts.steps import appended_by
from shared.messaging.topology import EMBED, all_consumers, case_events, refresh_events
from shared.messaging.topology_model import Consumer


@dataclass(frozen=True, slots=True)
class Permissions:
    """What a NATS user may publish and subscribe to."""

    publish: tuple[str, ...]
    subscribe: tuple[str, ...]


def inbox(user: str) -> str:
    """Return the inbox prefix of a user. Users cannot read each other's replies."""
    return f"_INBOX_{user}"


def request_inbox(user: str) -> str:
    """Return the prefix of the inboxes on which a user receives the replies of services, and nothing else."""
    return f"{inbox(user)}.mend"


def _consume(consumers: tuple[Consumer, ...]) -> tuple[str, ...]:
    return tuple(
        right
        for item in consumers
        for right in (
            f"$JS.API.CONSUMER.INFO.{item.stream}.{item.name}",
            f"$JS.API.CONSUMER.MSG.NEXT.{item.stream}.{item.name}",
            f"$JS.ACK.{item.stream}.{item.name}.>",
        )
    )


_READ_CASES = ("$JS.API.DIRECT.GET.DISCHARGE", "$JS.API.DIRECT.GET.DISCHARGE.>", "$JS.API.STREAM.INFO.DISCHARGE")


def _bucket(name: str, keys: str = ">") -> tuple[str, ...]:
    """Return the permissions to read a bucket, and to write `keys` of it."""
    stream = f"KV_{name}"
    gets = (f"$JS.API.DIRECT.GET.{stream}", f"$JS.API.DIRECT.GET.{stream}.>", f"$JS.API.STREAM.INFO.{stream}")
    return (f"$KV.{name}.{keys}", *gets)


_ARTIFACTS = (*_bucket("artifacts"), *_bucket("keys"))
# To destroy a case's key and to remove its texts: the bytes of a deleted key are overwritten.
_ERASE = ("$JS.API.STREAM.MSG.DELETE.KV_keys", "$JS.API.STREAM.PURGE.KV_artifacts")
_READ_ACCESS = ("$JS.API.DIRECT.GET.ACCESS", "$JS.API.DIRECT.GET.ACCESS.>", "$JS.API.STREAM.INFO.ACCESS")
_DEAD_LETTER_PERMISSIONS = (
    subjects.ACCESS_REFUSED,
    subjects.dead_letter_subject("{service}", "*"),
    subjects.EVERY_ALERT,
    "$JS.API.DIRECT.GET.EHR",
    "$JS.API.DIRECT.GET.TIMERS",
    "$JS.API.DIRECT.GET.REFRESH_TIMERS",
)
# A service that takes the operator's requests (requests.py) reads the dead letter, records its resolution, and replies.
_READ_DEAD_LETTERS = ("$JS.API.DIRECT.GET.DEADLETTER", "$JS.API.DIRECT.GET.DEADLETTER.>")
_REDRIVE = (
    *_READ_DEAD_LETTERS,
    subjects.DEAD_LETTERS_REDRIVEN,
    subjects.DEAD_LETTERS_DISCARDED,
    f"{inbox('operator')}.>",
)
POLL_KEYS = ("encounters", "appointments", "visits.*", "seen.*", "subscriptions.*")  # of the bucket `reconciled`
REDRIVING_SERVICES = ("ingest", "approval")
_READ_KNOWLEDGE = (
    *(
        right
        for stream in ("KNOWLEDGE", "KV_live", "KV_sources")
        for right in (f"$JS.API.DIRECT.GET.{stream}", f"$JS.API.DIRECT.GET.{stream}.>")
    ),
)
# The events of refreshes that a service appends. Those of cases follow from the steps: `appended_by`.
REFRESH_EVENTS: dict[str, tuple[type[RefreshEvent], ...]] = {
    "ingest": (
        Requested,
        Started,
        Resumed,
        Skipped,
        Planned,
        BatchReady,
        Embedded,
        Indexed,
        AttemptFailed,
    ),
    "embedder": (BatchIndexed, Embedded, Indexed, AttemptFailed),
    "evaluator": (Requested, Evaluated, Promoted, HeldBack, AttemptFailed),
}
# What a drafter's settings declare, and what people decide.
DRAFTER_EVENTS: dict[str, tuple[type[DrafterEvent], ...]] = {
    "drafter": (Declared,),
    "evaluator": (Added, Shadowed, CanaryStarted, DrafterPromoted, RolledBack, Retired, BaselineReset),
}
_READ_EVALUATIONS = ("$JS.API.DIRECT.GET.EVALUATIONS", "$JS.API.DIRECT.GET.EVALUATIONS.>")
EVALUATION_EVENTS: dict[str, tuple[str, ...]] = {
    "drafter": (
        subjects.evaluation_subject("*", name_of(ItemJudged), "*"),
        subjects.evaluation_subject("*", name_of(DraftsKept), "*"),
    ),
    "evaluator": (
        subjects.evaluation_subject("*", name_of(EvaluationRequested)),
        subjects.evaluation_subject("*", name_of(EvaluationSetMade), "*"),
        subjects.evaluation_subject("*", name_of(ItemReady), "*"),
    ),
}
_READ_DRAFTERS = ("$JS.API.DIRECT.GET.DRAFTERS", "$JS.API.DIRECT.GET.DRAFTERS.>", "$JS.API.STREAM.INFO.DRAFTERS")


def _drafter_events(service: str) -> tuple[str, ...]:
    return tuple(subjects.drafter_subject("*", name_of(kind)) for kind in DRAFTER_EVENTS[service])


_SERVICE_PERMISSIONS: dict[str, tuple[str, ...]] = {
    "ingest": (
        *_bucket("idempotency", "ingest.*"),
        *_REDRIVE,
        f"{request_inbox('approval')}.*.*",  # replies to approval's requests; nothing else of its inbox
        *_READ_KNOWLEDGE,
        "$KV.sources.>",
        "$KV.live.refreshes",
        subjects.timer_filter(subjects.REFRESH_TIMER),
        subjects.timer_filter(subjects.RETRY_TIMER),
        subjects.timer_filter(subjects.POLL_TIMER),
        subjects.timer_filter(subjects.CENSUS_TIMER),
        "$JS.API.STREAM.PURGE.REFRESH_TIMERS",
        # How far the poll is, the visits that it asks for, and the state of subscriptions: not approval's keys.
        *(f"$KV.reconciled.{key}" for key in POLL_KEYS),
        "$JS.API.DIRECT.GET.KV_reconciled",
        subjects.ENCOUNTER_EVENTS,
        subjects.APPOINTMENT_UPDATED,
        subjects.VISIT_EVENTS,
        subjects.TASK_UPDATED,
    ),
    "embedder": (
        *_READ_KNOWLEDGE,
        subjects.timer_filter(subjects.PEAK_TIMER),
        subjects.timer_filter(subjects.RETRY_TIMER),
        "$JS.API.STREAM.PURGE.REFRESH_TIMERS",
        f"$JS.API.CONSUMER.PAUSE.KNOWLEDGE.{EMBED}",
    ),
    "evaluator": (
        *_bucket("idempotency", "evaluator.*"),
        *_READ_KNOWLEDGE,
        subjects.timer_filter(subjects.RETRY_TIMER),
        "$KV.live.knowledge",
        "$KV.live.version.*",
        "$KV.live.documents.>",
        "$KV.live.move.*",
        *_drafter_events("evaluator"),
        *EVALUATION_EVENTS["evaluator"],
        *_READ_EVALUATIONS,
        *_bucket("comparisons"),
        *_bucket("golden"),
        "$JS.API.DIRECT.GET.ALERTS",  # whether an alert was sent before the process died
        *_READ_DRAFTERS,
        *_bucket("drafters"),
        f"$JS.API.CONSUMER.INFO.KNOWLEDGE.{EMBED}",
    ),
    "drafter": (
        *_ARTIFACTS,
        *_READ_KNOWLEDGE,
        "$KV.ahead.>",
        *_bucket("usage"),
        *_drafter_events("drafter"),
        *EVALUATION_EVENTS["drafter"],
        *_READ_EVALUATIONS,
        *_READ_DRAFTERS,
        *_bucket("drafters"),
    ),
    "approval": (
        *_bucket("idempotency", "approval.*"),
        *_REDRIVE,
        # An operator's requests over HTTP about dead letters of ingest: approval passes them on.
        "mend.ingest.redrive",
        "mend.ingest.check",
        *_ARTIFACTS,
        *_ERASE,
        *_READ_EVALUATIONS,  # which drafts of trials are kept: shown to engineers, and erased with the others
        subjects.ACCESS_EVENTS,
        *_READ_ACCESS,
        *_bucket("sessions"),
        *_bucket("working"),
        *_bucket("reconciled"),
        *_bucket("reviews"),
        *_bucket("renditions"),
        subjects.TASK_UPDATED,
        subjects.timer_filter(subjects.RECONCILE_TIMER),
        subjects.timer_filter(subjects.ESCALATION_TIMER),
        "$JS.API.STREAM.PURGE.TIMERS",
        "$JS.API.INFO",
        subjects.NOTIFICATIONS,
        subjects.NOTIFICATION_RECEIPTS,
        "$JS.API.DIRECT.GET.NOTIFY",
        subjects.WEBHOOK_DELIVERIES,
        subjects.WEBHOOK_ATTEMPTS,
        *_bucket("webhooks"),
        *_bucket("department"),
        # Projections follow the event stream by an unnamed consumer; this right creates no durable one.
        "$JS.API.CONSUMER.CREATE.DISCHARGE",
        "$JS.API.CONSUMER.INFO.DISCHARGE.*",
        "$JS.FC.DISCHARGE.>",
    ),
}

# Changes of sessions, so that no request has to look its session up.
_SUBSCRIPTIONS = {"approval": ("$KV.sessions.>",)}


def permissions(service: str) -> Permissions:
    """Return the least permissions of a service: its consumers, the events it appends, the buckets it uses."""
    consumers = tuple(item for item in all_consumers() if item.service == service)
    dead_letters = tuple(right.format(service=service) for right in _DEAD_LETTER_PERMISSIONS)
    return Permissions(
        publish=(
            *_consume(consumers),
            *_READ_CASES,
            *dead_letters,
            *case_events(*appended_by(service)),
            *refresh_events(*REFRESH_EVENTS.get(service, ())),
            *_SERVICE_PERMISSIONS[service],
        ),
        subscribe=(
            f"{inbox(service)}.>",
            *((f"mend.{service}.*",) if service in REDRIVING_SERVICES else ()),
            *_SUBSCRIPTIONS.get(service, ()),
        ),
    )


def auditor_permissions() -> Permissions:
    """Return permissions to read every event, drafter configurations and the access log, but no texts."""
    reads = (*_READ_CASES, *_READ_ACCESS, *_READ_DRAFTERS, "$JS.API.DIRECT.GET.KV_drafters")
    return Permissions(publish=reads, subscribe=(f"{inbox('auditor')}.>",))


def operator_permissions() -> Permissions:
    """Return permissions to read events, dead letters and alerts, and to send requests to services; none to write."""
    reads = tuple(
        right
        for stream in ("EHR", "DEADLETTER", "ALERTS")
        for right in (f"$JS.API.DIRECT.GET.{stream}", f"$JS.API.DIRECT.GET.{stream}.>", f"$JS.API.STREAM.INFO.{stream}")
    )
    return Permissions(
        publish=(
            *_READ_CASES,
            *reads,
            *(f"mend.{service}.*" for service in REDRIVING_SERVICES),
            subjects.REIMPORT_REQUESTED,
            "$JS.API.DIRECT.GET.KV_reconciled",
        ),
        subscribe=(f"{inbox('operator')}.>",),
    )


def backup_permissions() -> Permissions:
    """Return permissions to read everything that is stored, including texts, and to change nothing."""
    return Permissions(
        publish=(
            "$JS.API.STREAM.SNAPSHOT.*",
            "$JS.SNAPSHOT.ACK.>",
            "$JS.API.CONSUMER.INFO.*.*",
            *_READ_CASES,
        ),
        subscribe=(f"{inbox('backup')}.>",),
    )
