"""Rules that a text must meet to be signed, the same for the page, the API and Tasks in the EHR. Pure."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from rapidfuzz import fuzz

from services.approval.review import edits
from services.approval.review.added_text import Statement
from services.approval.review.errors import DecisionRefusedError, Obstacle
from shared.contracts import authorship
from shared.contracts.draft import TO_BE_WRITTEN, Draft
from shared.contracts.events import ConfirmedSentence, Resolution, ResolutionKind

SIMILARITY_PERCENT = 60  # a sentence that has something like it in the text was changed, else removed
PATIENT = "Patient: "  # prefix of the line that identifies the patient
_SAYS_WHO = re.compile(r"\W*patient\s*:", re.IGNORECASE)  # what a reader takes for such a line


@dataclass(frozen=True, slots=True)
class ResolvedItems:
    """Items of a draft that a physician has resolved: sentences and open points, both counted from 0."""

    resolutions: Mapping[int, ResolutionKind] = field(default_factory=dict)
    acknowledged: Sequence[int] = ()
    written: frozenset[str] = frozenset()  # digests of sentences of their own that the record does not support

    @property
    def confirmed(self) -> tuple[int, ...]:
        return tuple(index for index, how in self.resolutions.items() if how == "confirmed")


def check(draft: Draft, text: str, resolved: ResolvedItems, written: Sequence[Statement] = ()) -> None:
    """Raise DecisionRefusedError where `text` may not be signed. `written` are its sentences that the draft lacks."""
    if lacking := incomplete(draft, text):
        raise DecisionRefusedError("incomplete", " ".join(item.detail for item in lacking), lacking)
    if waiting := [*unresolved(draft, text, resolved), *unconfirmed(written, resolved)]:
        sentences = sum(item.field != "acknowledged" for item in waiting)
        raise DecisionRefusedError("unresolved", to_do(sentences, len(waiting) - sentences), waiting)
    if text != draft.text and (untrue := misleading(draft, text, written)):
        raise DecisionRefusedError("misleading", untrue[0].detail, untrue)


def misleading(draft: Draft, text: str, written: Sequence[Statement] = ()) -> list[Obstacle]:
    """Return lines about the author of the narrative that are not true for `text`."""
    by = authorship.narrative_author(draft, text, own=bool(written))
    drafted = by in ("model", "rules")
    claimed = {claim for _, claim in authorship.find_lines(text)}
    if not any(claim != by and (not drafted or by == "model") for claim in claimed):
        return []
    correct = authorship.correct_line(draft, text, own=bool(written))
    return [Obstacle("text", f"The line that says who wrote the narrative is not true. It has to be: {correct}")]


def check_addendum(draft: Draft, words: str, resolved: ResolvedItems, written: Sequence[Statement] = ()) -> None:
    """Check an addendum to the document of `draft`. `written` are the sentences of `words` that the draft lacks.

    The line that identifies the patient is added by us: `words` must not have another. Raises DecisionRefusedError.
    """
    lacking = [Obstacle("text", detail) for detail in _lacking_of_addendum(draft, words)]
    if lacking:
        raise DecisionRefusedError("incomplete", " ".join(item.detail for item in lacking), lacking)
    # A sentence that was taken out of the draft may come back here.
    if waiting := [*unresolved(draft, words, resolved), *unconfirmed(written, resolved)]:
        raise DecisionRefusedError("unresolved", to_do(len(waiting), 0), waiting)


def _lacking_of_addendum(draft: Draft, words: str) -> Iterator[str]:
    if not re.search(r"\w", words):
        yield "The addendum is empty."
    if TO_BE_WRITTEN in words:
        yield "A part that you are to write is still open."
    lines = (" ".join(line.split()) for line in words.splitlines())
    if any(_SAYS_WHO.match(line) and line != identity(draft) for line in lines):
        yield "A line that begins with “Patient:” says who the document is about, and this one names another."


def to_do(sentences: int, points: int) -> str:
    """Return what has to be resolved, in words."""
    counts = [
        f"{number} {one if number == 1 else many}"
        for number, one, many in (
            (sentences, "sentence that the record does not support", "sentences that the record does not support"),
            (points, "open point", "open points"),
        )
        if number
    ]
    return f"To be resolved before the signature: {' and '.join(counts)}."


def unresolved(draft: Draft, text: str, resolved: ResolvedItems) -> list[Obstacle]:
    """Return unsupported sentences and open points of `draft` that nobody has resolved for `text`."""
    sentences = (
        Obstacle("resolutions", "The record does not support this sentence: confirm, change or remove it.", index)
        for index in edits.unresolved(draft, text, resolved.confirmed)
    )
    points = (
        Obstacle("acknowledged", "Look at this open point and acknowledge it.", index)
        for index in edits.unacknowledged(draft, resolved.acknowledged)
    )
    return [*sentences, *points]


def unconfirmed(written: Sequence[Statement], resolved: ResolvedItems) -> list[Obstacle]:
    """Return the physician's own sentences that the record does not support and nobody has confirmed."""
    words = {
        "contradicted": "The record contradicts a sentence that you wrote: change or confirm it.",
        "not-in-record": "The record does not have what a sentence that you wrote says: change or confirm it.",
    }
    return [
        Obstacle("written", words[item.label], index, item.digest)
        for index, item in enumerate(written)
        if item.label != "supported" and item.digest not in resolved.written
    ]


def incomplete(draft: Draft, text: str) -> list[Obstacle]:
    """Return what `text` lacks to be the document of this stay: its patient, its parts, a manual narrative."""
    return [Obstacle("text", detail) for detail in _lacking(draft, text)]


def _lacking(draft: Draft, text: str) -> Iterator[str]:
    if TO_BE_WRITTEN in text:
        yield "A part that you are to write is still open."
    lines = [" ".join(line.split()) for line in text.splitlines()]
    patients = {line for line in lines if line.startswith(PATIENT)}
    own = identity(draft)
    if own is not None and own not in patients:
        yield "The line that says who the patient is was removed or changed."
    if patients - {own}:
        yield "The text names another patient."
    headings = [heading(line) for line in lines]
    titles = {heading(part.title) for part in draft.parts}
    for part in draft.parts:
        if part.required and not _has_content(heading(part.title), lines, headings, titles):
            yield f"The part “{part.title}” is missing or empty."


def identity(draft: Draft) -> str | None:
    """Return the line of the draft that identifies the patient."""
    lines = (" ".join(line.split()) for line in draft.text.splitlines())
    return next((line for line in lines if line.startswith(PATIENT)), None)


def _has_content(title: str, lines: Sequence[str], headings: Sequence[str], titles: set[str]) -> bool:
    """Return whether `lines` have the heading `title`, and words below it that are not a heading.

    `headings` are the lines as headings are compared; `titles` are those of all parts.
    """
    for start in (number for number, found in enumerate(headings) if found == title):
        for number in range(start + 1, len(lines)):
            if headings[number] in titles:
                break
            if re.search(r"\w", lines[number]) and not lines[number].endswith(":"):
                return True
    return False


def heading(text: str) -> str:
    """Return a line as headings are compared: case-folded and without a colon."""
    return text.strip().rstrip(":").casefold()


def resolutions(draft: Draft, text: str, resolved: ResolvedItems) -> tuple[Resolution, ...]:
    """Return what happened to each sentence that the record does not support, for the event."""
    stand = set(edits.unchanged_sentences(draft, text))
    return tuple(
        Resolution(sentence=index, how="confirmed" if index in stand else _how(sentence.text, text, index, resolved))
        for index, sentence in enumerate(draft.sentences)
        if not sentence.supported
    )


def confirmed_sentences(written: Sequence[Statement]) -> tuple[ConfirmedSentence, ...]:
    """Return the physician's own sentences that the record does not support, for the event."""
    return tuple(
        ConfirmedSentence(digest=item.digest, label=item.label) for item in written if item.label != "supported"
    )


def _how(sentence: str, text: str, index: int, resolved: ResolvedItems) -> ResolutionKind:
    chosen = resolved.resolutions.get(index)
    if chosen in ("changed", "removed"):
        return chosen
    return "changed" if fuzz.partial_ratio(sentence, text) >= SIMILARITY_PERCENT else "removed"
