"""Condense the sentences of a long stay to a maximum length in steps; each keeps its citation. Pure.

Each step is taken only where the one before left too much: one sentence per day and problem; of each problem the first
and last day, and the highest rank; by rank, spread over the stay.
"""

from collections.abc import Callable, Iterable, Sequence

from services.drafter.notes.selection import Candidate
from services.drafter.notes.sentences import normalize

MAX_SENTENCES = 16
MAX_CHARACTERS = 3600
TOP_RANK = 1  # kept until the last step

Step = Callable[[Sequence[Candidate]], list[Candidate]]


def condense(
    candidates: Sequence[Candidate], most: int = MAX_SENTENCES, characters: int = MAX_CHARACTERS
) -> list[Candidate]:
    """Return at most `most` sentences and `characters` characters of `candidates`, in order."""
    left = list(candidates)
    for step in (one_per_day, first_and_last):
        if _fits(left, most, characters):
            return left
        more, left = left, step(left)
        if _fits(left, most, characters):  # what the step took away fills the place that it left
            return _fill(left, more, most, characters)
    return _fill([], left, most, characters)


def one_per_day(candidates: Sequence[Candidate]) -> list[Candidate]:
    """Return the highest-ranked sentence for each day and problem; the first of equal ones."""
    best: dict[tuple[str, str], Candidate] = {}
    for item in candidates:
        key = (item.day, _problem(item))
        if key not in best or item.rank < best[key].rank:
            best[key] = item
    return _in_order(candidates, best.values())


def first_and_last(candidates: Sequence[Candidate]) -> list[Candidate]:
    """Return the first and last sentence of each problem, and all of the highest rank."""
    by_problem: dict[str, list[Candidate]] = {}
    for item in candidates:
        by_problem.setdefault(_problem(item), []).append(item)
    kept = [item for items in by_problem.values() for item in (items[0], items[-1])]
    return _in_order(candidates, [*kept, *(item for item in candidates if item.rank <= TOP_RANK)])


def _fill(kept: Sequence[Candidate], more: Sequence[Candidate], most: int, characters: int) -> list[Candidate]:
    """Add as many of `more` to `kept` as fit: highest rank first, within a rank spread over the stay."""
    chosen, known = list(kept), {id(item) for item in kept}
    length = sum(len(item.text) for item in kept)
    for rank in sorted({item.rank for item in more}):
        waiting = [item for item in more if item.rank == rank and id(item) not in known]
        for item in _spread_evenly(waiting, most - len(chosen)):
            if len(chosen) < most and length + len(item.text) <= characters:
                chosen.append(item)
                length += len(item.text)
    return _in_order(more, chosen)


def _spread_evenly(candidates: Sequence[Candidate], count: int) -> list[Candidate]:
    """Return `count` of `candidates`, evenly from first to last, then the others."""
    if count <= 0 or not candidates:
        return []
    places = {round(index * (len(candidates) - 1) / max(count - 1, 1)) for index in range(min(count, len(candidates)))}
    return [candidates[place] for place in sorted(places)] + [
        item for place, item in enumerate(candidates) if place not in places
    ]


def _fits(candidates: Sequence[Candidate], most: int, characters: int) -> bool:
    return len(candidates) <= most and sum(len(item.text) for item in candidates) <= characters


def _problem(item: Candidate) -> str:
    """Return what a sentence is about: its problem, else its note's kind and author."""
    return (
        normalize(item.sentence.problem)
        or f"{item.note.kind} {item.note.title if item.note.kind != 'progress' else ''}"
    )


def _in_order(candidates: Sequence[Candidate], kept: Iterable[Candidate]) -> list[Candidate]:
    chosen = {id(item) for item in kept}
    return [item for item in candidates if id(item) in chosen]
