"""Merge a physician's edits to one draft into the next draft, line by line. Pure.

Facts and sentences are lines of the document. An edit stays where its lines are the same in the next draft. Where they
have changed, the new lines stand, and the edit is returned beside them.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from services.approval.review import text_diff


@dataclass(frozen=True, slots=True)
class Conflict:
    """Lines that were edited and have changed in the next draft, each joined by line breaks."""

    before: str
    edited: str
    now: str


@dataclass(frozen=True, slots=True)
class Merged:
    """The next draft's text with the edits that could stay, and those that could not."""

    text: str
    conflicts: tuple[Conflict, ...] = ()


@dataclass(frozen=True, slots=True)
class _Change:
    """Lines `start` to `end` of the base have become `lines`; an insertion has `start == end`."""

    start: int
    end: int
    lines: tuple[str, ...]


def merge(base: str, edited: str, now: str) -> Merged:
    """Return `now` with the edits that `edited` makes to `base`, both of which the caller has seen."""
    if edited in (base, now):
        return Merged(now)
    lines = base.split("\n")
    mine, theirs = _changes(base, edited), _changes(base, now)
    text: list[str] = []
    conflicts: list[Conflict] = []
    at = 0
    for start, end, own, new in _groups(mine, theirs):
        text += lines[at:start]
        at = end
        before, left, right = lines[start:end], _applied(lines, start, end, own), _applied(lines, start, end, new)
        if not new or left == right:
            text += left
        elif not own:
            text += right
        elif start == end:  # both have inserted lines
            text += [*right, *(line for line in left if line not in right)]
        else:
            text += right
            conflicts.append(Conflict("\n".join(before), "\n".join(left), "\n".join(right)))
    return Merged("\n".join([*text, *lines[at:]]), tuple(conflicts))


def _changes(before: str, after: str) -> list[_Change]:
    found = text_diff.line_changes(before.split("\n"), after.split("\n"))
    return [_Change(start, end, tuple(lines)) for start, end, lines in found]


def _groups(mine: Sequence[_Change], theirs: Sequence[_Change]) -> list[tuple[int, int, list[_Change], list[_Change]]]:
    """Return ranges of the base with the changes of both sides in them, in order. Changes that meet are one group."""
    marked = sorted(
        [(item, True) for item in mine] + [(item, False) for item in theirs],
        key=lambda pair: (pair[0].start, pair[0].end),
    )
    groups: list[tuple[int, int, list[_Change], list[_Change]]] = []
    for change, own in marked:
        last = groups[-1] if groups else None
        inserted = change.start == change.end
        # An insertion at the edge of a change is beside it; two insertions at one place meet.
        meets = last is not None and (change.start < last[1] or (inserted and last[0] == last[1] == change.start))
        if last is None or not meets:
            groups.append((change.start, change.end, [change] if own else [], [] if own else [change]))
            continue
        (last[2] if own else last[3]).append(change)
        groups[-1] = (last[0], max(last[1], change.end), last[2], last[3])
    return groups


def _applied(lines: Sequence[str], start: int, end: int, changes: Sequence[_Change]) -> list[str]:
    """Return lines `start` to `end` after the changes of one side."""
    found: list[str] = []
    at = start
    for change in changes:
        found += [*lines[at : change.start], *change.lines]
        at = max(at, change.end)
    return [*found, *lines[at:end]]
