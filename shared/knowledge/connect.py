"""The vector base of a service: a Qdrant server, or Qdrant's engine in this process."""

from pathlib import Path

from shared.contracts.failures import PermanentError
from shared.knowledge.base import KnowledgeBase


def connect_base(url: str | None, api_key: str | None, directory: Path | None) -> KnowledgeBase:
    """Imports only the adapter that is used: each is tens of MB.

    Raises PermanentError when neither place is given.
    """
    if url:
        from shared.knowledge.server import ServerBase

        return ServerBase(url, api_key)
    if directory is None:
        raise PermanentError("set COUNTERSIGN_QDRANT_URL: the engine in this process serves one process only")
    from shared.knowledge.edge import EdgeBase

    return EdgeBase(directory)
