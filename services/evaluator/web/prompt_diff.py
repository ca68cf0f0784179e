"""Two texts of prompts, line by line. Pure."""

from collections.abc import Iterator
from dataclasses import dataclass
from difflib import SequenceMatcher
from typing import Literal

CONTEXT = 3  # lines around a difference
MAX_LINES = 2000  # of both texts together; comparing more would hold up other requests


@dataclass(frozen=True, slots=True)
class DiffLine:
    """`skipped` stands for lines that are the same; its text says how many."""

    kind: Literal["same", "added", "removed", "skipped"]
    text: str


def prompt_diff(before: str, after: str) -> list[DiffLine] | None:
    """Return what differs, with the lines around it: empty where nothing does, None where the texts are too long."""
    old, new = before.splitlines(), after.splitlines()
    if len(old) + len(new) > MAX_LINES:
        return None
    matcher = SequenceMatcher(None, old, new, autojunk=False)
    return list(_lines(matcher, old, new)) if old != new else []


def _lines(matcher: "SequenceMatcher[str]", old: list[str], new: list[str]) -> Iterator[DiffLine]:
    shown = 0  # lines of `old` so far
    for group in matcher.get_grouped_opcodes(CONTEXT):
        yield from _skipped(group[0][1] - shown)
        for kind, start, end, new_start, new_end in group:
            if kind == "equal":
                yield from (DiffLine("same", line) for line in old[start:end])
                continue
            yield from (DiffLine("removed", line) for line in old[start:end])
            yield from (DiffLine("added", line) for line in new[new_start:new_end])
        shown = group[-1][2]
    yield from _skipped(len(old) - shown)


def _skipped(count: int) -> Iterator[DiffLine]:
    if count:
        yield DiffLine("skipped", f"{count} line{'' if count == 1 else 's'} the same")
