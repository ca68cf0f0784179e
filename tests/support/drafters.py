"""Drafters and their configurations, for tests."""

from functools import partial

from services.drafter.configurations import DeclaredDrafters
from services.drafter.kinds import load_shipped_kinds
from services.drafter.models import DraftingModel
from shared.contracts import drafter_states as states
from shared.contracts.case_values import Actor
from shared.contracts.drafters import DrafterConfiguration, Policy, PromptText
from shared.inference.generation import Generator
from shared.messaging.drafter_registry import DrafterRegistry
from tests.support.generator import ScriptedGenerator

DOCUMENT = "discharge-summary"
WHO = Actor(subject="ml", role="operator")
KINDS = load_shipped_kinds()


def declared_drafters(generator: Generator, policy: Policy = "strict") -> DeclaredDrafters:
    """Return drafters without a registry; `generator` writes for every model."""
    return DeclaredDrafters(lambda _: DraftingModel(generator), "drafter", policy)


DECLARED = declared_drafters(ScriptedGenerator())
LIVE = DECLARED.configuration(KINDS.all[DOCUMENT])
PROMPT = PromptText(name="other-narrative", version=1, text="Write about this:\n{facts}{words}\n", max_tokens=90)
CANDIDATE = LIVE.model_copy(update={"prompt": PROMPT})


async def add(registry: DrafterRegistry, configuration: DrafterConfiguration) -> str:
    """Add a candidate; return its digest."""
    digest = await registry.store(configuration)
    await registry.move(DOCUMENT, partial(states.add, digest=digest, by=WHO, reason="try it"))
    return digest


async def start_canary(registry: DrafterRegistry, digest: str, share: float) -> None:
    move = partial(states.start_canary, digest=digest, share=share, by=WHO, reason="try it")
    await registry.move(DOCUMENT, move)
