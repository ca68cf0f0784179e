"""Dead letters in their stream: the unresolved ones, and how the others were resolved, by whom and why.

A message in the stream that is not a dead letter is listed as unreadable, and does not hide others.

A resolution is a record of its own, `deadletter.redriven.<n>` or `deadletter.discarded.<n>`, next to the dead letter,
which stays. A reason is an operator's own words and may name a patient in spite of the help text. It is only in the
body of the record, in the stream that stores the messages themselves (encrypted at rest, readable by operators only),
and in no subject, log, event or alert.
"""

import asyncio
import json
import re
from collections.abc import AsyncGenerator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Literal

from shared.contracts import subjects
from shared.contracts.case_values import Actor
from shared.contracts.errors import PermanentError
from shared.messaging.connection import NatsConnection, WrongSequenceError
from shared.messaging.stream_pages import read_stream_pages

STREAM = "DEADLETTER"
PAGE = 1000
SCAN_PAGE = 200  # messages in memory, with their bodies
UNREADABLE = "this is no dead letter of ours and cannot be read: nothing of ours puts one like it here"
Outcome = Literal["redriven", "discarded"]
OUTCOMES: tuple[Outcome, ...] = ("redriven", "discarded")


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A message whose retries are exhausted."""

    sequence: int
    consumer: str
    subject: str
    reason: str
    attempts: int
    stream: str
    state: Literal["waiting"] | Outcome = "waiting"
    by: str | None = None  # who redrove or discarded it, when and why
    at: str | None = None
    why: str | None = None
    failed_at: str | None = None  # when it was stored here, RFC 3339

    @property
    def waits(self) -> bool:
        return self.state == "waiting"

    @property
    def owner(self) -> Literal["ingest", "approval"]:
        """Return the service that redrives it: ingest for its own consumers, approval for all others and every case."""
        of_ingest = self.stream != "DISCHARGE" and self.consumer.startswith("ingest-")
        return "ingest" if of_ingest else "approval"


@dataclass(frozen=True, slots=True)
class Attribution:
    """Who acts on a dead letter, when and why.

    `actor` is who was authenticated, for the event of a case; None where a NATS request states a name only.
    """

    by: str
    why: str
    at: datetime
    actor: Actor | None = None


class UnknownDeadLetterError(PermanentError):
    """There is no dead letter with this sequence."""

    def __init__(self, sequence: int) -> None:
        super().__init__(f"There is no dead letter {sequence}.")


DeadLetters = dict[int, tuple[DeadLetter, bytes, dict[str, str]]]


async def read_all(connection: NatsConnection) -> DeadLetters:
    """Return every dead letter by sequence, with its body and original headers."""
    found: DeadLetters = {}
    settled: dict[int, Resolution] = {}
    async for page in read_stream_pages(connection, STREAM, subjects.DEAD_LETTERS, size=PAGE):
        for message in page:
            headers = dict(message.headers or {})
            sequence = int(headers["Nats-Sequence"])
            if (number := _parse_resolution_subject(headers["Nats-Subject"])) is not None:
                settled[number[1]] = _read_resolution(number[0], message.data)
            else:
                found[sequence] = (_read(sequence, headers), message.data, headers)
    for sequence in settled.keys() & found.keys():
        dead_letter, data, headers = found[sequence]
        found[sequence] = (settled[sequence].of(dead_letter), data, headers)
    return found


async def read_from(
    connection: NatsConnection, start: int
) -> "AsyncGenerator[tuple[int, DeadLetter | ResolvedDeadLetter]]":
    """Yield what is stored from sequence `start` on, in order, each with its sequence; a page in memory at a time."""
    async for page in read_stream_pages(connection, STREAM, subjects.DEAD_LETTERS, start=start, size=SCAN_PAGE):
        for message in page:
            headers = dict(message.headers or {})
            sequence = int(headers["Nats-Sequence"])
            if (record := _parse_resolution_subject(headers["Nats-Subject"])) is None:
                yield sequence, _read(sequence, headers)
            else:
                yield sequence, ResolvedDeadLetter(record[1], _read_resolution(record[0], message.data))


async def read_one(connection: NatsConnection, sequence: int) -> tuple[DeadLetter, bytes, dict[str, str]]:
    """Return one dead letter with its body and headers, without reading the others.

    Raises UnknownDeadLetterError when there is none.
    """
    filters = [subjects.resolution_subject(outcome, sequence) for outcome in OUTCOMES]
    (messages, *records) = await asyncio.gather(
        connection.direct_get(STREAM, {"seq": sequence}),
        *(connection.direct_get(STREAM, {"last_by_subj": subject}) for subject in filters),
    )
    if (
        not messages
        or _parse_resolution_subject((headers := dict(messages[0].headers or {}))["Nats-Subject"]) is not None
    ):
        raise UnknownDeadLetterError(sequence)
    dead_letter = _read(sequence, headers)
    for outcome, record in zip(OUTCOMES, records, strict=True):
        if record:
            dead_letter = _read_resolution(outcome, record[0].data).of(dead_letter)
    return dead_letter, messages[0].data, headers


@dataclass(frozen=True, slots=True)
class Resolution:
    """How a dead letter was resolved, as far as its record can be read: records of earlier versions are empty."""

    outcome: Outcome
    by: str | None = None
    at: str | None = None
    why: str | None = None

    def of(self, dead_letter: DeadLetter) -> DeadLetter:
        return replace(dead_letter, state=self.outcome, by=self.by, at=self.at, why=self.why)


@dataclass(frozen=True, slots=True)
class ResolvedDeadLetter:
    """A record that the dead letter with this sequence was resolved."""

    sequence: int
    resolution: Resolution


def _parse_resolution_subject(subject: str) -> tuple[Outcome, int] | None:
    """Return outcome and dead letter of the record with this subject; None if it is not a record."""
    tokens = subject.split(".")
    outcome = next((item for item in OUTCOMES if len(tokens) == 3 and item == tokens[1]), None)
    return (outcome, int(tokens[2])) if outcome is not None and re.fullmatch(r"[0-9]{1,18}", tokens[2]) else None


def _read_resolution(outcome: Outcome, data: bytes) -> Resolution:
    try:
        record = json.loads(data or b"{}")
        values = [record.get(name) for name in ("by", "at", "why")]
    except (ValueError, AttributeError, RecursionError):
        return Resolution(outcome)
    return Resolution(outcome, *(item if isinstance(item, str) else None for item in values))


def _read(sequence: int, headers: dict[str, str]) -> DeadLetter:
    attempts = headers.get("countersign-attempts", "")
    whole = re.fullmatch(r"[0-9]{1,9}", attempts) is not None and bool(headers.get("countersign-subject"))
    return DeadLetter(
        sequence=sequence,
        consumer=headers["Nats-Subject"].rpartition(".")[2],
        subject=headers.get("countersign-subject", ""),
        reason=headers.get("countersign-reason", "") if whole else UNREADABLE,
        attempts=int(attempts) if whole else 0,
        stream=headers.get("countersign-stream", "") if whole else "",
        failed_at=headers.get("Nats-Time-Stamp"),
    )


def find(dead_letters: DeadLetters, sequence: int) -> tuple[DeadLetter, bytes, dict[str, str]]:
    """Return the dead letter with its body and headers. Raises UnknownDeadLetterError when there is none."""
    if sequence not in dead_letters:
        raise UnknownDeadLetterError(sequence)
    return dead_letters[sequence]


def ensure_unresolved(dead_letter: DeadLetter) -> None:
    """Raise PermanentError when the dead letter was redriven or discarded."""
    if dead_letter.state == "redriven":
        raise PermanentError(f"Dead letter {dead_letter.sequence} was redriven before{_by(dead_letter)}.")
    if dead_letter.state == "discarded":
        raise PermanentError(f"Dead letter {dead_letter.sequence} was discarded before{_by(dead_letter)}.")


def _by(dead_letter: DeadLetter) -> str:
    return f", by {dead_letter.by} at {dead_letter.at}" if dead_letter.by else ""


async def resolve(connection: NatsConnection, sequence: int, outcome: Outcome, attribution: Attribution) -> None:
    """Record how a dead letter was resolved. Only the first call succeeds.

    Raises PermanentError when it was resolved before.
    """
    record = {
        "by": attribution.by,
        "why": attribution.why,
        "at": attribution.at.astimezone(UTC).isoformat(timespec="seconds"),
    }
    headers = {
        "Nats-Expected-Last-Subject-Sequence": "0",
        "Nats-Expected-Last-Subject-Sequence-Subject": subjects.resolution_subject("*", sequence),
    }
    try:
        await connection.publish(
            subjects.resolution_subject(outcome, sequence), json.dumps(record).encode(), stream=STREAM, headers=headers
        )
    except WrongSequenceError:
        raise PermanentError(
            f"Dead letter {sequence} has just been resolved by somebody else: show it again."
        ) from None
