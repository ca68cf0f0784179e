"""Every dead letter and how it was resolved, in memory, without the messages themselves: for lists, and by case.

Whoever asks brings it up to date first: what was stored since the last time is read then, and nothing else.
"""

import asyncio
import bisect
import sys
from collections.abc import Iterator
from dataclasses import replace

from services.approval.operations.selection import Selection, can_see, case_of
from shared.messaging.connection import NatsConnection
from shared.messaging.dead_letters import DeadLetter, ResolvedDeadLetter, read_from
from shared.runtime.authentication import Caller


class DeadLetterIndex:
    """Dead letters by their sequence, and by the case whose step failed."""

    def __init__(self) -> None:
        self._letters: dict[int, DeadLetter] = {}
        self._order: list[int] = []  # sequences, ascending
        self._of_case: dict[str, list[int]] = {}
        self._position = 0  # of the last message that was read
        self._reading = asyncio.Lock()

    async def refresh(self, bus: NatsConnection) -> None:
        """Read what was stored since the last time. Raises TransientError, PermanentError."""
        async with self._reading:
            async for sequence, record in read_from(bus, self._position + 1):
                self.take(sequence, record)

    def take(self, sequence: int, record: DeadLetter | ResolvedDeadLetter) -> None:
        """Add the record that is stored at `sequence`."""
        self._position = sequence
        if isinstance(record, DeadLetter):
            self._add(record)
        elif (known := self._letters.get(record.sequence)) is not None:
            self._letters[record.sequence] = record.resolution.of(known)

    def _add(self, letter: DeadLetter) -> None:
        consumer, stream = sys.intern(letter.consumer), sys.intern(letter.stream)  # of which there are few
        self._letters[letter.sequence] = replace(letter, consumer=consumer, stream=stream)
        self._order.append(letter.sequence)
        if (case := case_of(letter)) is not None:
            self._of_case.setdefault(case.id, []).append(letter.sequence)

    def select(self, who: Caller, selection: Selection, after: int = 0) -> Iterator[DeadLetter]:
        """Yield the selected dead letters behind sequence `after` that the caller may see, oldest first.

        It must be read without waiting for anything.
        """
        for position in range(bisect.bisect_right(self._order, after), len(self._order)):
            letter = self._letters[self._order[position]]
            if selection.matches(letter) and can_see(who, letter):
                yield letter

    def of_case(self, who: Caller, case_id: str) -> list[DeadLetter]:
        """Return the dead letters of a case that the caller may see, oldest first."""
        letters = (self._letters[sequence] for sequence in self._of_case.get(case_id, ()))
        return [letter for letter in letters if can_see(who, letter)]
