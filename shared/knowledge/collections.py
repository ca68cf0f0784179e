"""Names of collections: one for each embedding model, as vectors of two models cannot be compared."""

import re


def collection_of(embedder: str) -> str:
    """The collection of a Triton model's vectors."""
    return f"knowledge-{re.sub(r'[^a-z0-9-]+', '-', embedder.lower())}"
