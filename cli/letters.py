"""Dead letters as they stand in their stream: what waits, and what was done about the others, by whom and why.

What was done is a record of its own, `deadletter.redriven.<n>` or `deadletter.discarded.<n>`, beside the letter, which
stays. A reason is an operator's own words and may name a patient in spite of the help text: it is in the record's body,
in the stream that holds the messages themselves, encrypted at rest and readable by operators only; it is in no subject,
log, event or alert.
"""

import json
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Literal

from cli.errors import CommandError
from shared.messaging.connection import Bus, WrongSequenceError
from shared.messaging.pages import pages

STREAM = "DEADLETTER"
PAGE = 1000
Outcome = Literal["redriven", "discarded"]
OUTCOMES: tuple[Outcome, ...] = ("redriven", "discarded")


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """One message that no retry mended."""

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

    @property
    def waits(self) -> bool:
        return self.state == "waiting"


@dataclass(frozen=True, slots=True)
class Deed:
    """Who does something about a dead letter, when and why."""

    by: str
    why: str
    at: datetime


Letters = dict[int, tuple[DeadLetter, bytes, dict[str, str]]]


async def read_all(connection: Bus) -> Letters:
    """Every dead letter by sequence, with its body and the headers it came with."""
    found: Letters = {}
    settled: dict[int, tuple[Outcome, dict[str, str]]] = {}
    async for page in pages(connection, STREAM, "deadletter.>", size=PAGE):
        for message in page:
            headers = dict(message.headers or {})
            sequence = int(headers["Nats-Sequence"])
            _, kind, last = headers["Nats-Subject"].split(".")
            outcome = next((item for item in OUTCOMES if item == kind), None)
            if outcome is not None:
                settled[int(last)] = outcome, json.loads(message.data or b"{}")  # records of earlier versions are empty
            else:
                found[sequence] = (_read(sequence, headers), message.data, headers)
    for sequence in settled.keys() & found.keys():
        outcome, record = settled[sequence]
        letter, data, headers = found[sequence]
        done = replace(letter, state=outcome, by=record.get("by"), at=record.get("at"), why=record.get("why"))
        found[sequence] = (done, data, headers)
    return found


def _read(sequence: int, headers: dict[str, str]) -> DeadLetter:
    return DeadLetter(
        sequence=sequence,
        consumer=headers["Nats-Subject"].rpartition(".")[2],
        subject=headers.get("countersign-subject", ""),
        reason=headers.get("countersign-reason", ""),
        attempts=int(headers.get("countersign-attempts", "0")),
        stream=headers.get("countersign-stream", ""),
    )


def find(letters: Letters, sequence: int) -> tuple[DeadLetter, bytes, dict[str, str]]:
    """The letter with its body and headers. Raises CommandError when there is none."""
    if sequence not in letters:
        raise CommandError(f"There is no dead letter {sequence}.")
    return letters[sequence]


def must_wait(letter: DeadLetter) -> None:
    """Raises CommandError when somebody has dealt with it."""
    if letter.state == "redriven":
        raise CommandError(f"Dead letter {letter.sequence} was put back to work before{_by(letter)}.")
    if letter.state == "discarded":
        raise CommandError(f"Dead letter {letter.sequence} was discarded before{_by(letter)}.")


def _by(letter: DeadLetter) -> str:
    return f", by {letter.by} at {letter.at}" if letter.by else ""


async def settle(connection: Bus, sequence: int, outcome: Outcome, deed: Deed) -> None:
    """Record what was done about a letter: once, however many try.

    Raises CommandError when somebody else was first.
    """
    record = {"by": deed.by, "why": deed.why, "at": deed.at.astimezone(UTC).isoformat(timespec="seconds")}
    headers = {
        "Nats-Expected-Last-Subject-Sequence": "0",
        "Nats-Expected-Last-Subject-Sequence-Subject": f"deadletter.*.{sequence}",
    }
    try:
        await connection.publish(
            f"deadletter.{outcome}.{sequence}", json.dumps(record).encode(), stream=STREAM, headers=headers
        )
    except WrongSequenceError:
        raise CommandError(f"Somebody else has just dealt with dead letter {sequence}: look at it again.") from None
