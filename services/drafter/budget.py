"""What a case, and all cases of a day, may spend at an endpoint: counted in a bucket that all drafters share.

The most that a request can cost is reserved before it is sent, and corrected when the server has stated what it cost.
If the process dies in between, the reservation stays: a count is never less than what was spent (ADR 50).
"""

import asyncio
import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

from shared.contracts.errors import CountersignError, TransientError
from shared.contracts.model import Model
from shared.inference.generation import Usage
from shared.messaging.buckets import Bucket
from shared.messaging.connection import NatsConnection, WrongSequenceError
from shared.runtime.generation_endpoints import Limits

logger = logging.getLogger(__name__)

BUCKET = "usage"
DAY_TTL_S = 8 * 86_400  # so that the last week can be read
CASE_TTL_S = 90 * 86_400  # after the last request of a case
FIRST_PAUSE_S, LONGEST_PAUSE_S, MAX_ATTEMPTS = 0.005, 0.2, 60


class BudgetExceededError(CountersignError):
    """The request would exceed a limit. `reason` is shown to the physician."""


class Spent(Model):
    """Requests and tokens of a case or a day."""

    requests: int = 0
    tokens: int = 0

    def plus(self, requests: int, tokens: int) -> "Spent":
        """Return the sum; at least zero."""
        return Spent(requests=max(0, self.requests + requests), tokens=max(0, self.tokens + tokens))


@dataclass(frozen=True, slots=True)
class Account:
    """One count: its key, its limits, and what it is called. Without limits, nothing is counted."""

    key: str
    requests: int | None
    tokens: int | None
    period: str
    ttl: int  # seconds

    def check(self, spent: Spent) -> None:
        """Raise BudgetExceededError where `spent` is over a limit."""
        for what, number, limit in (
            ("requests", spent.requests, self.requests),
            ("tokens", spent.tokens, self.tokens),
        ):
            if limit is not None and number > limit:
                raise BudgetExceededError(f"the model's budget of {what} for {self.period} is used up")


@dataclass(frozen=True, slots=True)
class Reservation:
    accounts: tuple[Account, ...]
    tokens: int


def day_key(endpoint: str, now: datetime) -> str:
    """Return the key of an endpoint's count of a day, of UTC."""
    return f"day.{endpoint}.{now.date().isoformat()}"


async def spent_today(bus: NatsConnection, endpoint: str, now: datetime) -> Spent:
    """Return what all drafters together have spent at an endpoint since the day began, in UTC.

    An endpoint without limits for a day is not counted. Raises TransientError where the bucket does not answer.
    """
    entry = await Bucket(bus, BUCKET).get(day_key(endpoint, now.astimezone(UTC)))
    return Spent.read(entry.value) if entry is not None else Spent()


def against_limits(spent: Spent, limits: Limits) -> Iterator[tuple[str, int, int]]:
    """Yield (`requests` or `tokens`, spent, limit) for each daily limit."""
    for what, number, limit in (
        ("requests", spent.requests, limits.requests_per_day),
        ("tokens", spent.tokens, limits.tokens_per_day),
    ):
        if limit is not None:
            yield what, number, limit


class Budget:
    """The limits of one endpoint."""

    def __init__(self, bus: NatsConnection, endpoint: str, limits: Limits, clock: Callable[[], datetime]) -> None:
        self._bucket = Bucket(bus, BUCKET)
        self._endpoint = endpoint
        self._limits = limits
        self._clock = clock

    def _accounts(self, case: str) -> tuple[Account, ...]:
        limits = self._limits
        accounts = (
            Account(
                f"case.{self._endpoint}.{case}",
                limits.requests_per_case,
                limits.tokens_per_case,
                "this case",
                CASE_TTL_S,
            ),
            Account(
                day_key(self._endpoint, self._clock()),
                limits.requests_per_day,
                limits.tokens_per_day,
                "today (UTC)",
                DAY_TTL_S,
            ),
        )
        return tuple(item for item in accounts if item.requests is not None or item.tokens is not None)

    async def reserve(self, case: str, tokens: int) -> Reservation:
        """Count one request that takes at most `tokens`.

        Raises BudgetExceededError where it does not fit, TransientError where the bucket does not answer.
        """
        taken: list[Account] = []
        for account in self._accounts(case):
            try:
                await self._add(account, 1, tokens, check=True)
            except BudgetExceededError:
                await self.release(Reservation(tuple(taken), tokens))
                raise
            taken.append(account)
        return Reservation(tuple(taken), tokens)

    async def settle(self, reservation: Reservation, usage: Usage | None) -> None:
        """Replace the reserved tokens by those that the server has counted, if it did."""
        if usage is not None:
            await self._correct(reservation, 0, usage.tokens - reservation.tokens)

    async def release(self, reservation: Reservation) -> None:
        """Take the reservation back: nothing was spent."""
        await self._correct(reservation, -1, -reservation.tokens)

    async def _correct(self, reservation: Reservation, requests: int, tokens: int) -> None:
        """Correct the counts. Where that fails they stay too high: it is not repeated, as it may have been stored."""
        try:
            for account in reservation.accounts:
                await self._add(account, requests, tokens, check=False)
        except CountersignError as error:
            logger.warning("%s: the count of tokens was not corrected: %s", self._endpoint, error.reason)

    async def _add(self, account: Account, requests: int, tokens: int, *, check: bool) -> None:
        pause = FIRST_PAUSE_S
        for _ in range(MAX_ATTEMPTS):
            entry = await self._bucket.get(account.key)
            before = Spent.read(entry.value) if entry is not None else Spent()
            after = before.plus(requests, tokens)
            if check:
                account.check(after)
            revision, value = entry.revision if entry is not None else 0, after.model_dump_json().encode()
            try:
                await self._bucket.put(account.key, value, revision=revision, ttl=account.ttl)
            except WrongSequenceError:  # another request was counted in between
                await asyncio.sleep(pause)
                pause = min(pause * 2, LONGEST_PAUSE_S)
            else:
                return
        raise TransientError(f"the budget of the endpoint {self._endpoint} could not be counted")
