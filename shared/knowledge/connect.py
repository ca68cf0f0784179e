"""Build the vector store of a service: a Qdrant server, or Qdrant's engine in this process."""

from pathlib import Path

from shared.contracts.errors import PermanentError
from shared.knowledge.vector_store import VectorStore


def connect_vector_store(url: str | None, api_key: str | None, directory: Path | None) -> VectorStore:
    """Return the configured vector store. Only the adapter in use is imported: each takes tens of MB.

    Raises PermanentError when neither a URL nor a directory is given.
    """
    if url:
        from shared.knowledge.qdrant_server import QdrantServer

        return QdrantServer(url, api_key)
    if directory is None:
        raise PermanentError("set COUNTERSIGN_QDRANT_URL: the engine in this process serves one process only")
    from shared.knowledge.embedded_qdrant import EmbeddedQdrant

    return EmbeddedQdrant(directory)
