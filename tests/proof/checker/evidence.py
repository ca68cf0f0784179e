"""What the checker looks at, and what it finds. Pure."""

import base64
import hashlib
import json
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from typing import Any

Entry = Mapping[str, Any]  # a line of the journal
Resource = dict[str, Any]  # FHIR

TRAIL, LOOKS, LETTERS, ALERTS = "DISCHARGE", "ACCESS", "DEADLETTER", "ALERTS"


@dataclass(frozen=True, slots=True)
class Message:
    """A message as it stands in a stream."""

    stream: str
    sequence: int
    subject: str
    headers: Mapping[str, str]
    data: bytes

    @property
    def body(self) -> dict[str, Any]:
        """Empty where it is no JSON object."""
        try:
            found = json.loads(self.data or b"{}")
        except ValueError:
            return {}
        return found if isinstance(found, dict) else {}


@dataclass(frozen=True, slots=True)
class Event:
    """An event of a case, as its subject and its body say."""

    message: Message
    case: str
    department: str
    name: str
    body: Mapping[str, Any]

    @property
    def time(self) -> datetime:
        return datetime.fromisoformat(self.message.headers["ce-time"])

    @property
    def digest(self) -> str:
        return digest_of(self.message)


@dataclass(frozen=True, slots=True)
class Violation:
    """Something that must not be. `rule` is which of the checker's rules says so."""

    rule: str
    case: str
    what: str

    def __str__(self) -> str:
        return f"{self.rule}: {self.case or '-'}: {self.what}"


@dataclass
class Evidence:
    """`said`: name → text of logs and whatever else was written beside the streams; `marks`: words that stand in the
    records of the cases' patients and in what physicians write, and nowhere else.
    """

    journal: Sequence[Entry] = ()
    streams: Mapping[str, Sequence[Message]] = field(default_factory=dict)
    chart: Mapping[str, Sequence[Resource]] = field(default_factory=dict)
    said: Mapping[str, Iterable[str]] = field(default_factory=dict)
    marks: Sequence[str] = ()
    gone: Mapping[str, int] = field(default_factory=dict)  # stream → messages that are missing in it
    unread: Sequence[str] = ()  # what could not be looked at
    slack: float = 20.0  # seconds that an escalation may take while nothing is hurt
    # And after something was: a wait between two attempts (topology.py), and two minutes until lost timers are sought.
    recovery: float = 200.0

    @cached_property
    def cases(self) -> Mapping[str, list[Event]]:
        """The events of each case, in the order of the trail."""
        found: defaultdict[str, list[Event]] = defaultdict(list)
        for message in self.streams.get(TRAIL, ()):
            tokens = message.subject.split(".")
            if len(tokens) == 4:
                found[tokens[2]].append(Event(message, tokens[2], tokens[1], tokens[3], message.body))
        return found

    @cached_property
    def documents(self) -> Mapping[str, list[Resource]]:
        """Documents of ours in the chart, by the case that their identifier names."""
        found: defaultdict[str, list[Resource]] = defaultdict(list)
        for item in self.chart.get("DocumentReference", ()):
            if (value := own_identifier(item, "/document")) is not None:
                found[value.partition("/")[0]].append(item)
        return found

    @cached_property
    def provenances(self) -> Mapping[str, list[Resource]]:
        """By the document that each is about."""
        found: defaultdict[str, list[Resource]] = defaultdict(list)
        for item in self.chart.get("Provenance", ()):
            for target in item.get("target") or ():
                found["/".join(str(target.get("reference", "")).split("/")[-2:])].append(item)
        return found

    def entries(self, kind: str) -> Iterator[Entry]:
        return (entry for entry in self.journal if entry["kind"] == kind)

    @cached_property
    def decisions(self) -> Mapping[str, list[Entry]]:
        """What clients sent about each case."""
        found: defaultdict[str, list[Entry]] = defaultdict(list)
        for entry in self.entries("decision"):
            found[str(entry["case"])].append(entry)
        return found

    @cached_property
    def told(self) -> frozenset[str]:
        """Cases of which an alert or a dead letter tells a person."""
        alerts = (str(item.body.get("case", "")) for item in self.streams.get(ALERTS, ()))
        letters = (item.headers.get("countersign-subject", "") for item in self.streams.get(LETTERS, ()))
        named = (subject.split(".")[2] for subject in letters if subject.startswith("discharge."))
        return frozenset((*alerts, *named)) - {""}


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def encounter_of(events: Iterable[Event]) -> str:
    """The encounter that a case is about; empty where no event says so."""
    return next((str(found) for event in events if (found := event.body.get("encounter_id"))), "")


def text_of(document: Resource) -> str:
    """The plain text that a document holds; empty where it holds none."""
    for content in document.get("content") or ():
        attachment: Mapping[str, Any] = content.get("attachment") or {}
        if str(attachment.get("contentType", "")).startswith("text/plain"):
            return base64.b64decode(str(attachment.get("data", ""))).decode(errors="replace")
    return ""


CHAINED = ("ce-id", "ce-type", "ce-source", "ce-time", "ce-subject", "ce-prevdigest")


def digest_of(message: Message) -> str:
    """An event's digest, as docs/explanation/architecture.md says it is made."""
    attributes = "\n".join(message.headers.get(name, "") for name in CHAINED)
    return sha256(attributes.encode() + b"\n\n" + message.data)


def own_identifier(resource: Resource, ending: str) -> str | None:
    """The value of the resource's identifier whose system is one of ours that ends so."""
    for item in resource.get("identifier") or ():
        system = str(item.get("system", ""))
        if system.startswith("https://countersign.example/fhir") and system.endswith(ending):
            return str(item.get("value", ""))
    return None
