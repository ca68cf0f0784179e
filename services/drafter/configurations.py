"""Which configuration drafts a case: the live one of its kind of document, or the canary for a share of the cases."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Protocol

from services.drafter.kinds import KindDefinition, KindRegistry
from services.drafter.models import DraftingModel
from services.drafter.prompts import PromptTemplate
from shared.contracts.draft import DrafterStamp
from shared.contracts.drafter_states import declare
from shared.contracts.drafters import DrafterConfiguration, Policy
from shared.contracts.errors import TransientError
from shared.messaging.drafter_registry import DrafterRegistry

ModelOf = Callable[[str], DraftingModel]  # by the name of an endpoint or of a model of Triton


@dataclass(frozen=True, slots=True)
class ChosenDrafter:
    """A configuration, with the model that it names, and its stamp for the draft."""

    configuration: DrafterConfiguration
    model: DraftingModel
    stamp: DrafterStamp

    @property
    def policy(self) -> Policy:
        return self.configuration.policy

    def apply(self, kind: KindDefinition) -> KindDefinition:
        """Return the kind with the prompt of the configuration."""
        return replace(kind, prompt=PromptTemplate(self.configuration.prompt))


class Drafters(Protocol):
    async def choose(self, kind: KindDefinition, case: str) -> ChosenDrafter:
        """Return the drafter of a case's document. Raises TransientError, PermanentError."""
        ...


class DeclaredDrafters:
    """What settings and files declare: the model and policy of a kind, else those of the drafter, and its prompt."""

    def __init__(
        self, model_of: ModelOf, model: str, policy: Policy = "strict", served: Callable[[str], str] = lambda _: ""
    ) -> None:
        """`model` and `policy` are for kinds that name none; `served` returns what an endpoint is declared to serve."""
        self._model_of = model_of
        self._model = model
        self._policy = policy
        self._served = served

    def configuration(self, kind: KindDefinition) -> DrafterConfiguration:
        model = kind.declared.model or self._model
        return DrafterConfiguration(
            document=kind.name,
            model=model,
            served=self._served(model),
            prompt=kind.prompt.content,
            policy=kind.declared.policy or self._policy,
        )

    async def choose(self, kind: KindDefinition, case: str) -> ChosenDrafter:  # noqa: ARG002 - the port's
        found = self.configuration(kind)
        stamp = DrafterStamp(configuration=found.digest, role="live")
        return ChosenDrafter(found, self._model_of(found.model), stamp)


class RegisteredDrafters:
    """What the registry says, read again for each draft, so that a move counts from the next draft on."""

    def __init__(self, registry: DrafterRegistry, model_of: ModelOf) -> None:
        self._registry = registry
        self._model_of = model_of

    async def choose(self, kind: KindDefinition, case: str) -> ChosenDrafter:
        assigned = (await self._registry.state(kind.name)).assign(case)
        if assigned is None:
            raise TransientError(f"no configuration drafts the document {kind.name}")
        digest, role = assigned
        found = await self._registry.configuration(digest)
        return ChosenDrafter(found, self._model_of(found.model), DrafterStamp(configuration=digest, role=role))


async def declare_drafters(registry: DrafterRegistry, declared: DeclaredDrafters, kinds: KindRegistry) -> None:
    """Record what is declared for each kind of document, where that has changed. Raises TransientError."""
    for kind in kinds.all.values():
        digest = await registry.store(declared.configuration(kind))
        await registry.move(kind.name, partial(declare, digest=digest, gate=kind.gate))
