"""The channels of the bus: every kind of subject, in which stream it is kept, and what its messages carry.

Who sends and who receives follows from rights and consumers. FastStream makes the AsyncAPI document of it: asyncapi.py.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import cache
from typing import Any, get_args

from shared.contracts import subjects
from shared.contracts.access_log import AccessLogEvent
from shared.contracts.drafters import DRAFTER_EVENT_TYPES
from shared.contracts.envelope import CHAINED_HEADERS, TYPE_PREFIX
from shared.contracts.evaluations import EVALUATION_EVENT_TYPES, NUMBERED_EVALUATION_EVENTS
from shared.contracts.events import EVENT_TYPES, name_of
from shared.contracts.model import Model
from shared.contracts.refresh import BATCH_EVENTS, REFRESH_EVENT_TYPES
from shared.contracts.subjects import subject_matches
from shared.messaging.permissions import permissions
from shared.messaging.topology import DAY, STREAMS
from shared.messaging.topology_model import Consumer

Json = dict[str, Any]

EHR_FACTS = ("discharged", "discharge-cancelled", "discharge-pending", "discharge-pending-cancelled")
CASE_HEADERS = ("ce-specversion", *CHAINED_HEADERS, "traceparent")
REFRESH_HEADERS = ("ce-specversion", *(name for name in CHAINED_HEADERS if name != "ce-prevdigest"))
OBJECT = {"type": "object"}
IDS_AND_FIGURES = {"type": "object", "additionalProperties": {"type": ["string", "integer"]}}

PARAMETERS = {
    "department": "subject token of the department, e.g. internal-medicine",
    "case": "case id (UUIDv5 of organization and encounter)",
    "encounter": "FHIR logical id; dots written as %2E",
    "task": "FHIR logical id; dots written as %2E",
    "appointment": "FHIR logical id; dots written as %2E",
    "event": "trigger event in lower case, such as a03",
    "digest": "of the visit number: first 32 hex digits of its SHA-256",
    "of": "tasks, checkpoint, retention or preparations; encounters for the poll of the EHR",
    "document": "name of a kind of document, e.g. discharge-summary",
    "source": "name of the source of the knowledge base, or all",
    "refresh": "id of the refresh",
    "number": "of the batch, of the stay of an evaluation, or version of an evaluation set; 1 for the first",
    "evaluation": "id of the evaluation, or of the evaluation set",
    "window": "all",
    "level": "1, 2 or 3",
    "escalation": "id of the escalated event",
    "channel": "key of a channel in the directory",
    "webhook": "id of the webhook",
    "delivery": "id of the delivery: header webhook-id of what is posted",
    "severity": "info, warning or critical",
    "kind": "what the alert is about",
    "service": "service that gave up",
    "consumer": "durable consumer that gave up",
    "letter": "sequence of the dead letter",
}


@dataclass(frozen=True, slots=True)
class ChannelMessage:
    """What a channel carries. `schema` is the name of a file in shared/contracts/json, where `payload` is none."""

    summary: str
    name: str = ""
    schema: str = ""
    payload: Json = field(default_factory=dict)
    headers: tuple[str, ...] = ()  # their names; those of CloudEvents are all required but for `ce-prevdigest`


@dataclass(frozen=True, slots=True)
class Channel:
    """A kind of subject. `address` has its tokens in braces: `discharge.{department}.{case}.filed`."""

    name: str
    address: str
    stream: str
    message: ChannelMessage

    @property
    def parameters(self) -> tuple[str, ...]:
        return tuple(token[1:-1] for token in self.address.split(".") if token.startswith("{"))

    @property
    def pattern(self) -> str:
        """Return the address as a filter: `discharge.*.*.filed`."""
        return ".".join("*" if token.startswith("{") else token for token in self.address.split("."))

    @property
    def description(self) -> str:
        age = next(item.max_age for item in STREAMS if item.name == self.stream)
        return f"Stream {self.stream}, kept {f'for {age / DAY:g} days' if age else 'for ever'}."


@cache
def sent_by(service: str) -> tuple[Channel, ...]:
    """Return what a service may publish by its permissions: a whole channel or, for dead letters, its part."""
    rights = permissions(service).publish
    return tuple(item for item in CHANNELS if any(_contains(right, item.pattern) for right in rights))


def _contains(one: str, other: str) -> bool:
    """Return whether one of two filters takes all of the other."""
    return subject_matches(one, other) or subject_matches(other, one)


def received_by(consumer: Consumer) -> tuple[Channel, ...]:
    """Return what a consumer receives, by its filters."""
    return tuple(item for item in CHANNELS if any(subject_matches(name, item.pattern) for name in consumer.subjects))


def _summary(kind: type[Model]) -> str:
    return (kind.__doc__ or "").strip().splitlines()[0]


def _case_channels() -> list[Channel]:
    found = []
    for kind in EVENT_TYPES:
        name = name_of(kind)
        message = ChannelMessage(_summary(kind), f"{TYPE_PREFIX}{name}.v1", f"{name}.v1.json", headers=CASE_HEADERS)
        found.append(
            Channel(f"case-{name}", subjects.CaseRef("{department}", "{case}").subject(name), "DISCHARGE", message)
        )
    return found


def _ehr_channels() -> list[Channel]:
    encounter = "What an EHR says happened to an encounter. An integration engine may publish it directly."
    fact = ChannelMessage(encounter, schema="ehr-encounter-fact.v1.json")
    return [
        *(
            Channel(f"ehr-{name}", subjects.encounter_subject(name, "{department}", "{encounter}"), "EHR", fact)
            for name in EHR_FACTS
        ),
        _ehr_channel(
            "encounter-updated",
            subjects.updated_subject("encounter", "{encounter}"),
            "encounter-changed",
            "An Encounter in the EHR has changed: a notification or the poll named it, and its content decides.",
        ),
        _ehr_channel(
            "appointment-updated",
            subjects.updated_subject("appointment", "{appointment}"),
            "appointment-changed",
            "An Appointment in the EHR has changed: it may plan a discharge, which its content decides.",
        ),
        _ehr_channel(
            "visit",
            subjects.visit_subject("{event}", "{digest}"),
            "visit-fact",
            "What an ADT message said happened to a visit. Which Encounter that is, is found out afterwards.",
        ),
        _ehr_channel(
            "task-updated",
            subjects.updated_subject("task", "{task}"),
            "task-fact",
            "A Task in the EHR has changed. An integration engine may publish it directly.",
        ),
        _ehr_channel(
            "reimport",
            subjects.reimport_subject("{case}"),
            "reimport",
            "After a restore somebody wants taken over from the chart what was signed since the backup.",
        ),
    ]


def _ehr_channel(name: str, address: str, schema: str, summary: str) -> Channel:
    return Channel(f"ehr-{name}", address, "EHR", ChannelMessage(summary, schema=f"ehr-{schema}.v1.json"))


def _event_channels(
    of: str, stream: str, kinds: Iterable[type[Model]], headers: tuple[str, ...], address: Callable[[type[Model]], str]
) -> list[Channel]:
    """Return the channels of the events of a log; `of` begins their types and the names of their schemas."""
    found = []
    for kind in kinds:
        name = name_of(kind)
        message = ChannelMessage(_summary(kind), f"countersign.{of}.{name}.v1", f"{of}-{name}.v1.json", headers=headers)
        found.append(Channel(f"{of}-{name}", address(kind), stream, message))
    return found


def _refresh_address(kind: type[Model]) -> str:
    number = "{number}" if kind in BATCH_EVENTS else None
    return subjects.knowledge_subject("{source}", "{refresh}", name_of(kind), number)


def _drafter_address(kind: type[Model]) -> str:
    return subjects.drafter_subject("{document}", name_of(kind))


def _evaluation_address(kind: type[Model]) -> str:
    number = "{number}" if kind in NUMBERED_EVALUATION_EVENTS else None
    return subjects.evaluation_subject("{evaluation}", name_of(kind), number)


def _timer_channels() -> list[Channel]:
    message = ChannelMessage("A timer (ADR-51 of NATS): empty, its facts are headers.")
    pairs = {
        ("refresh", "REFRESH_TIMERS"): subjects.refresh_timer_subjects("{source}"),
        ("again", "REFRESH_TIMERS"): subjects.retry_timer_subjects("{refresh}"),
        ("peak", "REFRESH_TIMERS"): subjects.peak_timer_subjects("{window}"),
        ("poll", "REFRESH_TIMERS"): subjects.poll_timer_subjects("{of}"),
        ("census", "REFRESH_TIMERS"): subjects.census_timer_subjects("{department}"),
        ("timer", "TIMERS"): (
            subjects.timer_subject("{case}", "{level}"),
            subjects.due_subject("{case}", "{level}"),
        ),
        ("reconcile", "TIMERS"): subjects.reconcile_subjects("{of}"),
    }
    return [
        Channel(f"{name}-{state}", address, stream, message)
        for (name, stream), pair in pairs.items()
        for state, address in zip(("set", "due"), pair, strict=True)
    ]


def _notification_channels() -> list[Channel]:
    place = ("{case}", "{escalation}", "{channel}")
    notice = ChannelMessage(
        "A message about an escalation for one channel. Ids, level and time; no address.", payload=IDS_AND_FIGURES
    )
    sent = ChannelMessage("The message was sent to its channel.", payload=IDS_AND_FIGURES)
    delivery = ChannelMessage(
        "A case event on its way to a webhook. Ids, names and a time; no address.", payload=OBJECT
    )
    attempt = ChannelMessage("An attempt to post a delivery: its outcome, status and duration.", payload=OBJECT)
    webhook = ("{webhook}", "{delivery}")
    return [
        Channel("notice", subjects.notification_subject(*place), "NOTIFY", notice),
        Channel("notice-sent", subjects.receipt_subject(*place), "NOTIFY", sent),
        Channel("webhook-delivery", subjects.webhook_delivery_subject(*webhook), "NOTIFY", delivery),
        Channel("webhook-attempt", subjects.webhook_attempt_subject(*webhook), "NOTIFY", attempt),
    ]


def _access_channels() -> list[Channel]:
    message = ChannelMessage(
        "Who looked at a draft, signed in, was refused: ids, role and time.",
        payload={"type": "object", "additionalProperties": {"type": ["string", "null"]}},
    )
    return [
        Channel(f"access-{entry}", subjects.access_subject(entry, "{case}"), "ACCESS", message)
        for entry in get_args(AccessLogEvent)
    ]


def _alert_channels() -> list[Channel]:
    message = ChannelMessage(
        "Something a person should look at: ids, names of steps and figures.", payload=IDS_AND_FIGURES
    )
    return [Channel("alert", subjects.alert_subject("{severity}", "{kind}"), "ALERTS", message)]


def _dead_letter_channels() -> list[Channel]:
    letter = ChannelMessage("A message whose retries are exhausted, complete, with the reason as a header.")
    resolved = ChannelMessage(
        "An operator dealt with a dead letter: who, when, and why in the operator's own words.",
        payload={"type": "object", "additionalProperties": {"type": "string"}},
    )
    return [
        Channel("deadletter", subjects.dead_letter_subject("{service}", "{consumer}"), "DEADLETTER", letter),
        *(
            Channel(f"deadletter-{outcome}", subjects.resolution_subject(outcome, "{letter}"), "DEADLETTER", resolved)
            for outcome in ("redriven", "discarded")
        ),
    ]


CHANNELS: tuple[Channel, ...] = (
    *_case_channels(),
    *_ehr_channels(),
    *_event_channels("knowledge", "KNOWLEDGE", REFRESH_EVENT_TYPES, REFRESH_HEADERS, _refresh_address),
    *_event_channels("drafters", "DRAFTERS", DRAFTER_EVENT_TYPES, CASE_HEADERS, _drafter_address),
    *_event_channels("evaluations", "EVALUATIONS", EVALUATION_EVENT_TYPES, REFRESH_HEADERS, _evaluation_address),
    *_timer_channels(),
    *_notification_channels(),
    *_access_channels(),
    *_alert_channels(),
    *_dead_letter_channels(),
)
