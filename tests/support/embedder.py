"""An embedder for tests: words hashed into a small vector. It passes the same suite as Triton's."""

import hashlib
from collections.abc import Sequence

import numpy as np

from shared.contracts.errors import CountersignError
from shared.inference.embeddings import Vectors
from shared.inference.triton import INTERACTIVE_PRIORITY

DIMENSIONS = 96


class HashEmbedder:
    """Texts that share words are near each other. `texts` are those that were embedded as a batch."""

    def __init__(self) -> None:
        self.texts: list[str] = []
        self.failures: list[CountersignError] = []

    async def embed(
        self, model: str, texts: Sequence[str], *, priority: int = INTERACTIVE_PRIORITY, deadline: float = 30.0
    ) -> Vectors:
        if self.failures and priority != INTERACTIVE_PRIORITY:
            raise self.failures.pop(0)
        if priority != INTERACTIVE_PRIORITY:
            self.texts += texts
        return np.stack([_vector(model, text) for text in texts])

    async def ready(self) -> bool:
        return True

    async def close(self) -> None:
        return None


def _vector(model: str, text: str) -> Vectors:
    vector = np.full(DIMENSIONS, 1e-3, dtype=np.float32)
    for word in text.lower().split():
        digest = hashlib.sha256(f"{model}/{word.strip('.,:;!?')}".encode()).digest()
        vector[digest[0] % DIMENSIONS] += 1 if digest[1] % 2 else -1
    return np.asarray(vector / np.linalg.norm(vector), dtype=np.float32)
