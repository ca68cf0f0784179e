"""What a connector sees of one document."""

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from typing import Protocol

from services.ingest.documents.blocks import ParsedDocument
from shared.contracts.knowledge import Fingerprint


@dataclass(frozen=True, slots=True)
class ScannedDocument:
    """One document. `text` is None where nothing was read, because nothing has changed or because of `problem`."""

    document: str
    fingerprint: Fingerprint
    text: ParsedDocument | None = None
    problem: str | None = None
    url: str | None = None
    deleted: bool = False  # it says itself that it is no more


class Connector(Protocol):
    def scan(self, known: Mapping[str, Fingerprint]) -> AsyncIterator[ScannedDocument]:
        """Every document of the source, one at a time.

        Raises PermanentError or TransientError when the source as a whole cannot be looked at.
        """
        ...


__all__ = ["Connector", "Fingerprint", "ScannedDocument"]
