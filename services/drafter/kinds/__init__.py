"""Kinds of documents: declared in folders, selected by rules on features of the stay (ADR 30)."""

from services.drafter.kinds.classify import KindChoice, classify
from services.drafter.kinds.features import StayFeatures
from services.drafter.kinds.kind import KindDefinition, KindRegistry
from services.drafter.kinds.load import load_kinds, load_shipped_kinds

__all__ = [
    "KindChoice",
    "KindDefinition",
    "KindRegistry",
    "StayFeatures",
    "classify",
    "load_kinds",
    "load_shipped_kinds",
]
