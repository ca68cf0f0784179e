"""Envelope of an event: CloudEvents attributes as NATS headers, the event as JSON, chained by digest."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from pydantic import ValidationError

from shared.contracts.cloudevents import event_headers
from shared.contracts.corrections import Addended, Amended, Retracted, RetractionRequested
from shared.contracts.errors import PermanentError, TransientError
from shared.contracts.events import (
    CASE_EVENT_ADAPTER,
    EVENT_TYPES,
    Approved,
    CaseEvent,
    Reassigned,
    Reimported,
    Rejected,
    Retried,
    Withdrawn,
)
from shared.contracts.ratings import Rated
from shared.contracts.retention import ErasureOrdered, HoldPlaced, HoldReleased
from shared.contracts.subjects import CaseRef, parse_case_subject

TYPE_PREFIX = "countersign.discharge."
EVENT_NAMES = frozenset(kind.model_fields["event"].default for kind in EVENT_TYPES)
EVENTS_BY_PEOPLE = (
    Addended,
    Amended,
    Approved,
    ErasureOrdered,
    HoldPlaced,
    HoldReleased,
    Rated,
    Reassigned,
    Reimported,
    Rejected,
    Retracted,
    RetractionRequested,
    Retried,
    Withdrawn,
)
CHAINED_HEADERS = ("ce-id", "ce-type", "ce-source", "ce-time", "ce-subject", "ce-prevdigest")


@dataclass(frozen=True, slots=True)
class ChainHead:
    """The end of a case's chain, which the next event must follow."""

    sequence: int  # stream sequence of the case's last event; 0 before the first
    digest: str  # of that event; empty before the first


CHAIN_START = ChainHead(0, "")


@dataclass(frozen=True, slots=True)
class RecordedEvent:
    """An event as it is stored in the DISCHARGE stream."""

    case: CaseRef
    id: str
    source: str
    time: datetime
    prevdigest: str
    body: CaseEvent
    head: ChainHead  # its own sequence and digest
    traceparent: str | None = None

    @property
    def name(self) -> str:
        return self.body.event

    @property
    def actor(self) -> str:
        """Return who acted: the person's subject where there is one, else the service."""
        by = self.body.by if isinstance(self.body, EVENTS_BY_PEOPLE) else None  # the EHR may have withdrawn a case
        return by.subject if by is not None else self.source.rpartition("/")[2]


def sha256_hex(data: bytes) -> str:
    """Return the SHA-256 in lower-case hex."""
    return hashlib.sha256(data).hexdigest()


def chain_digest(headers: Mapping[str, str], data: bytes) -> str:
    """Return the digest of an event: over its CloudEvents attributes, the digest before it, and its stored body.

    Header values hold no newline, so the joined form is unambiguous.
    """
    attributes = "\n".join(headers.get(name, "") for name in CHAINED_HEADERS)
    return sha256_hex(attributes.encode() + b"\n\n" + data)


def encode(
    case: CaseRef,
    event: CaseEvent,
    *,
    id: str,
    source: str,
    time: datetime,
    after: ChainHead,
    traceparent: str | None = None,
) -> tuple[dict[str, str], bytes]:
    """Return the headers and body of a new event that follows `after`."""
    headers = event_headers(
        id=id,
        type=f"{TYPE_PREFIX}{event.event}.v{event.version}",
        source=source,
        time=time,
        subject=f"{case.department}/{case.id}",
    )
    if after.digest:
        headers["ce-prevdigest"] = after.digest
    if traceparent:
        headers["traceparent"] = traceparent
    return headers, event.model_dump_json(exclude_none=True).encode()


def decode(subject: str, headers: Mapping[str, str], data: bytes, sequence: int) -> RecordedEvent:
    """Return the event of one stored message. Fields that a newer version has added are ignored.

    Raises TransientError for an event that only a newer version knows, as one of its processes will read it. Raises
    PermanentError when headers, subject or body break the contract.
    """
    case, name = parse_case_subject(subject)
    if name not in EVENT_NAMES:
        raise TransientError(f"{name} is an event of a newer version than this process")
    try:
        body = CASE_EVENT_ADAPTER.validate_json(data, extra="ignore")
        time = datetime.fromisoformat(headers["ce-time"])
        id, source = headers["ce-id"], headers["ce-source"]
    except (ValidationError, KeyError, ValueError) as error:
        raise PermanentError(f"a {name} message breaks the contract ({type(error).__name__})") from None
    if time.tzinfo is None:
        raise PermanentError(f"a {name} message has a time without an offset")
    if body.event != name or headers.get("ce-subject") != f"{case.department}/{case.id}":
        raise PermanentError(f"a {name} message has a ce-subject other than its subject")
    return RecordedEvent(
        case=case,
        id=id,
        source=source,
        time=time,
        prevdigest=headers.get("ce-prevdigest", ""),
        body=body,
        head=ChainHead(sequence, chain_digest(headers, data)),
        traceparent=headers.get("traceparent"),
    )
