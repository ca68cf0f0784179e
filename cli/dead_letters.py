"""Dead letters for the command: by the NATS of a stack, or by the HTTP API of a context."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal, Protocol

from cli.client import Api
from cli.errors import RefusedError
from services.approval.operations.selection import Selection
from shared.contracts.errors import PermanentError
from shared.messaging.connection import NatsConnection
from shared.messaging.dead_letters import DeadLetters, ensure_unresolved, find, read_all
from shared.messaging.requests import MAX_CONCURRENT, CaseRequest, DeadLetterRequest, ask

Action = Literal["redrive", "discard"]
Advance = Callable[[int], None]  # called with the number of dead letters that were handled since the last call
PAGE = 200  # of the API


@dataclass(frozen=True, slots=True)
class Attribution:
    """Who asks for an action, and the reason; both are recorded."""

    by: str
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Result:
    """What became of one dead letter: the answer, or the reason of the refusal."""

    sequence: int
    said: str
    ok: bool


class DeadLetterClient(Protocol):
    """Dead letters of one installation. Raises CommandError or CountersignError."""

    async def find(self, selection: Selection) -> list[dict[str, Any]]:
        """Return the selected dead letters, oldest first."""
        ...

    async def get(self, sequence: int) -> dict[str, Any]:
        """Return a dead letter with what the caller may know of its message."""
        ...

    async def act(self, action: Action, sequence: int, reason: str, *, dry_run: bool) -> str:
        """Redrive or discard a dead letter; return a sentence."""
        ...

    async def act_on_all(
        self, action: Action, selection: Selection, reason: str, advance: Advance, *, dry_run: bool
    ) -> list[Result]:
        """Redrive or discard the selected dead letters."""
        ...


class BusDeadLetters:
    """Dead letters as the operator's NATS user reads them; actions are asked of the service that owns them."""

    def __init__(self, bus: NatsConnection, by: str) -> None:
        self._bus = bus
        self._by = by

    async def find(self, selection: Selection) -> list[dict[str, Any]]:
        letters = [item[0] for item in (await read_all(self._bus)).values()]
        return [asdict(letter) for letter in letters if selection.matches(letter)]

    async def get(self, sequence: int) -> dict[str, Any]:
        """Return the dead letter with its message: the NATS user may read it."""
        letter, data, headers = find(await read_all(self._bus), sequence)
        original = {name: value for name, value in headers.items() if not name.startswith(("Nats-", "countersign-"))}
        return asdict(letter) | {"headers": original, "body": data.decode(errors="replace")}

    async def act(self, action: Action, sequence: int, reason: str, *, dry_run: bool) -> str:
        letters, deed = await read_all(self._bus), (CHECKS if dry_run else ACTIONS)[action]
        find(letters, sequence)
        try:
            return await deed(self._bus, letters, sequence, Attribution(self._by, reason))
        except PermanentError as refused:
            raise RefusedError(refused.reason) from None

    async def act_on_all(
        self, action: Action, selection: Selection, reason: str, advance: Advance, *, dry_run: bool
    ) -> list[Result]:
        letters = await read_all(self._bus)
        sequences = [number for number, (letter, _, _) in letters.items() if selection.matches(letter)]
        deed, results = (CHECKS if dry_run else ACTIONS)[action], []
        async for item in resolve_each(self._bus, letters, sequences, deed, Attribution(self._by, reason)):
            results.append(Result(*item))
            advance(1)
        return results


class HttpDeadLetters:
    """Dead letters as the API of approval shows them. It records the caller that the token belongs to."""

    def __init__(self, call: Api) -> None:
        self._call = call

    async def find(self, selection: Selection) -> list[dict[str, Any]]:
        query = _query(selection, reason="reason") | {"state": selection.state, "limit": PAGE}
        items: list[dict[str, Any]] = []
        while True:
            page = await self._call("GET", "/v1/dead-letters", params=query)
            items += page["items"]
            if page["next"] is None:
                return items
            query["after"] = page["next"]

    async def get(self, sequence: int) -> dict[str, Any]:
        found: dict[str, Any] = await self._call("GET", f"/v1/dead-letters/{sequence}")
        return found

    async def act(self, action: Action, sequence: int, reason: str, *, dry_run: bool) -> str:
        body = {"reason": reason, "dry_run": dry_run}
        return str((await self._call("POST", f"/v1/dead-letters/{sequence}/{action}", json=body))["detail"])

    async def act_on_all(
        self, action: Action, selection: Selection, reason: str, advance: Advance, *, dry_run: bool
    ) -> list[Result]:
        body = _query(selection, reason="reason_contains") | {"reason": reason, "dry_run": dry_run, "limit": PAGE}
        results: list[Result] = []
        while True:
            page = await self._call("POST", f"/v1/dead-letters/{action}", json=body)
            for item in page["items"]:
                done = item["outcome"] not in ("refused", "unavailable")
                results.append(Result(item["sequence"], item["detail"], done))
            advance(len(page["items"]))
            # Where a service does not answer, the page has ended early: the next one would only wait again.
            if page["next"] is None or any(item["outcome"] == "unavailable" for item in page["items"]):
                return results
            body["after"] = page["next"]


def _query(selection: Selection, *, reason: str) -> dict[str, Any]:
    """Return the criteria of a filter as the API names them; `reason`: its name of a part of the failure's reason."""
    criteria = {
        "stream": selection.stream,
        "consumer": selection.consumer,
        reason: selection.reason,
        "since": selection.since.isoformat() if selection.since else None,
        "before": selection.before.isoformat() if selection.before else None,
        "up_to": selection.up_to,
    }
    return {name: value for name, value in criteria.items() if value is not None}


Resolve = Callable[[NatsConnection, DeadLetters, int, Attribution], Awaitable[str]]


async def redrive(bus: NatsConnection, letters: DeadLetters, sequence: int, who: Attribution) -> str:
    """Process a dead letter again, once. Return a sentence that says what was done. Raises CountersignError."""
    letter, _, _ = find(letters, sequence)
    ensure_unresolved(letter)
    return await ask(bus, letter.owner, "redrive", _request(sequence, who))


async def check(bus: NatsConnection, letters: DeadLetters, sequence: int, who: Attribution) -> str:
    """Return a sentence that says what a redrive would do. Raises what a redrive would raise."""
    letter, _, _ = find(letters, sequence)
    ensure_unresolved(letter)
    return await ask(bus, letter.owner, "check", _request(sequence, who))


async def discard(bus: NatsConnection, letters: DeadLetters, sequence: int, who: Attribution) -> str:
    """Mark a dead letter as never to be redriven. Return a sentence with the consequences. Raises CountersignError."""
    ensure_unresolved(find(letters, sequence)[0])
    return await ask(bus, "approval", "discard", _request(sequence, who))


async def _would_discard(_: NatsConnection, letters: DeadLetters, sequence: int, __: Attribution) -> str:
    ensure_unresolved(find(letters, sequence)[0])
    return f"dead letter {sequence} would be discarded"


ACTIONS: dict[Action, Resolve] = {"redrive": redrive, "discard": discard}
CHECKS: dict[Action, Resolve] = {"redrive": check, "discard": _would_discard}


async def retry_case(bus: NatsConnection, case_id: str, who: Attribution) -> str:
    """Retry a failed case from its failed step, even if its dead letter was resolved. Raises CountersignError."""
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
) -> AsyncIterator[tuple[int, str, bool]]:
    """Apply `resolve` to some dead letters at a time, in order.

    Yields sequence, the answer or the reason of the refusal, and whether it was done.
    """

    async def one(sequence: int) -> tuple[int, str, bool]:
        try:
            return sequence, await resolve(bus, letters, sequence, who), True
        except PermanentError as error:
            return sequence, error.reason, False

    for start in range(0, len(sequences), MAX_CONCURRENT):
        for done in await asyncio.gather(*map(one, sequences[start : start + MAX_CONCURRENT])):
            yield done
