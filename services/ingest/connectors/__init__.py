"""Connectors scan sources of documents: what exists, what is new, what cannot be read.

A scan is cheap where nothing has changed: `known` holds the fingerprint of every document at the last scan.
"""

from services.ingest.connectors.folder import FolderConnector
from services.ingest.connectors.formulary import FormularyConnector
from services.ingest.connectors.scanned_document import Connector
from services.ingest.connectors.web import WebConnector
from services.ingest.documents.reader import DocumentReader
from shared.knowledge.knowledge_file import FormularySource, GuidelineSource


def connect(source: GuidelineSource | FormularySource, reader: DocumentReader) -> Connector:
    """Return the connector of a declared source."""
    if isinstance(source, FormularySource):
        return FormularyConnector(source, reader)
    return WebConnector(source, reader) if source.folder is None else FolderConnector(source.folder, reader)


__all__ = ["Connector", "connect"]
