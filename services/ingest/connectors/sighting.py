"""What a connector sees of one document."""

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from typing import Protocol

from services.ingest.documents.blocks import Text
from shared.contracts.knowledge import Fingerprint


@dataclass(frozen=True, slots=True)
class Sighting:
    """One document. `text` is None where nothing was read, because nothing has changed or because of `problem`."""

    document: str
    fingerprint: Fingerprint
    text: Text | None = None
    problem: str | None = None
    url: str | None = None
    gone: bool = False  # it says itself that it is no more


class Connector(Protocol):
    def look(self, known: Mapping[str, Fingerprint]) -> AsyncIterator[Sighting]:
        """Every document of the source, one at a time.

        Raises PermanentError or TransientError when the source as a whole cannot be looked at.
        """
        ...


__all__ = ["Connector", "Fingerprint", "Sighting"]
