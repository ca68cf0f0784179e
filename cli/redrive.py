"""What is done about dead letters and failed cases: asked of the service that writes it, and again if need be."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass

from shared.contracts.errors import PermanentError
from shared.messaging.connection import Bus
from shared.messaging.letters import Letters, find, must_wait
from shared.messaging.requests import AT_ONCE, OfCase, OfLetter, ask


@dataclass(frozen=True, slots=True)
class Said:
    """Who asks, and why."""

    by: str
    why: str = ""


Settling = Callable[[Bus, Letters, int, Said], Awaitable[str]]


async def redrive(connection: Bus, letters: Letters, sequence: int, said: Said) -> str:
    """Put one dead letter back to work, once; returns what was done in words. Raises Failure."""
    letter, _, _ = find(letters, sequence)
    must_wait(letter)
    # What the EHR says of encounters is ingest's to publish; everything else, and every case, is approval's.
    service = "ingest" if letter.subject.startswith("ehr.encounter.") else "approval"
    return await ask(connection, service, "redrive", _of(sequence, said))


async def discard(connection: Bus, letters: Letters, sequence: int, said: Said) -> str:
    """Say that nobody will put this letter back; returns in words what that leaves. Raises Failure."""
    must_wait(find(letters, sequence)[0])
    return await ask(connection, "approval", "discard", _of(sequence, said))


async def retry_case(connection: Bus, case_id: str, said: Said) -> str:
    """Put a failed case back to its failed step, whatever became of its dead letter. Raises Failure."""
    request = OfCase.model_construct(case_id=case_id, by=said.by)  # the service says what is wrong with it
    return await ask(connection, "approval", "retry", request)


def _of(sequence: int, said: Said) -> OfLetter:
    return OfLetter.model_construct(sequence=sequence, by=said.by, why=said.why)


async def settle_each(
    connection: Bus, letters: Letters, which: Sequence[int], settling: Settling, said: Said, shown: Iterable[int] = ()
) -> AsyncIterator[tuple[int, str, bool]]:
    """Some at once, in their order: the letter's sequence, what was done or why it was not, and whether it was.

    `shown` is moved on with each.
    """

    async def one(sequence: int) -> tuple[int, str, bool]:
        try:
            return sequence, await settling(connection, letters, sequence, said), True
        except PermanentError as refused:
            return sequence, refused.reason, False

    steps = iter(shown)
    for start in range(0, len(which), AT_ONCE):
        for done in await asyncio.gather(*map(one, which[start : start + AT_ONCE])):
            yield done
            next(steps, None)


def waiting(letters: Letters, consumer: str) -> list[int]:
    """Sequences of the letters of `consumer` that nobody has dealt with."""
    return [number for number, (letter, _, _) in letters.items() if letter.waits and letter.consumer == consumer]
