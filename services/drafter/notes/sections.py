"""Split a note into sections by headings, as doctors, nurses and templates write them. Pure."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import get_args

from services.drafter.notes import pattern_files
from shared.contracts.context import NoteSection

MAX_HEADING_CHARACTERS = 70
MIN_SENTENCE_WORDS = 3  # a line with so many words that looks like a heading may be a statement
# English, with the headings of German and Dutch notes that we know.
_SECTION_PATTERNS = pattern_files.read_patterns("headings.tsv", get_args(NoteSection))
_DECORATION = re.compile(r"^[\s#*=_\-~>|•]+|[\s#*=_\-~|]+$")
# `Assessment: the words`, `ASSESSMENT AND PLAN:`; not `10:30 seen` or `HR: 80`
_BEFORE_COLON = re.compile(
    r"\s*[#*=_>~ ]{0,6}([^\W\d][^:\n]{0,68}?)[*_ ]{0,3}\s?:(?:[*_]{0,3})(?=\s|$)\s*(.*)", re.DOTALL
)
# `# AKI on CKD`, `1. Sepsis:`, `#1 Sepsis -`
_PROBLEM = re.compile(r"\s*(?:#+\s*\d{0,2}[.):]?\s*|\d{1,2}[.)]\s+|\*\*)([^\W\d].{2,90}?)\**\s*$")
_INLINE_PROBLEM = re.compile(
    r"\s*(?:#+\s*\d{0,2}[.):]?\s*|\d{1,2}[.)]\s+)([^\W\d][^:.]{2,70}?)(?::\s+|\s+[-–—]\s+)(.+)", re.DOTALL
)
_CAPITALS = re.compile(r"[A-ZÄÖÜ][A-ZÄÖÜ ,/&()'-]{3,60}")
_SECTIONS_WITH_PROBLEMS: frozenset[NoteSection] = frozenset(
    {"assessment", "plan", "recommendations", "course", "diagnosis"}
)


@dataclass(slots=True)
class NotePart:
    """Lines under one heading, and under the heading of one problem within it."""

    section: NoteSection
    heading: str = ""
    problem: str = ""
    lines: list[str] = field(default_factory=list)


def split_parts(text: str, title: str = "") -> Iterator[NotePart]:
    """Split the text by its headings; `title` is that of a section that the record keeps separately."""
    own = section_of(title) if title else None
    part = NotePart(own or ("other" if title else ""), title)
    for line in text.split("\n"):
        begun = _started_part(line, part, top=not title)
        if begun is None:
            part.lines.append(line)
            continue
        yield from _non_empty(part)
        part = begun
    yield from _non_empty(part)


def _non_empty(part: NotePart) -> Iterator[NotePart]:
    """Yield the part, where it has text. A heading with nothing below it may be a sentence and is kept."""
    if any(item.strip() for item in part.lines):
        yield part
    elif part.heading and (part.section == "other" or len(part.heading.split()) >= MIN_SENTENCE_WORDS):
        yield NotePart(part.section, lines=[part.heading])


def section_of(heading: str) -> NoteSection | None:
    """Return the section of a heading; None for an unknown one."""
    bare = _DECORATION.sub("", heading).rstrip(" :")
    bare = re.sub(r"^(?:\d{1,2}|[IVX]{1,4})[.)]\s+", "", bare)
    if not bare or len(bare) > MAX_HEADING_CHARACTERS:
        return None
    return next((key for key, pattern in _SECTION_PATTERNS if pattern.fullmatch(bare)), None)


def _started_part(line: str, before: NotePart, *, top: bool) -> NotePart | None:
    """Return the part that a line begins; None where it continues the one before."""
    bare = _DECORATION.sub("", line)
    if not bare:
        return None
    match = _BEFORE_COLON.match(line)
    if match is not None and (key := section_of(match[1])) is not None and _is_heading(match[1], match[2]):
        return NotePart(key, match[1].strip(), "", [match[2]] if match[2].strip() else [])
    alone = not re.search(r"[.;,!?]$", bare)
    if alone and len(bare) > 2 and (key := section_of(bare)) is not None and (bare[:1].isupper() or line != bare):
        return NotePart(key, bare)
    if before.section in _SECTIONS_WITH_PROBLEMS:
        if (inline := _INLINE_PROBLEM.match(line)) is not None and len(inline[1].split()) <= 9:
            return NotePart(before.section, before.heading, inline[1].strip(), [line])
        problem = _PROBLEM.match(line)
        if problem is not None and len(problem[1].split()) <= 12 and not problem[1].rstrip().endswith((".", ";")):
            named = problem[1].strip(" :*")
            return NotePart(before.section, before.heading, named, [named, ""])  # a statement of its own
    if top and match is not None and not match[2].strip() and len(match[1].split()) <= 6:
        return NotePart("other", match[1].strip())  # an unknown heading ends the section, too
    if top and _CAPITALS.fullmatch(bare) and len(bare.split()) <= 4 and before.section not in _SECTIONS_WITH_PROBLEMS:
        return NotePart("other", bare, "", [bare, ""])  # or a sentence in capitals: it is kept
    return None


def _is_heading(heading: str, rest: str) -> bool:
    """Return whether a text is a heading. SOAP initials must be capitals; `plan: ` within a sentence is none."""
    return heading.strip()[:1].isupper() and (len(heading.strip()) > 1 or bool(rest.strip()))
