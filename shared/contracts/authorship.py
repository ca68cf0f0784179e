"""The line of a document that states who wrote its narrative, derived from the text. Pure.

The drafter puts it below a draft. When the text changes, the line must stay true: a narrative that a physician wrote is
not a model's, and a sentence of a model is not a physician's.
"""

from collections.abc import Iterator
from typing import Literal, get_args

from shared.contracts.draft import Draft

# model: a model's sentences among composed ones; rules: composed ones only; none: no narrative.
NarrativeAuthor = Literal["model", "rules", "physician", "none"]
_AUTHOR_TEXT: dict[NarrativeAuthor, str] = {
    "model": "Narrative composed from the record by rules, with sentences of an AI model",
    "rules": "Narrative composed by rules from the record",
    "physician": "Narrative written by a physician",
    "none": "No narrative",
}


QUOTATION_TEXT = " A sentence that begins with the name of a note says what that note says."


def authorship_line(by: NarrativeAuthor, *, changed: bool = False, quoted: bool = False) -> str:
    """Return the line for an author.

    `changed`: a physician has changed the drafted text. `quoted`: it has sentences of notes.
    """
    reviewed = "Reviewed and changed by a physician." if changed else "Reviewed by a physician."
    return f"{_AUTHOR_TEXT[by]}; facts are rendered from the record. {reviewed}{QUOTATION_TEXT if quoted else ''}"


AUTHOR_BY_LINE: dict[str, NarrativeAuthor] = {
    authorship_line(by, changed=changed, quoted=quoted): by
    for by in get_args(NarrativeAuthor)
    for changed in (False, True)
    for quoted in (False, True)
}
_SHORTEST_LINE = min(map(len, AUTHOR_BY_LINE))


def find_lines(text: str) -> Iterator[tuple[str, NarrativeAuthor]]:
    """Yield every such line in `text`, with the author that it states."""
    for found in text.splitlines():
        if len(found) < _SHORTEST_LINE:  # most lines: a text may have tens of thousands
            continue
        if (by := AUTHOR_BY_LINE.get(" ".join(found.split()))) is not None:
            yield found, by


def narrative_author(draft: Draft, text: str, *, own: bool) -> NarrativeAuthor:
    """Return who wrote the narrative of `text`. `own`: it has sentences that the draft does not have."""
    origins = {draft.sentences[index].origin for index in draft.sentences_in(text)}
    if "model" in origins:
        return "model"
    if origins:
        return "rules"
    return "physician" if own else "none"


def correct_line(draft: Draft, text: str, *, own: bool) -> str:
    """Return the line that is true of `text`."""
    by = narrative_author(draft, text, own=own)
    facts = (fact.text for part in draft.parts for group in part.groups for fact in group.facts)
    kept = all(fact in text for fact in facts)
    if by in ("model", "rules"):
        kept = kept and not own and len(draft.sentences_in(text)) == len(draft.sentences)
    quoted = any(draft.sentences[index].origin == "note" for index in draft.sentences_in(text))
    return authorship_line(by, changed=not kept, quoted=quoted)


def with_correct_lines(draft: Draft, text: str, *, own: bool) -> str:
    """Return `text` with its lines corrected; a text without such a line is returned unchanged."""
    wanted = correct_line(draft, text, own=own)
    stale = {found.strip() for found, _ in find_lines(text)} - {wanted}
    for found in stale:
        text = text.replace(found, wanted)
    return text
