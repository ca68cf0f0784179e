"""Count the differences between a draft and the text that was signed, by part and kind, without their text. Pure.

A line of a draft is a sentence of its narrative or a fact of the record. Kinds are named after both, such as
`sentence-removed`. They are in events and in the API: none of them changes its meaning.
"""

import re
from collections import Counter
from collections.abc import Iterator
from typing import Literal, NamedTuple

from services.approval.review import text_diff
from shared.contracts.authorship import AUTHOR_BY_LINE
from shared.contracts.draft import HEADINGS, TO_BE_WRITTEN, Draft, PartCode
from shared.contracts.events import EditCount
from shared.grounding import split_sentences

Change = Literal["added", "removed", "moved", "reworded", "number-changed"]
HEADER: PartCode = "document-header"  # the text above the first part
MAX_HEADING_WORDS = 4
_BULLET = re.compile(r"^\s*(?:[-*•]|\d{1,2}[.)])\s+")
_NUMBER = re.compile(r"\d+(?:[.,:/-]\d+)*")


class _Unit(NamedTuple):
    """A sentence, or a fact, and the part that it stands in. Title lines of parts are units too: they align texts."""

    part: PartCode
    text: str
    kind: Literal["sentence", "fact", "title"] = "sentence"


class _Edit(NamedTuple):
    part: PartCode
    of: str
    change: Change
    text: str  # of a unit that was removed or added, to find those that were moved


def edit_counts(draft: Draft, text: str) -> tuple[EditCount, ...]:
    """Return the differences of the signed `text` from the draft, in the order of parts and kinds.

    Headings and the line about the author of the narrative are left out. A pair of similar lines is one change; a line
    that stands elsewhere with the same words was moved.
    """
    if text == draft.text:
        return ()
    found = Counter((item.part, f"{item.of}-{item.change}") for item in _with_moves(list(_edits(draft, text))))
    order = {code: index for index, code in enumerate([HEADER, *(part.code for part in draft.parts)])}
    ranked = sorted(found, key=lambda place: (order[place[0]], place[1]))
    return tuple(EditCount(part=part, kind=kind, count=found[part, kind]) for part, kind in ranked)


def _edits(draft: Draft, text: str) -> Iterator[_Edit]:
    before, after = list(_units(draft, draft.text)), list(_units(draft, text))
    shift = 0  # number of lines by which a line of `before` moved in `after`
    for start, end, new in text_diff.line_changes([item.text for item in before], [item.text for item in after]):
        old = before[start] if end > start else None
        now = after[start + shift] if new else None
        shift += len(new) - (end - start)
        kind = old.kind if old is not None else now.kind if now is not None else "title"
        if kind == "title":
            continue  # every part has to be there, so that a title was at most worded in another way
        if old is not None and now is not None:
            same = _NUMBER.sub("#", old.text) == _NUMBER.sub("#", now.text)
            yield _Edit(old.part, kind, "number-changed" if same else "reworded", "")
        elif old is not None:
            yield _Edit(old.part, kind, "removed", old.text)
        elif now is not None:
            yield _Edit(now.part, kind, "added", now.text)


def _with_moves(edits: list[_Edit]) -> Iterator[_Edit]:
    """Yield one edit for a unit that was removed in one place and added in another."""
    removed = Counter(item.text for item in edits if item.change == "removed")
    moved = removed & Counter(item.text for item in edits if item.change == "added")
    left = {"removed": Counter(moved), "added": Counter(moved)}
    for item in edits:
        counting = left.get(item.change)
        if counting is None or not counting[item.text]:
            yield item
            continue
        counting[item.text] -= 1
        if item.change == "removed":
            yield item._replace(change="moved")


def _units(draft: Draft, text: str) -> Iterator[_Unit]:
    titles = {part.title.casefold(): part.code for part in draft.parts}
    groups = {f"{group.title}:".casefold() for part in draft.parts for group in part.groups}
    headings = groups | {f"{heading}:".casefold() for heading in HEADINGS.values()}
    at = HEADER
    for line in text.splitlines():
        plain = " ".join(_BULLET.sub("", line).split())
        folded = plain.casefold()
        if folded in titles:
            at = titles[folded]
            yield _Unit(at, plain, "title")
        elif plain and folded not in headings and plain not in AUTHOR_BY_LINE and not _is_heading(plain):
            if at == HEADER or _BULLET.match(line):
                yield _Unit(at, plain, "fact")
            else:
                yield from (_Unit(at, sentence) for sentence in split_sentences(plain))


def _is_heading(line: str) -> bool:
    """Return whether a line is a heading of the physician's own, or an open place of a draft."""
    return (line.endswith(":") and len(line.split()) <= MAX_HEADING_WORDS) or line.startswith(TO_BE_WRITTEN)
