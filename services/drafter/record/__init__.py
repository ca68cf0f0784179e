"""From what an EHR returned to what a summary may use. Pure: keeps what is usable, and names what is not and why."""

from services.drafter.context import EncounterContext
from services.drafter.record.build import build_context

__all__ = ["EncounterContext", "build_context"]
