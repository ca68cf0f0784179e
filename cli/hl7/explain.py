"""Say of each message in a file what ingest would answer and do, and why. Names no patient."""

from collections.abc import Iterator, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from cli.errors import CommandError
from services.ingest.hl7.receive import FrameOutcome, outcomes
from services.ingest.hl7.sender import Sender
from services.ingest.hl7.senders_file import read_senders
from shared.contracts.subjects import visit_subject
from shared.contracts.visits import visit_token
from shared.hl7.mllp import Deframer, Frame, Received


def read_frames(file: Path) -> list[Received]:
    """Return the frames of a file; a file without framing is one frame.

    Raises CommandError where it cannot be read.
    """
    try:
        data = file.read_bytes()
    except OSError as error:
        raise CommandError(f"{file} cannot be read ({error.strerror}).") from None
    deframer = Deframer()
    found = [*deframer.feed(data), *deframer.close()]
    return found or [Frame(data)]


def choose_senders(file: Path | None, name: str | None, zone: str) -> tuple[Sender, ...]:
    """Return the senders that a message may be of: those of the file, or one without any agreements.

    Raises CommandError for a name that the file does not declare, and for an unknown zone; PermanentError for a file
    that is wrong.
    """
    if file is None:
        try:
            return (Sender.model_validate({"name": "anybody", "zone": zone}),)
        except ValueError:
            raise CommandError(f"--zone: {zone} is not a time zone such as America/Chicago.") from None
    found = tuple(item for item in read_senders(file).senders if name in (None, item.name))
    if not found:
        raise CommandError(f"--sender: {file} does not declare {name}.")
    return found


def explain(frames: Sequence[Received], senders: Sequence[Sender], at: datetime) -> Iterator[dict[str, Any]]:
    """Yield what would be done about each message, in order."""
    for received in frames:
        for outcome in outcomes(received, senders, at):
            yield describe(outcome)


def describe(outcome: FrameOutcome) -> dict[str, Any]:
    """Return what is done about one message, as JSON: codes, times and digests, nothing of the patient."""
    assessment, fact = outcome.assessment, outcome.assessment.fact
    problem = assessment.problem
    found: dict[str, Any] = {
        "sender": outcome.sender.name,
        "event": assessment.event,
        "answer": outcome.code,
        "effect": assessment.effect,
        "reason": assessment.reason,
        "error": {"code": problem.code, "location": problem.location} if problem is not None else None,
        "died": assessment.died,
        "stored": None,
    }
    if fact is not None:
        token = visit_token(fact.visit.value if fact.visit is not None else fact.key)
        found["stored"] = {
            "subject": visit_subject(fact.event, token),
            "recorded_at": fact.recorded_at.isoformat(),
            "occurred_at": fact.occurred_at.isoformat() if fact.occurred_at is not None else None,
            "department": fact.department,
            "patient_checked": bool(fact.patients),
            "attending": fact.attending is not None,
            "class_from_encounter": fact.inpatient is None and fact.event == "a03",
        }
    return found
