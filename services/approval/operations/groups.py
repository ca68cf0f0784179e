"""Dead letters by what they have in common: the consumer, and the reason without its ids. Pure."""

from collections.abc import Iterable
from dataclasses import dataclass

from shared.messaging.dead_letters import DeadLetter

MIN_LITERAL = 8  # characters: a shorter part of a reason selects too much to be a filter
MAX_LITERAL = 200
MAX_STATUS_DIGITS = 3  # HTTP 404 and HTTP 503 are different reasons; longer numbers are ids


@dataclass(frozen=True, slots=True)
class Group:
    """Dead letters of one consumer with one reason.

    `reason` has `…` for words with ids. `literal` is a part of the reason that a filter finds them by; empty where
    none is long enough. `oldest` and `newest` are RFC 3339.
    """

    consumer: str
    reason: str
    literal: str
    count: int
    oldest: str | None
    newest: str | None


def pattern_of(reason: str) -> str:
    """Return the reason with `…` for each word that holds an id: `Encounter/e17 is gone` is `… is gone`."""
    return " ".join("…" if _is_id(word) else word for word in reason.split())


def literal_of(reason: str) -> str:
    """Return the longest part of the reason without ids; empty where it is too short to filter by."""
    longest = max((part.strip() for part in pattern_of(reason).split("…")), key=len, default="")
    # The words are those of the reason only where they are separated by single spaces there, too.
    return longest[:MAX_LITERAL].strip() if len(longest) >= MIN_LITERAL and longest in reason else ""


def grouped(letters: Iterable[DeadLetter]) -> list[Group]:
    """Return the groups, the largest first. `letters` are in the order of their sequences."""
    found: dict[tuple[str, str], list[DeadLetter]] = {}
    for letter in letters:
        found.setdefault((letter.consumer, pattern_of(letter.reason)), []).append(letter)
    groups = [
        Group(consumer, reason, literal_of(items[0].reason), len(items), items[0].failed_at, items[-1].failed_at)
        for (consumer, reason), items in found.items()
    ]
    return sorted(groups, key=lambda group: (-group.count, group.consumer, group.reason))


def to_ranges(sequences: Iterable[int]) -> str:
    """Return sequences as `1-3,7`."""
    ranges: list[list[int]] = []
    for number in sorted(set(sequences)):
        if ranges and ranges[-1][1] == number - 1:
            ranges[-1][1] = number
        else:
            ranges.append([number, number])
    return ",".join(str(first) if first == last else f"{first}-{last}" for first, last in ranges)


def from_ranges(text: str, most: int) -> list[int]:
    """Return the sequences of `1-3,7`, ascending. Raises ValueError for another form, or for more than `most`."""
    found: set[int] = set()
    for part in filter(None, text.split(",")):
        first, _, last = part.partition("-")
        if not (first.isdecimal() and (last or first).isdecimal()):
            raise ValueError("not a list of sequences")
        start, end = int(first), int(last or first)
        if not 1 <= start <= end < 2**63 or end - start >= most:
            raise ValueError("not a range of sequences")
        found.update(range(start, end + 1))
        if len(found) > most:
            raise ValueError(f"more than {most} sequences")
    return sorted(found)


def _is_id(word: str) -> bool:
    bare = word.strip(".,;:()'\"")
    return any(char.isdecimal() for char in bare) and not (bare.isdecimal() and len(bare) <= MAX_STATUS_DIGITS)
