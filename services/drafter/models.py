"""A model that drafts: the client of its server, what may be spent there, and how long a draft waits for it."""

import hmac
import logging
import math
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime

from services.drafter.budget import Budget, BudgetExceededError, against_limits, spent_today
from services.drafter.pseudonyms.errors import NotRestorableError, PseudonymError
from services.drafter.settings import DrafterSettings
from shared.contracts.context import EncounterContext
from shared.contracts.errors import PermanentError, RateLimitedError, TransientError
from shared.inference.generation import Generation, Generator, NotGeneratedError, Sampling
from shared.inference.triton_generation import TritonGenerator
from shared.messaging.connection import NatsConnection
from shared.runtime.generation_endpoints import Price, check_keys
from shared.telemetry import instruments
from shared.telemetry.metric_definitions import LIMIT, MODEL

logger = logging.getLogger(__name__)

NO_IDENTIFIERS = "the record was read without the identifiers that pseudonyms need"
PSEUDONYM_KEY = b"countersign pseudonym key"


@dataclass(frozen=True, slots=True)
class DraftingModel:
    """`longest_wait` is how long a draft waits where the server says when to come back, in seconds.

    With a `pseudonym_key`, the server gets pseudonyms.
    """

    generator: Generator
    budget: Budget | None = None
    longest_wait: float = math.inf
    pseudonym_key: bytes | None = field(default=None, repr=False)
    price: Price | None = None

    async def ask(
        self,
        case: str,
        prompt: str,
        sampling: Sampling,
        *,
        deadline: float,
        last: bool,
        context: EncounterContext | None = None,
    ) -> tuple[Generation | None, str | None]:
        """Return the model's answer, or why it has none: a failing model must not end the case.

        `context` is the record of the stay, for its identifiers. Raises TransientError where another attempt follows,
        unless `last`.
        """
        if self.pseudonym_key is not None and (context is None or context.identifiers is None):
            return None, NO_IDENTIFIERS
        generator = self._generator_for(case, context)
        try:
            return await self._generate(generator, case, prompt, sampling, deadline), None
        except BudgetExceededError as error:
            logger.warning("the narrative is composed without the model: %s", error.reason)
            return None, error.reason
        except RateLimitedError as error:
            if not last and error.retry_after <= self.longest_wait:
                raise
            logger.warning("the model is busy, the narrative is composed without it: %s", error.reason)
            return None, "the model is busy"
        except TransientError as error:
            if not last:
                raise
            logger.warning("the model is not available, the narrative is composed without it: %s", error.reason)
            return None, "the model could not be reached"
        except PseudonymError as error:
            logger.warning("the narrative is composed without the model: %s", error.reason)
            return None, error.shown
        except PermanentError as error:
            logger.warning("the model failed, the narrative is composed without it: %s", error.reason)
            return None, "the model failed"

    def _generator_for(self, case: str, context: EncounterContext | None) -> Generator:
        if self.pseudonym_key is None or context is None:
            return self.generator
        # Imported here: its word lists and the telephone numbers of all countries are for those who use them.
        from services.drafter.pseudonyms.request import pseudonymous

        return pseudonymous(self.generator, self.pseudonym_key, case, context)

    async def _generate(
        self, generator: Generator, case: str, prompt: str, sampling: Sampling, deadline: float
    ) -> Generation:
        """Generate within the budget. What a request may have cost stays counted, whatever ends it."""
        if self.budget is None:
            return await generator.generate(prompt, sampling, deadline=deadline)
        reservation = await self.budget.reserve(case, most_tokens(prompt, sampling))
        try:
            generation = await generator.generate(prompt, sampling, deadline=deadline)
        except NotGeneratedError:
            await self.budget.release(reservation)
            raise
        except NotRestorableError as error:
            await self.budget.settle(reservation, error.usage)
            raise
        await self.budget.settle(reservation, generation.usage)
        return generation


class Models:
    """Clients of models by name: a declared endpoint, else a model of the drafter's Triton server."""

    def __init__(
        self,
        settings: DrafterSettings,
        bus: NatsConnection,
        clock: Callable[[], datetime],
        generator: Generator | None = None,
    ) -> None:
        """Use `generator`, if given, for every model that is no endpoint.

        Raises PermanentError where the file of endpoints is wrong, or a key cannot be read.
        """
        self._triton = settings.triton.url
        self._secret = settings.master_keys[0] if settings.master_keys else settings.seed.encode()
        self._endpoints = settings.generation.read()
        check_keys(self._endpoints)
        self._bus = bus
        self._clock = clock
        self._generator = generator
        self._made: dict[tuple[str, int], DraftingModel] = {}

    def of(self, name: str, priority: int) -> DraftingModel:
        """Return the model of that name; each has one client for a priority."""
        if (name, priority) not in self._made:
            self._made[name, priority] = self._make(name, priority)
        return self._made[name, priority]

    def _make(self, name: str, priority: int) -> DraftingModel:
        endpoint = self._endpoints.get(name)
        if endpoint is None:
            return DraftingModel(self._generator or TritonGenerator(self._triton, name, priority))
        limits = endpoint.limits
        budget = Budget(self._bus, name, limits, self._clock) if limits.any else None
        key = hmac.digest(self._secret, PSEUDONYM_KEY, "sha256") if endpoint.pseudonymise else None
        return DraftingModel(endpoint.connect(priority), budget, endpoint.longest_wait, key, endpoint.price)

    @property
    def pseudonymise(self) -> bool:
        """Return whether an endpoint needs the identifiers of records."""
        return any(item.pseudonymise for item in self._endpoints.values())

    def served(self, name: str) -> str:
        """Return what the endpoint of that name is declared to serve; empty for a model of Triton."""
        item = self._endpoints.get(name)
        if item is None:
            return ""
        return " ".join(filter(None, (item.kind, item.model, item.revision, "pseudonymised" * item.pseudonymise)))

    def check_name(self, name: str) -> str:
        """Return the name of the check that the model's server answers."""
        return f"endpoint {name}" if name in self._endpoints else "triton"

    async def collect_gauges(self) -> None:
        """Set the gauges of what was spent today at each endpoint with limits for a day. Raises TransientError."""
        found = []
        for name, endpoint in self._endpoints.items():
            if endpoint.limits.of_day:
                spent = await spent_today(self._bus, name, self._clock())
                found += [(name, *item) for item in against_limits(spent, endpoint.limits)]
        for metric, index in (("countersign.endpoint.spent", 2), ("countersign.endpoint.limit", 3)):
            values = [({MODEL: item[0], LIMIT: item[1]}, float(item[index])) for item in found]
            instruments.replace_gauge(metric, values)

    async def close(self) -> None:
        for item in self._made.values():
            await item.generator.close()


def most_tokens(prompt: str, sampling: Sampling) -> int:
    """Return more tokens than a request takes: models have three to five characters a token in clinical English."""
    return len(prompt) // 2 + sampling.max_tokens
