"""From what an EHR returned to what a summary may use. Pure: keeps what is usable, and names what is not and why."""

from services.drafter.record.build import build_context, notes_to_fetch
from shared.contracts.context import EncounterContext

__all__ = ["EncounterContext", "build_context", "notes_to_fetch"]
