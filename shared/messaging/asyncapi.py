"""Writes the bus as an AsyncAPI 3 document to `docs/asyncapi.json`; a test holds it to the topology.

Made from the topology itself and not from one service's subscribers: merging several services' documents loses
channels of the same name. https://www.asyncapi.com/docs/reference/specification/v3.0.0
"""

import json
from pathlib import Path
from typing import Any, get_args

from shared.contracts.access_log import AccessLogEvent
from shared.contracts.envelope import CHAINED_HEADERS, TYPE_PREFIX
from shared.contracts.events import EVENT_TYPES
from shared.contracts.refresh import REFRESH_EVENT_TYPES
from shared.messaging.rights import permissions
from shared.messaging.topology import CONSUMERS, DAY, SERVICES, STREAMS

FILE = Path(__file__).parents[2] / "docs" / "asyncapi.json"
SCHEMAS = "../shared/contracts/json"
TIMERS = {"refresh": "source", "again": "refresh", "peak": "window"}  # of the knowledge base
EHR_FACTS = ("discharged", "discharge-cancelled")

Json = dict[str, Any]


def generate() -> Json:
    """The whole document."""
    channels = _channels()
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "Countersign",
            "version": "1.0.0",
            "description": "Every subject of the bus: who sends, who receives, what it carries. NATS JetStream.",
            "license": {"name": "Apache-2.0"},
        },
        "defaultContentType": "application/json",
        "servers": {
            "nats": {
                "host": "localhost:4222",
                "protocol": "nats",
                "pathname": "/",
                "description": "nkey users, JetStream",
            }
        },
        "channels": channels,
        "operations": _operations(channels),
        "components": {
            "messages": _messages(),
            "schemas": {"headers": _headers(), "refresh-headers": _refresh_headers()},
        },
    }


def _channels() -> Json:
    found: Json = {}
    for name in _event_names():
        found[f"case-{name}"] = _channel(f"discharge.{{department}}.{{case}}.{name}", "DISCHARGE", f"case-{name}")
    for fact in EHR_FACTS:
        found[f"ehr-{fact}"] = _channel(f"ehr.encounter.{fact}.{{department}}.{{encounter}}", "EHR", "ehr-fact")
    found["ehr-task-updated"] = _channel("ehr.task.updated.{task}", "EHR", "ehr-task-fact")
    found["ehr-reimport"] = _channel("ehr.reimport.{case}", "EHR", "ehr-reimport")
    for name in _refresh_names():
        number = ".{number}" if name.startswith("batch-") else ""
        address = f"knowledge.{{source}}.{{refresh}}.{name}{number}"
        found[f"knowledge-{name}"] = _channel(address, "KNOWLEDGE", f"knowledge-{name}")
    for kind, token in TIMERS.items():
        found[f"{kind}-set"] = _channel(f"timers.{kind}.{{{token}}}", "REFRESH_TIMERS", "timer")
        found[f"{kind}-due"] = _channel(f"timers.due.{kind}.{{{token}}}", "REFRESH_TIMERS", "timer")
    found["timer-set"] = _channel("timers.escalation.{case}.{level}", "TIMERS", "timer")
    found["timer-due"] = _channel("timers.due.escalation.{case}.{level}", "TIMERS", "timer")
    found["notice"] = _channel("notify.{case}.{escalation}.{channel}", "NOTIFY", "notice")
    found["notice-sent"] = _channel("notified.{case}.{escalation}.{channel}", "NOTIFY", "receipt")
    found["reconcile-set"] = _channel("timers.reconcile.{of}", "TIMERS", "timer")
    found["reconcile-due"] = _channel("timers.due.reconcile.{of}", "TIMERS", "timer")
    for entry in get_args(AccessLogEvent):
        found[f"access-{entry}"] = _channel(f"access.{entry}.{{case}}", "ACCESS", "access")
    found["alert"] = _channel("alert.{severity}.{kind}", "ALERTS", "alert")
    found["deadletter"] = _channel("deadletter.{service}.{consumer}", "DEADLETTER", "deadletter")
    for outcome in ("redriven", "discarded"):
        found[f"deadletter-{outcome}"] = _channel(f"deadletter.{outcome}.{{letter}}", "DEADLETTER", "deed")
    return found


def _event_names() -> list[str]:
    return [kind.model_fields["event"].default for kind in EVENT_TYPES]


def _refresh_names() -> list[str]:
    return [kind.model_fields["event"].default for kind in REFRESH_EVENT_TYPES]


def _channel(address: str, stream: str, message: str) -> Json:
    names = [token[1:-1] for token in address.split(".") if token.startswith("{")]
    age = next(item.max_age for item in STREAMS if item.name == stream)
    kept = f"for {age / DAY:g} days" if age else "for ever"
    return {
        "address": address,
        "description": f"Stream {stream}, kept {kept}.",
        "parameters": {name: {"description": _PARAMETERS[name]} for name in names},
        "messages": {message: {"$ref": f"#/components/messages/{message}"}},
    }


_PARAMETERS = {
    "department": "subject token of the department, e.g. internal-medicine",
    "case": "case id (UUIDv5 of organization and encounter)",
    "encounter": "FHIR logical id; dots written as %2E",
    "task": "FHIR logical id; dots written as %2E",
    "of": "tasks",
    "source": "name of the source of the knowledge base, or all",
    "refresh": "id of the refresh",
    "number": "of the batch, 1 for the first",
    "window": "all",
    "level": "1, 2 or 3",
    "escalation": "id of the escalated event",
    "channel": "key of a channel in the directory",
    "severity": "info, warning or critical",
    "kind": "what the alert is about",
    "service": "service that gave up",
    "consumer": "durable consumer that gave up",
    "letter": "sequence of the dead letter",
}


def _operations(channels: Json) -> Json:
    found: Json = {}
    for service in SERVICES:
        rights = permissions(service).publish
        for name, channel in channels.items():
            if any(_covers(right, _pattern(channel["address"])) for right in rights):
                found[f"{service}-sends-{name}"] = _operation("send", name)
    for consumer in CONSUMERS:
        for name, channel in channels.items():
            if any(_covers(subject, _pattern(channel["address"])) for subject in consumer.subjects):
                found[f"{consumer.name}-receives-{name}"] = _operation("receive", name)
    return found


def _operation(action: str, channel: str) -> Json:
    return {"action": action, "channel": {"$ref": f"#/channels/{channel}"}}


def _pattern(address: str) -> str:
    return ".".join("*" if token.startswith("{") else token for token in address.split("."))


def _covers(right: str, subject: str) -> bool:
    """Whether every subject of the pattern `subject` is within `right`."""
    wanted, given = right.split("."), subject.split(".")
    if wanted[-1] == ">":
        wanted, given = wanted[:-1], given[: len(wanted) - 1]
    return len(wanted) == len(given) and all(a in ("*", b) for a, b in zip(wanted, given, strict=True))


def _messages() -> Json:
    headers = {"$ref": "#/components/schemas/headers"}
    found: Json = {
        f"case-{kind.model_fields['event'].default}": {
            "name": f"{TYPE_PREFIX}{kind.model_fields['event'].default}.v1",
            "summary": (kind.__doc__ or "").strip().splitlines()[0],
            "headers": headers,
            "payload": {"$ref": f"{SCHEMAS}/{kind.model_fields['event'].default}.v1.json"},
        }
        for kind in EVENT_TYPES
    }
    found |= {
        f"knowledge-{kind.model_fields['event'].default}": {
            "name": f"countersign.knowledge.{kind.model_fields['event'].default}.v1",
            "summary": (kind.__doc__ or "").strip().splitlines()[0],
            "headers": {"$ref": "#/components/schemas/refresh-headers"},
            "payload": {"$ref": f"{SCHEMAS}/knowledge-{kind.model_fields['event'].default}.v1.json"},
        }
        for kind in REFRESH_EVENT_TYPES
    }
    return found | {
        "ehr-fact": {
            "summary": "What an EHR says happened to an encounter. An integration engine may publish it directly.",
            "payload": {"$ref": f"{SCHEMAS}/ehr-encounter-fact.v1.json"},
        },
        "ehr-task-fact": {
            "summary": "A Task in the EHR has changed. An integration engine may publish it directly.",
            "payload": {"$ref": f"{SCHEMAS}/ehr-task-fact.v1.json"},
        },
        "ehr-reimport": {
            "summary": "After a restore somebody wants taken over from the chart what was signed since the backup.",
            "payload": {"$ref": f"{SCHEMAS}/ehr-reimport.v1.json"},
        },
        "timer": {"summary": "A timer (ADR-51 of NATS): empty, its facts are headers.", "payload": {}},
        "notice": {
            "summary": "A message about an escalation for one channel. Ids, level and time; no address.",
            "payload": {"type": "object", "additionalProperties": {"type": ["string", "integer"]}},
        },
        "receipt": {
            "summary": "The message was sent to its channel.",
            "payload": {"type": "object", "additionalProperties": {"type": ["string", "integer"]}},
        },
        "access": {
            "summary": "Who looked at a draft, signed in, was refused: ids, role and time.",
            "payload": {"type": "object", "additionalProperties": {"type": ["string", "null"]}},
        },
        "alert": {
            "summary": "Something a person should look at: ids, names of steps and figures.",
            "payload": {"type": "object", "additionalProperties": {"type": ["string", "integer"]}},
        },
        "deadletter": {"summary": "A message that no retry mended, whole, its reason as a header.", "payload": {}},
        "deed": {
            "summary": "An operator dealt with a dead letter: who, when, and why in the operator's own words.",
            "payload": {"type": "object", "additionalProperties": {"type": "string"}},
        },
    }


def _headers() -> Json:
    names = [name for name in CHAINED_HEADERS if name != "ce-prevdigest"]
    return {
        "type": "object",
        "description": "CloudEvents 1.0 in binary mode. ce-prevdigest is the digest of the case's event before.",
        "required": ["ce-specversion", *names],
        "properties": {name: {"type": "string"} for name in ("ce-specversion", *CHAINED_HEADERS, "traceparent")},
    }


def _refresh_headers() -> Json:
    names = ("ce-specversion", *(name for name in CHAINED_HEADERS if name != "ce-prevdigest"))
    return {
        "type": "object",
        "description": "CloudEvents 1.0 in binary mode.",
        "required": list(names),
        "properties": {name: {"type": "string"} for name in names},
    }


def main() -> None:
    FILE.write_text(json.dumps(generate(), indent=1) + "\n")


if __name__ == "__main__":
    main()
