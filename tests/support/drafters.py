"""Drafters and their configurations, for tests."""

from services.drafter.configurations import DeclaredDrafters
from services.drafter.models import DraftingModel
from shared.contracts.drafters import Policy
from shared.inference.generation import Generator


def declared_drafters(generator: Generator, policy: Policy = "strict") -> DeclaredDrafters:
    """Return drafters without a registry; `generator` writes for every model."""
    return DeclaredDrafters(lambda _: DraftingModel(generator), "drafter", policy)
