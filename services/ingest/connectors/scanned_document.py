"""The result of scanning one document."""

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from typing import Protocol

from services.ingest.documents.blocks import ParsedDocument
from shared.contracts.knowledge import Fingerprint


@dataclass(frozen=True, slots=True)
class ScannedDocument:
    """One document.

    `text` is None where nothing was read: nothing has changed, or `problem` says why it cannot be used.
    """

    document: str
    fingerprint: Fingerprint
    text: ParsedDocument | None = None
    problem: str | None = None
    url: str | None = None
    deleted: bool = False  # the server states that it is gone


class Connector(Protocol):
    def scan(self, known: Mapping[str, Fingerprint]) -> AsyncIterator[ScannedDocument]:
        """Yield every document of the source.

        Raises PermanentError or TransientError when the source as a whole cannot be scanned.
        """
        ...


__all__ = ["Connector", "Fingerprint", "ScannedDocument"]
