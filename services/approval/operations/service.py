"""Dead letters for the HTTP API. The requests on NATS (`operator_requests.py`) and these do the same work."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Literal

from pydantic import Field

from services.approval.ehr_tasks.hold import DecisionHold, read_hold, set_hold
from services.approval.operations.dead_letter_index import DeadLetterIndex
from services.approval.operations.groups import Group, grouped
from services.approval.operations.selection import Selection, can_see
from shared.contracts.errors import CountersignError, PermanentError, TransientError
from shared.contracts.model import Model
from shared.messaging.connection import NatsConnection
from shared.messaging.dead_letters import DeadLetter, UnknownDeadLetterError, ensure_unresolved, read_one
from shared.messaging.operator_requests import OperatorRequests
from shared.messaging.requests import MAX_CONCURRENT, CaseRequest, DeadLetterRequest, DecisionHoldRequest, ask
from shared.messaging.steps import Clock
from shared.runtime.authentication import Caller

Action = Literal["redrive", "discard"]
DONE: dict[Action, Literal["redriven", "discarded"]] = {"redrive": "redriven", "discard": "discarded"}
INGEST_TIMEOUT = 5.0  # seconds: a person waits
MAX_COUNTED = 5000  # selected dead letters that an overview counts


class ActionResult(Model):
    """What became of one dead letter; `detail` is a sentence, `by` who resolved it.

    `planned`: a preview would do it. `refused`: it cannot be done. `unavailable`: its service does not answer.
    """

    sequence: int
    outcome: Literal["redriven", "discarded", "planned", "refused", "unavailable"] = Field(
        description="what became of it"
    )
    detail: str = Field(description="the same as a sentence")
    by: str | None = None


@dataclass(frozen=True, slots=True)
class Message:
    """A dead letter with the message that failed."""

    letter: DeadLetter
    data: bytes
    headers: dict[str, str]


@dataclass(frozen=True, slots=True)
class Overview:
    """The selected dead letters: how many, in groups, and a page of them; `next` continues behind that.

    `complete` is False where there are more than MAX_COUNTED: `total` and `groups` are of the first ones then.
    """

    total: int
    complete: bool
    groups: list[Group]
    items: list[DeadLetter]
    next: int | None


class Operations:
    """What operators do over HTTP. `requests` does the work, for the operator's NATS user too."""

    def __init__(self, bus: NatsConnection, requests: OperatorRequests, clock: Clock) -> None:
        self._bus = bus
        self._requests = requests
        self._clock = clock
        self._letters = DeadLetterIndex()

    async def start(self) -> None:
        """Read the dead letters that are stored. Raises TransientError, PermanentError."""
        await self._letters.refresh(self._bus)

    async def page(
        self, who: Caller, selection: Selection, after: int, limit: int
    ) -> tuple[list[DeadLetter], int | None]:
        """Return `limit` selected dead letters behind sequence `after`, and the sequence to continue behind."""
        await self._letters.refresh(self._bus)
        found = list(islice(self._letters.select(who, selection, after), limit + 1))
        return found[:limit], found[limit - 1].sequence if len(found) > limit else None

    async def overview(self, who: Caller, selection: Selection, after: int, limit: int) -> Overview:
        """Count and group all selected dead letters, and return `limit` of them behind sequence `after`."""
        every, more = await self.page(who, selection, 0, MAX_COUNTED)
        if after and every and after >= every[-1].sequence:
            items, following = await self.page(who, selection, after, limit)
        else:
            rest = [letter for letter in every if letter.sequence > after]
            items = rest[:limit]
            following = items[-1].sequence if len(rest) > limit or (items and more is not None) else None
        return Overview(len(every), more is None, grouped(every), items, following)

    async def one(self, who: Caller, sequence: int) -> Message:
        """Return a dead letter with its message. Raises UnknownDeadLetterError, also where `who` may not see it."""
        found = Message(*await read_one(self._bus, sequence))
        if not can_see(who, found.letter):
            raise UnknownDeadLetterError(sequence)
        return found

    async def act(self, who: Caller, action: Action, sequence: int, reason: str, *, dry_run: bool) -> ActionResult:
        """Redrive or discard one dead letter, once; asked again, return who did it.

        Raises UnknownDeadLetterError; PermanentError where it is refused; TransientError where ingest does not answer.
        """
        letter = (await self.one(who, sequence)).letter
        if letter.state == DONE[action]:
            return _repeated(letter, action)
        try:
            return await self._act(who, action, letter, reason, dry_run=dry_run)
        except PermanentError:
            now, _, _ = await read_one(self._bus, sequence)  # another operator may have done it at the same time
            if now.state != DONE[action]:
                raise
            return _repeated(now, action)

    async def act_on(
        self, who: Caller, action: Action, sequences: Sequence[int], reason: str, *, dry_run: bool
    ) -> list[ActionResult]:
        """Redrive or discard these dead letters, each once; return what became of each, in their order.

        Those that do not exist, or that `who` may not see, are refused.
        """

        async def attempt(sequence: int) -> ActionResult:
            try:
                return await self.act(who, action, sequence, reason, dry_run=dry_run)
            except CountersignError as failure:
                return _failed(sequence, failure)

        results: list[ActionResult] = []
        for start in range(0, len(sequences), MAX_CONCURRENT):
            results += await asyncio.gather(*map(attempt, sequences[start : start + MAX_CONCURRENT]))
        return results

    async def act_on_all(
        self, who: Caller, action: Action, selection: Selection, reason: str, *, dry_run: bool, after: int, limit: int
    ) -> tuple[list[ActionResult], int | None]:
        """Redrive or discard `limit` selected dead letters; return the results, and the sequence to continue behind.

        It ends early where a service does not answer: the sequence is then the one before the first that was not done.
        """
        letters, following = await self.page(who, selection, after, limit)
        results: list[ActionResult] = []
        for start in range(0, len(letters), MAX_CONCURRENT):
            some = letters[start : start + MAX_CONCURRENT]
            results += await asyncio.gather(*(self._try(who, action, item, reason, dry_run=dry_run) for item in some))
            if (undone := _first_undone(results)) is not None:
                return results, results[undone - 1].sequence if undone else after
        return results, following

    async def retry_case(self, who: Caller, case_id: str, reason: str | None = None) -> str:
        """Retry the failed step of a case, once; return a sentence that says what was done. Raises PermanentError.

        `reason` is the digest of the caller's words, which are stored with the case's texts.
        """
        return await self._requests.retry(CaseRequest(case_id=case_id, by=who.subject), who.actor, reason)

    async def dead_letters_of(self, who: Caller, case_id: str) -> list[DeadLetter]:
        """Return the dead letters of a case, oldest first."""
        await self._letters.refresh(self._bus)
        return self._letters.of_case(who, case_id)

    async def decision_hold(self) -> DecisionHold | None:
        """Return the last setting of decisions in the EHR; None where there was none: they count."""
        return await read_hold(self._bus)

    async def set_decision_hold(self, who: Caller, *, held: bool, reason: str) -> DecisionHold:
        """Hold decisions that are made in the EHR, or let them count again."""
        return await set_hold(self._bus, DecisionHoldRequest(held=held, by=who.subject, why=reason), self._clock)

    async def _try(
        self, who: Caller, action: Action, letter: DeadLetter, reason: str, *, dry_run: bool
    ) -> ActionResult:
        try:
            return await self._act(who, action, letter, reason, dry_run=dry_run)
        except CountersignError as failure:
            return _failed(letter.sequence, failure)

    async def _act(
        self, who: Caller, action: Action, letter: DeadLetter, reason: str, *, dry_run: bool
    ) -> ActionResult:
        request = DeadLetterRequest(sequence=letter.sequence, by=who.subject, why=reason)
        if dry_run:
            detail = await self._preview(action, letter, request)
            return ActionResult(sequence=letter.sequence, outcome="planned", detail=detail)
        if action == "discard":
            detail = await self._requests.discard(request)
        elif letter.owner == "ingest":
            detail = await ask(self._bus, "ingest", "redrive", request, timeout_s=INGEST_TIMEOUT)
        else:
            detail = await self._requests.redrive(request, who.actor)
        return ActionResult(sequence=letter.sequence, outcome=DONE[action], detail=detail, by=who.subject)

    async def _preview(self, action: Action, letter: DeadLetter, request: DeadLetterRequest) -> str:
        ensure_unresolved(letter)
        if action == "discard":
            return f"dead letter {letter.sequence} would be discarded"
        if letter.owner == "ingest":
            return await ask(self._bus, "ingest", "check", request, timeout_s=INGEST_TIMEOUT)
        return await self._requests.check(request)


def _failed(sequence: int, failure: CountersignError) -> ActionResult:
    outcome: Literal["refused", "unavailable"] = "unavailable" if isinstance(failure, TransientError) else "refused"
    return ActionResult(sequence=sequence, outcome=outcome, detail=failure.reason)


def _repeated(letter: DeadLetter, action: Action) -> ActionResult:
    detail = f"was {letter.state} before" + (f", at {letter.at}" if letter.at else "")
    return ActionResult(sequence=letter.sequence, outcome=DONE[action], detail=detail, by=letter.by)


def _first_undone(results: Sequence[ActionResult]) -> int | None:
    return next((index for index, item in enumerate(results) if item.outcome == "unavailable"), None)
