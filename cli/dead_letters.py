"""Redrive and discard dead letters, and retry failed cases, by asking the service that owns them."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass

from shared.contracts.errors import PermanentError
from shared.messaging.connection import NatsConnection
from shared.messaging.dead_letters import DeadLetters, ensure_unresolved, find
from shared.messaging.requests import MAX_CONCURRENT, CaseRequest, DeadLetterRequest, ask


@dataclass(frozen=True, slots=True)
class Attribution:
    """Who asks for an action, and the reason; both are recorded."""

    by: str
    reason: str = ""


Resolve = Callable[[NatsConnection, DeadLetters, int, Attribution], Awaitable[str]]


async def redrive(bus: NatsConnection, letters: DeadLetters, sequence: int, who: Attribution) -> str:
    """Process a dead letter again, once. Return a sentence that says what was done. Raises Failure."""
    letter, _, _ = find(letters, sequence)
    ensure_unresolved(letter)
    return await ask(bus, letter.owner, "redrive", _request(sequence, who))


async def discard(bus: NatsConnection, letters: DeadLetters, sequence: int, who: Attribution) -> str:
    """Mark a dead letter as never to be redriven. Return a sentence with the consequences. Raises Failure."""
    ensure_unresolved(find(letters, sequence)[0])
    return await ask(bus, "approval", "discard", _request(sequence, who))


async def retry_case(bus: NatsConnection, case_id: str, who: Attribution) -> str:
    """Retry a failed case from its failed step, even if its dead letter was resolved. Raises Failure."""
    request = CaseRequest.model_construct(case_id=case_id, by=who.by)  # the service validates it
    return await ask(bus, "approval", "retry", request)


def _request(sequence: int, who: Attribution) -> DeadLetterRequest:
    return DeadLetterRequest.model_construct(sequence=sequence, by=who.by, why=who.reason)


async def resolve_each(
    bus: NatsConnection,
    letters: DeadLetters,
    sequences: Sequence[int],
    resolve: Resolve,
    who: Attribution,
    progress: Iterable[int] = (),
) -> AsyncIterator[tuple[int, str, bool]]:
    """Apply `resolve` to some dead letters at a time, in order.

    Yields sequence, the answer or the reason of the refusal, and whether it was done; advances `progress` with each.
    """

    async def one(sequence: int) -> tuple[int, str, bool]:
        try:
            return sequence, await resolve(bus, letters, sequence, who), True
        except PermanentError as error:
            return sequence, error.reason, False

    steps = iter(progress)
    for start in range(0, len(sequences), MAX_CONCURRENT):
        for done in await asyncio.gather(*map(one, sequences[start : start + MAX_CONCURRENT])):
            yield done
            next(steps, None)


def unresolved(letters: DeadLetters, consumer: str) -> list[int]:
    """Return the sequences of the unresolved dead letters of `consumer`."""
    return [number for number, (letter, _, _) in letters.items() if letter.waits and letter.consumer == consumer]
