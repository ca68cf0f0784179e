"""Select the usable part of what an EHR returned; state what is not usable and why. Pure."""

from services.drafter.record.build import build_context, notes_to_fetch
from shared.contracts.context import EncounterContext

__all__ = ["EncounterContext", "build_context", "notes_to_fetch"]
