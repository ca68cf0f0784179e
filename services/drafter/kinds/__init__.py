"""Kinds of documents: declared in folders, chosen by rules over facts of the stay (ADR 30)."""

from services.drafter.kinds.classify import Choice, classify
from services.drafter.kinds.kind import Kind, Kinds
from services.drafter.kinds.load import load_kinds, shipped
from services.drafter.kinds.signals import Signals

__all__ = ["Choice", "Kind", "Kinds", "Signals", "classify", "load_kinds", "shipped"]
