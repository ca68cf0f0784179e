"""How similar each part of the drafts is to what was signed, candidate beside live. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from shared.contracts.evaluations import DraftFigures


@dataclass(frozen=True, slots=True)
class PartSimilarity:
    """Means of a part over the stays whose drafts both have it: 1 - edit distance / length."""

    part: str  # its code
    stays: int
    candidate: float
    live: float

    @property
    def difference(self) -> float:
        return self.candidate - self.live


def by_part(pairs: Sequence[tuple[DraftFigures, DraftFigures]]) -> tuple[PartSimilarity, ...]:
    """Return each part, that in which the candidate is worst against live first; then the least similar one."""
    found: dict[str, list[tuple[float, float]]] = {}
    for candidate, live in pairs:
        for code, value in candidate.similarity_by_part.items():
            if code in live.similarity_by_part:
                found.setdefault(code, []).append((value, live.similarity_by_part[code]))
    means = [
        PartSimilarity(code, len(values), *(float(mean) for mean in np.mean(values, axis=0)))
        for code, values in found.items()
    ]
    return tuple(sorted(means, key=lambda item: (round(item.difference, 6), item.candidate)))
