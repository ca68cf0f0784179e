"""Define every metric, and every attribute that a span, metric or log line may carry. Nothing else is exported.

Names are the OpenTelemetry semantic conventions' where they have one (https://opentelemetry.io/docs/specs/semconv/);
`countersign.*` is ours. In Prometheus a dot is an underscore, and unit and `total` are suffixes:
`messaging.process.duration` in seconds is `messaging_process_duration_seconds_bucket`.
"""

from dataclasses import dataclass
from typing import Literal

InstrumentKind = Literal["counter", "histogram", "gauge"]

# Histogram buckets in seconds: for requests, and for tasks of people.
REQUEST_BUCKETS_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 180)
HUMAN_TASK_BUCKETS_S = (
    1,
    5,
    15,
    60,
    300,
    900,
    3600,
    4 * 3600,
    12 * 3600,
    86_400,
    2 * 86_400,
    3 * 86_400,
    5 * 86_400,
    7 * 86_400,
)
COUNT_BUCKETS = (0, 1, 2, 3, 5, 8, 13, 21, 34, 55, 89)
CHARACTER_BUCKETS = (0, 1, 10, 30, 100, 300, 1000, 3000, 10_000)


@dataclass(frozen=True, slots=True)
class Metric:
    """One instrument: name, kind, UCUM unit, description, and the attributes that it may carry."""

    name: str
    kind: InstrumentKind
    unit: str
    description: str
    attributes: tuple[str, ...] = ()
    buckets: tuple[float, ...] | None = None


DEPARTMENT = "countersign.department"
EVENT = "countersign.event"  # last token of the event's subject
STATE = "countersign.case.state"
LEVEL = "countersign.escalation.level"
CHANNEL = "countersign.channel"
OUTCOME = "countersign.outcome"
DOCUMENT = "countersign.document"  # name of a kind of document
CONFIGURATION = "countersign.drafter.configuration"  # first characters of its digest
ROLE = "countersign.knowledge.role"  # live, newest
SOURCE = "countersign.knowledge.source"
VERSION = "countersign.knowledge.version"
DEPENDENCY = "countersign.dependency"
SCOPE = "countersign.nats.scope"  # server, account: whose storage limit it is
SENDER = "countersign.hl7.sender"  # its name in the file of senders
ACKNOWLEDGMENT = "countersign.hl7.acknowledgment"  # MSA-1; none: not asked for; not-stored: the connection was closed
SUBSCRIPTION = "countersign.ehr.subscription"  # its name in the file of Subscriptions; other: not declared there
NOTIFICATION = "countersign.ehr.notification"  # kind: handshake, heartbeat, event-notification, query-status, resource
DOCUMENT = "countersign.document"  # name of a kind of document
DRAFTER_ROLE = "countersign.drafter.role"  # live, canary; of evaluations: candidate, shadow
SIGNAL = "countersign.drafter.signal"  # a figure of decisions: rejected, replaced, changed, contradicted, …
PERIOD = "countersign.drafter.period"  # baseline, recent
STREAM = "messaging.destination.name"
CONSUMER = "messaging.consumer.group.name"
ERROR = "error.type"
MODEL = "gen_ai.request.model"
OPERATION = "gen_ai.operation.name"
LIMIT = "countersign.limit"  # requests, tokens

METRICS = (
    # Messaging, measured by the services
    Metric(
        "messaging.process.duration",
        "histogram",
        "s",
        "one attempt to process a message",
        (STREAM, CONSUMER, ERROR),
        REQUEST_BUCKETS_S,
    ),
    Metric("messaging.client.sent.messages", "counter", "{message}", "messages stored", (STREAM, ERROR)),
    Metric("countersign.consumer.lag", "gauge", "{message}", "not delivered yet (pending)", (STREAM, CONSUMER)),
    Metric("countersign.consumer.unacknowledged", "gauge", "{message}", "delivered, unanswered", (STREAM, CONSUMER)),
    Metric("countersign.redeliveries", "counter", "{message}", "second and later deliveries", (STREAM, CONSUMER)),
    Metric("countersign.dead_letters", "counter", "{message}", "dead-lettered messages", (STREAM, CONSUMER)),
    Metric("countersign.nats.refused", "counter", "{operation}", "permission violations of this user"),
    Metric("countersign.nats.sync_always", "gauge", "", "1: every acknowledged write is on disk first"),
    Metric("countersign.nats.storage.used", "gauge", "", "share of the storage limit that is used", (SCOPE,)),
    Metric("countersign.nats.certificate.left", "gauge", "s", "until NATS's certificate expires; absent without TLS"),
    Metric("countersign.dependency.up", "gauge", "", "1: it answers", (DEPENDENCY,)),
    # granted; refused: a person must act; failed: it may succeed later
    Metric("countersign.ehr.token.requests", "counter", "{request}", "access tokens of the EHR asked for", (OUTCOME,)),
    Metric("countersign.ehr.unauthorized", "counter", "{request}", "refused (401), also with a renewed token"),
    # FHIR notifications and the poll
    Metric(
        "countersign.ehr.notifications", "counter", "{notification}", "FHIR notifications", (SUBSCRIPTION, NOTIFICATION)
    ),
    Metric(
        "countersign.ehr.subscription.silence",
        "gauge",
        "",
        "time since the last notification, as a share of two heartbeats",
        (SUBSCRIPTION,),
    ),
    Metric("countersign.ehr.poll.age", "gauge", "s", "since the last complete poll of the EHR for discharges"),
    # HL7v2 over MLLP
    Metric("countersign.hl7.messages", "counter", "{message}", "by event and answer", (SENDER, EVENT, ACKNOWLEDGMENT)),
    Metric("countersign.hl7.frames.broken", "counter", "{frame}", "broken off, or without a message", (SENDER,)),
    Metric(
        "countersign.hl7.lag",
        "histogram",
        "s",
        "from the event (EVN-2) to its message",
        (SENDER,),
        HUMAN_TASK_BUCKETS_S,
    ),
    Metric(
        "countersign.hl7.silence", "gauge", "", "time since the last message, as a share of `silent_after`", (SENDER,)
    ),
    Metric("countersign.hl7.connections", "gauge", "{connection}", "open connections"),
    Metric("countersign.hl7.refused", "counter", "{connection}", "from an unknown peer, or above the connection limit"),
    # HTTP and model calls
    Metric(
        "http.server.request.duration",
        "histogram",
        "s",
        "requests by route pattern",
        ("http.request.method", "http.route", "http.response.status_code"),
        REQUEST_BUCKETS_S,
    ),
    Metric(
        "http.client.request.duration",
        "histogram",
        "s",
        "requests to the EHR by resource type",
        ("http.request.method", "url.template", "http.response.status_code", ERROR),
        REQUEST_BUCKETS_S,
    ),
    Metric(
        "gen_ai.client.operation.duration",
        "histogram",
        "s",
        "model calls",
        (OPERATION, MODEL, ERROR),
        REQUEST_BUCKETS_S,
    ),
    # Of all drafters together, for the day in UTC; each of them exports the same
    Metric("countersign.endpoint.spent", "gauge", "", "requests and tokens of an endpoint today", (MODEL, LIMIT)),
    Metric("countersign.endpoint.limit", "gauge", "", "what the endpoint may spend a day", (MODEL, LIMIT)),
    # Cases
    Metric("countersign.case.events", "counter", "{event}", "events appended to the event stream", (EVENT, DEPARTMENT)),
    Metric("countersign.cases", "gauge", "{case}", "cases by state", (STATE, DEPARTMENT)),
    Metric("countersign.case.time_to_draft", "histogram", "s", "discharge to draft", (DEPARTMENT,), REQUEST_BUCKETS_S),
    Metric(
        "countersign.case.time_to_signature",
        "histogram",
        "s",
        "discharge to signature",
        (DEPARTMENT,),
        HUMAN_TASK_BUCKETS_S,
    ),
    Metric("countersign.drafts", "counter", "{draft}", "outcomes of drafts", (OUTCOME, CHANNEL, DEPARTMENT)),
    Metric("countersign.draft.sentences", "counter", "{sentence}", "sentences by support", (OUTCOME,)),
    Metric("countersign.draft.unsupported", "histogram", "{sentence}", "per draft", (DEPARTMENT,), COUNT_BUCKETS),
    Metric(
        "countersign.draft.edit_distance",
        "histogram",
        "{character}",
        "draft to signed",
        (DEPARTMENT,),
        CHARACTER_BUCKETS,
    ),
    # every-part, some-parts, no-look (under ten seconds, or no part in view), unknown (API, EHR, no script)
    Metric("countersign.draft.reading", "counter", "{draft}", "signed after how much was seen", (OUTCOME, DEPARTMENT)),
    # useful, edited-much, useless; a rating that takes the place of another is counted, too
    Metric(
        "countersign.draft.ratings",
        "counter",
        "{rating}",
        "ratings of signed drafts by physicians",
        (DOCUMENT, CONFIGURATION, OUTCOME),
    ),
    # Reviews and escalations
    Metric("countersign.review.oldest", "gauge", "s", "age of the oldest open review", (DEPARTMENT, LEVEL)),
    Metric(
        "countersign.review.unescalated", "gauge", "{review}", "past an escalation's due time without an escalation"
    ),
    # held: a person has to release it; waiting: on its way, tried again, or to be transferred by a person
    Metric("countersign.filing.oldest", "gauge", "s", "age of the oldest signature not filed", (DEPARTMENT, STATE)),
    Metric("countersign.escalations", "counter", "{escalation}", "levels reached", (LEVEL, DEPARTMENT)),
    Metric("countersign.notifications", "counter", "{message}", "messages to people", (CHANNEL, OUTCOME)),
    Metric("countersign.trail.verified", "counter", "{event}", "events with a valid link to their predecessor"),
    Metric("countersign.trail.faults", "counter", "{event}", "events with a broken link to their predecessor"),
    # The knowledge base
    Metric(
        "countersign.knowledge.mrr",
        "gauge",
        "",
        "MRR@10 of the live version and of the one evaluated last",
        (VERSION, ROLE),
    ),
    Metric("countersign.knowledge.recall", "gauge", "", "recall@10 of the same", (VERSION, ROLE)),
    Metric("countersign.knowledge.live.version", "gauge", "", "the version that drafts cite"),
    Metric("countersign.knowledge.chunks", "counter", "{chunk}", "embedded or skipped", (OUTCOME, SOURCE)),
    Metric("countersign.knowledge.refreshes", "counter", "{refresh}", "refreshes by outcome", (OUTCOME,)),
    # Drafter configurations
    Metric(
        "countersign.drafter.decisions",
        "counter",
        "{decision}",
        "decisions about drafts, by what they were drafted by",
        (DOCUMENT, DRAFTER_ROLE, OUTCOME),
    ),
    Metric(
        "countersign.drafter.sentences",
        "counter",
        "{sentence}",
        "sentences of signed drafts that the signed text has (kept), or has not (replaced)",
        (DOCUMENT, DRAFTER_ROLE, OUTCOME),
    ),
    Metric(
        "countersign.drafter.answer.sentences",
        "counter",
        "{sentence}",
        "sentences of the model's answer by what the record says, of drafts that were decided",
        (DOCUMENT, DRAFTER_ROLE, OUTCOME),
    ),
    Metric("countersign.drafter.canary.evidence", "gauge", "", "e-value that the canary is worse", (DOCUMENT,)),
    Metric(
        "countersign.drafter.canary.signal",
        "gauge",
        "",
        "means of what was decided about drafts of the canary and the live configuration since it began, from 0 to 1",
        (DOCUMENT, DRAFTER_ROLE, SIGNAL),
    ),
    Metric("countersign.drafter.rollback.age", "gauge", "s", "since a canary was rolled back by itself", (DOCUMENT,)),
    Metric(
        "countersign.drafter.drift",
        "gauge",
        "",
        "test of the live configuration against its baseline: 1 and more is a drift",
        (DOCUMENT, SIGNAL),
    ),
    Metric(
        "countersign.drafter.signal",
        "gauge",
        "",
        "means of what was decided about drafts of the live configuration, from 0 to 1",
        (DOCUMENT, SIGNAL, PERIOD),
    ),
    Metric(
        "countersign.drafter.evaluation.stalled",
        "gauge",
        "s",
        "since a stay of an evaluation was drafted, while others wait; 0: none waits",
        (DOCUMENT, DRAFTER_ROLE),
    ),
    Metric(
        "countersign.drafter.evaluation.waiting",
        "gauge",
        "{stay}",
        "stays that evaluations wait for",
        (DOCUMENT, DRAFTER_ROLE),
    ),
    Metric(
        "countersign.drafter.evaluation.passed",
        "gauge",
        "",
        "1: the evaluation that was completed last, or the shadow so far, passes the gate; 0: it is held back",
        (DOCUMENT, DRAFTER_ROLE),
    ),
)

# Further attributes of spans and log lines.
SPAN_ATTRIBUTES = frozenset(
    {
        "messaging.system",
        "messaging.operation.name",
        "messaging.operation.type",
        "messaging.message.id",
        "countersign.case.id",
        "countersign.attempt",
        "countersign.knowledge.refresh",
        "gen_ai.provider.name",
        "rpc.system",
        "service.name",
        "service.version",
        "service.instance.id",
    }
)
ALLOWED_ATTRIBUTES = SPAN_ATTRIBUTES | {name for metric in METRICS for name in metric.attributes}
