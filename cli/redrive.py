"""Dead letters: reading them, and putting one back to work."""

from dataclasses import asdict, dataclass
from datetime import UTC, datetime

from cli.errors import CommandError
from shared.contracts.case import fold
from shared.contracts.events import Actor, Retried
from shared.contracts.subjects import derived_id, parse_case_subject
from shared.messaging.connection import Bus
from shared.messaging.journal import Conflict, Journal

BATCH = 1000


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """One message that no retry mended."""

    sequence: int
    consumer: str
    subject: str
    reason: str
    attempts: int
    stream: str
    redriven: bool = False


Letters = dict[int, tuple[DeadLetter, bytes, dict[str, str]]]


async def read_all(connection: Bus) -> Letters:
    """Every dead letter by sequence, with its body and the headers it came with."""
    found: Letters = {}
    redriven: set[int] = set()
    start = 1
    while True:
        query = {"seq": start, "next_by_subj": "deadletter.>", "batch": BATCH}
        page = await connection.direct_get("DEADLETTER", query)
        for message in page:
            headers = dict(message.headers or {})
            sequence = int(headers["Nats-Sequence"])
            start = sequence + 1
            if headers["Nats-Subject"].startswith("deadletter.redriven."):
                redriven.add(int(headers["Nats-Subject"].rpartition(".")[2]))
            else:
                found[sequence] = (_read(sequence, headers), message.data, headers)
        if len(page) < BATCH:
            break
    for sequence in redriven & found.keys():
        letter, data, headers = found[sequence]
        found[sequence] = (DeadLetter(**asdict(letter) | {"redriven": True}), data, headers)
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


async def redrive(connection: Bus, sequence: int) -> str:
    """Put one dead letter back to work, once; returns what was done in words."""
    letter, data, headers = find(await read_all(connection), sequence)
    if letter.redriven:
        raise CommandError(f"Dead letter {sequence} was put back to work before.")
    done = await redrive_one(connection, letter, data, headers)
    await connection.publish(f"deadletter.redriven.{sequence}", b"", stream="DEADLETTER", id=f"redriven-{sequence}")
    return done


async def redrive_one(connection: Bus, letter: DeadLetter, data: bytes, headers: dict[str, str]) -> str:
    """Do it; returns what was done in words."""
    if letter.stream == "KNOWLEDGE":
        raise CommandError("A refresh has its own further attempts. Begin another: countersign knowledge refresh")
    if letter.stream != "DISCHARGE":
        kept = {name: value for name, value in headers.items() if not name.startswith(("Nats-", "countersign-"))}
        id = derived_id(f"DEADLETTER/{letter.sequence}", "redriven")
        await connection.publish(letter.subject, data, stream=letter.stream, headers=kept, id=id)
        return f"published again on {letter.subject}"
    journal = Journal(connection, "operator")
    case_ref, _ = parse_case_subject(letter.subject)
    history = await journal.history(case_ref)
    case = fold(history)
    if case.failure is None:
        raise CommandError(f"Case {case_ref.id} is {case.state}: there is nothing to put back.")
    event = Retried(step=case.failure.step, by=Actor(subject="operator", role="operator"))
    id = derived_id(f"DEADLETTER/{letter.sequence}", event.event)
    try:
        await journal.append(case_ref, event, after=case.head, id=id, time=datetime.now(UTC))
    except Conflict:
        raise CommandError(f"Case {case_ref.id} changed just now: look at it again.") from None
    return f"case {case_ref.id} tries {case.failure.step} again"
