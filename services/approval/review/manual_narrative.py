"""Documents whose narrative the physician writes: the facts of the draft, a placeholder for each narrative. Pure."""

from collections.abc import Sequence

from services.approval.review.signing_rules import heading
from shared.contracts import authorship
from shared.contracts.draft import HEADINGS, TO_BE_WRITTEN, Draft, Narrative


def to_write(draft: Draft) -> str:
    """Return the draft's text without narrative sentences; its placeholders have to be replaced before signing."""
    lines, opened = _without_narrative(draft)
    if "hospital-course" not in opened:
        lines = _with_placeholder(draft, lines, "hospital-course")
    text = "\n".join(lines)
    for found, _ in authorship.find_lines(text):
        text = text.replace(found, authorship.authorship_line("physician"))
    return text


def placeholder(narrative: Narrative) -> str:
    """Return the placeholder of a narrative that has to be written."""
    return f"  {TO_BE_WRITTEN}: {HEADINGS[narrative].lower()}]"


def _without_narrative(draft: Draft) -> tuple[list[str], set[Narrative]]:
    """Return the lines with one placeholder for the sentences of each narrative, and the narratives that have one."""
    lines: list[str] = []
    opened: set[Narrative] = set()
    for line in draft.text.split("\n"):
        rest = line
        found: Narrative | None = None
        for sentence in draft.sentences if not line.lstrip().startswith("- ") else ():
            if sentence.text in rest:
                rest, found = rest.replace(sentence.text, ""), sentence.narrative
        if found is None or rest.strip():
            lines.append(line if found is None else rest)
        if found is not None and found not in opened:
            lines.append(placeholder(found))
            opened.add(found)
    if draft.by_hand and TO_BE_WRITTEN in draft.text:  # a draft from before narratives were composed
        opened.add("hospital-course")
    return lines, opened


def _with_placeholder(draft: Draft, lines: Sequence[str], narrative: Narrative) -> list[str]:
    """Add a placeholder for a narrative that the draft lacks, at the end of its part."""
    part = draft.part_of(narrative)
    own = heading(part.title) if part else None
    others = {heading(part.title) for part in draft.parts} - {own}
    start = next((number for number, line in enumerate(lines) if heading(line) == own), None)
    if start is None:
        return list(lines)
    below = range(start + 1, len(lines))
    end = next(
        (number for number in below if heading(lines[number]) in others or _is_authorship_line(lines[number])),
        len(lines),
    )
    while end > start + 1 and not lines[end - 1].strip():
        end -= 1
    return [*lines[:end], f"{HEADINGS[narrative]}:", placeholder(narrative), *lines[end:]]


def _is_authorship_line(line: str) -> bool:
    return any(True for _ in authorship.find_lines(line))
