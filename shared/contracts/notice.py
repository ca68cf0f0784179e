"""The line of a document that says who wrote its narrative. Pure: from what of the draft still stands in the text.

The drafter puts it below a draft. Whoever changes the text changes what is true of it, and the words have to follow: a
narrative that a physician wrote is not a model's, and a sentence of a model is not a physician's.
"""

from collections.abc import Iterator
from typing import Literal, get_args

from shared.contracts.draft import Draft

# model: sentences of a model stand among composed ones; rules: composed ones alone; none: there is no narrative.
NarrativeBy = Literal["model", "rules", "physician", "none"]
_NARRATIVE: dict[NarrativeBy, str] = {
    "model": "Narrative composed from the record by rules, with sentences of an AI model",
    "rules": "Narrative composed by rules from the record",
    "physician": "Narrative written by a physician",
    "none": "No narrative",
}


QUOTED = " A sentence that begins with the name of a note says what that note says."


def line(by: NarrativeBy, *, changed: bool = False, quoted: bool = False) -> str:
    """`changed`: a physician has changed what was drafted of the document. `quoted`: it has sentences of notes."""
    reviewed = "Reviewed and changed by a physician." if changed else "Reviewed by a physician."
    return f"{_NARRATIVE[by]}; facts are rendered from the record. {reviewed}{QUOTED if quoted else ''}"


LINES: dict[str, NarrativeBy] = {
    line(by, changed=changed, quoted=quoted): by
    for by in get_args(NarrativeBy)
    for changed in (False, True)
    for quoted in (False, True)
}


def lines_of(text: str) -> Iterator[tuple[str, NarrativeBy]]:
    """Every such line in `text` as it stands there, with what it says."""
    for found in text.splitlines():
        if (by := LINES.get(" ".join(found.split()))) is not None:
            yield found, by


def narrative_by(draft: Draft, text: str, *, own: bool) -> NarrativeBy:
    """Who wrote the narrative of `text`. `own`: it has sentences that the draft does not have."""
    origins = {draft.sentences[index].origin for index in draft.standing_in(text)}
    if "model" in origins:
        return "model"
    if origins:
        return "rules"
    return "physician" if own else "none"


def true_line(draft: Draft, text: str, *, own: bool) -> str:
    """What the line of `text` has to say."""
    by = narrative_by(draft, text, own=own)
    facts = (fact.text for part in draft.parts for group in part.groups for fact in group.facts)
    kept = all(fact in text for fact in facts)
    if by in ("model", "rules"):
        kept = kept and not own and len(draft.standing_in(text)) == len(draft.sentences)
    quoted = any(draft.sentences[index].origin == "note" for index in draft.standing_in(text))
    return line(by, changed=not kept, quoted=quoted)


def put_right(draft: Draft, text: str, *, own: bool) -> str:
    """`text` with such a line of it saying what is true; a text without one stays as it is."""
    wanted = true_line(draft, text, own=own)
    stale = {found.strip() for found, _ in lines_of(text)} - {wanted}
    for found in stale:
        text = text.replace(found, wanted)
    return text
