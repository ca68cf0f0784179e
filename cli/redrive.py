"""What is done about dead letters: put back to work, or discarded. All of it may be killed anywhere and run again."""

from collections.abc import AsyncIterator, Awaitable, Callable, Iterable

from cli.errors import CommandError
from cli.letters import DeadLetter, Deed, Letters, find, must_wait, settle
from shared.contracts.case import Case, fold
from shared.contracts.envelope import Recorded
from shared.contracts.events import Actor, Retried
from shared.contracts.failures import PermanentError
from shared.contracts.subjects import CaseRef, derived_id, parse_case_subject
from shared.messaging.connection import Bus
from shared.messaging.journal import Conflict, Journal

Settling = Callable[[Bus, Letters, int, Deed], Awaitable[str]]


async def redrive(connection: Bus, letters: Letters, sequence: int, deed: Deed) -> str:
    """Put one dead letter back to work, once; returns what was done in words.

    It is recorded after it was done: killed in between, it waits still, and doing it again changes nothing.
    """
    letter, data, headers = find(letters, sequence)
    must_wait(letter)
    done = await redrive_one(connection, letter, data, headers, deed)
    await settle(connection, sequence, "redriven", deed)
    return done


async def redrive_one(connection: Bus, letter: DeadLetter, data: bytes, headers: dict[str, str], deed: Deed) -> str:
    """Do it; returns what was done in words."""
    if letter.stream == "KNOWLEDGE":
        raise CommandError("A refresh has its own further attempts. Begin another: countersign knowledge refresh")
    if letter.stream == "DISCHARGE":
        case_ref, _ = parse_case_subject(letter.subject)
        return await retry(connection, case_ref, derived_id(f"DEADLETTER/{letter.sequence}", "retried"), deed)
    kept = {name: value for name, value in headers.items() if not name.startswith(("Nats-", "countersign-"))}
    id = derived_id(f"DEADLETTER/{letter.sequence}", "redriven")
    await connection.publish(letter.subject, data, stream=letter.stream, headers=kept, id=id)
    return f"published again on {letter.subject}"


async def retry_case(connection: Bus, case_id: str, deed: Deed) -> str:
    """Put a failed case back to its failed step, whatever became of its dead letter; returns what was done in words."""
    case_ref = CaseRef("*", case_id)
    history = await Journal(connection, "operator").history(case_ref)
    if not history:
        raise PermanentError("there is no such case")
    failed = next((item for item in reversed(history) if item.name == "failed"), history[-1])
    return await retry(connection, history[-1].case, derived_id(failed.id, "retried"), deed)


async def retry(connection: Bus, case_ref: CaseRef, id: str, deed: Deed) -> str:
    """Append that the failed step is tried again, as the event `id`; when it stands there already, nothing."""
    journal = Journal(connection, "operator")
    history = await journal.history(case_ref)
    case = fold(history)
    if any(item.id == id for item in history):
        return f"case {case_ref.id} was put back before; it is {case.state}"
    if case.failure is None:
        raise CommandError(f"Case {case_ref.id} is {case.state}: there is nothing to put back.")
    event = Retried(step=case.failure.step, by=Actor(subject=deed.by, role="operator"))
    try:
        await journal.append(case_ref, event, after=case.head, id=id, time=deed.at)
    except Conflict:
        raise CommandError(f"Case {case_ref.id} changed just now: look at it again.") from None
    return f"case {case_ref.id} tries {event.step} again"


async def discard(connection: Bus, letters: Letters, sequence: int, deed: Deed) -> str:
    """Say that nobody will put this letter back; returns in words what that leaves.

    The letter stays where it is, and so does what it was about: a case is never closed by it.
    """
    letter, _, _ = find(letters, sequence)
    must_wait(letter)
    left = await _left(connection, letter)
    await settle(connection, sequence, "discarded", deed)
    return f"discarded dead letter {sequence}{left}"


async def _left(connection: Bus, letter: DeadLetter) -> str:
    if letter.stream != "DISCHARGE":
        return ""
    case_ref, _ = parse_case_subject(letter.subject)
    case: Case = fold(await _history(connection, case_ref))
    if case.failure is None:
        return f"; case {case_ref.id} is {case.state}"
    return (
        f"; case {case_ref.id} stays failed and open until somebody tries it again (countersign cases retry "
        f"{case_ref.id}) or the EHR takes the discharge back"
    )


async def _history(connection: Bus, case_ref: CaseRef) -> list[Recorded]:
    try:
        return await Journal(connection, "operator").history(case_ref)
    except PermanentError:
        return []  # what cannot be read may be why it is a dead letter


async def settle_each(
    connection: Bus, letters: Letters, which: Iterable[int], settling: Settling, deed: Callable[[], Deed]
) -> AsyncIterator[tuple[int, str, bool]]:
    """One after the other: the letter's sequence, what was done or why it was not, and whether it was."""
    for sequence in which:
        try:
            yield sequence, await settling(connection, letters, sequence, deed()), True
        except (CommandError, PermanentError) as refused:
            yield sequence, str(refused), False


def waiting(letters: Letters, consumer: str) -> list[int]:
    """Sequences of the letters of `consumer` that nobody has dealt with."""
    return [number for number, (letter, _, _) in letters.items() if letter.waits and letter.consumer == consumer]
