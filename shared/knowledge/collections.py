"""Names of collections: one for each embedding model, as vectors of two models cannot be compared."""

import re


def collection_name(embedder: str) -> str:
    """Return the name of the collection for a Triton model's vectors."""
    return f"knowledge-{re.sub(r'[^a-z0-9-]+', '-', embedder.lower())}"
