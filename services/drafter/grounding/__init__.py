"""The sentence check: what a narrative says that the record does not. No model, no network, milliseconds."""

from services.drafter.grounding.check import Record, check
from services.drafter.grounding.sentences import split

__all__ = ["Record", "check", "split"]
