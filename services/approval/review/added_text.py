"""Find the sentences that a physician added to a draft, and check them against the record. Pure."""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from shared.contracts.authorship import AUTHOR_BY_LINE
from shared.contracts.draft import TO_BE_WRITTEN, Draft, Label
from shared.contracts.envelope import sha256_hex as digest_of
from shared.grounding import CheckedClaim, EvidenceIndex, check, split_sentences

_BULLET = re.compile(r"^\s*(?:[-*•]|\d{1,2}[.)])\s+")
# Limit of the check during typing: its cost grows faster than the length of a sentence. 500 characters take 30 ms.
_MAX_SENTENCES = 300  # sentences; what comes after them is one: a text that long was not written over a draft
_MAX_CHARACTERS = 30_000  # characters, of all of them
_MAX_SENTENCE_CHARACTERS = 500  # characters of one
_MAX_HEADING_WORDS = 4  # words
_OF_HEADINGS = ("statement", "follow-up")  # kinds of claim that a heading may seem to make
_ENDS = ".!?:"  # what a line ends with that does not go on in the next one
_MAX_JOINED_CHARACTERS = 1_000  # characters of a sentence that spans lines


@dataclass(frozen=True, slots=True)
class Statement:
    """A sentence, or a line of a list, that is not literally in the draft."""

    text: str
    label: Label
    claims: tuple[CheckedClaim, ...] = ()  # those that the record does not support

    @property
    def digest(self) -> str:
        """SHA-256 of the text: a physician confirms the sentence by it, and the event names it."""
        return digest_of(self.text.encode())


def statements(
    draft: Draft, text: str, record: EvidenceIndex, checked: dict[str, Statement] | None = None
) -> tuple[Statement, ...]:
    """Return the sentences of `text` that are not in `draft`, in order and each once, checked against `record`.

    A sentence that is too long to be checked counts as not in the record; so does everything after the first 300
    sentences, which is one statement. `checked` caches results: while a person types, only one sentence changes.
    """
    found: list[Statement] = []
    room = _MAX_CHARACTERS
    known = {} if checked is None else checked
    new = list(dict.fromkeys(_new(draft, text)))
    for sentence in new[:_MAX_SENTENCES] + ["\n".join(new[_MAX_SENTENCES:])] * (len(new) > _MAX_SENTENCES):
        if len(sentence) > min(_MAX_SENTENCE_CHARACTERS, room):
            found.append(Statement(sentence, "not-in-record"))
            continue
        room -= len(sentence)
        statement = known.get(sentence)
        if statement is None:
            statement = known[sentence] = _checked(sentence, record)
        if not _is_heading(statement):
            found.append(statement)
    return tuple(found)


def _checked(sentence: str, record: EvidenceIndex) -> Statement:
    verdict = check(sentence, record)
    claims = tuple(item for item in verdict.findings if item.label != "supported")
    return Statement(sentence, verdict.label, claims)


def _is_heading(statement: Statement) -> bool:
    """Return whether it is a short heading without claims: "Pending results:", but not "No known allergies:"."""
    few = statement.text.endswith(":") and len(statement.text.split()) <= _MAX_HEADING_WORDS
    return few and statement.label != "contradicted" and all(item.kind in _OF_HEADINGS for item in statement.claims)


def _new(draft: Draft, text: str) -> Iterator[str]:
    """Yield sentences that are not in the draft. Headings and the product's own lines are not new."""
    lines = {_plain(line) for line in draft.text.splitlines()}
    known = {sentence for line in lines for sentence in split_sentences(line)} | lines
    ours = {part.title.casefold() for part in draft.parts} | {item.casefold() for item in AUTHOR_BY_LINE}
    for paragraph in _paragraphs(text, known, ours):
        if paragraph not in known:
            yield from (item for item in split_sentences(paragraph) if item not in known and re.search(r"\w", item))


def _paragraphs(text: str, known: set[str], ours: set[str]) -> Iterator[str]:
    """Yield lines without bullets; a new line that ends within a sentence is joined with the next one.

    Alone, "She has no" and "allergy to penicillin." would have another meaning. Headings and the product's own lines
    are left out.
    """
    begun = ""
    for line in text.splitlines():
        plain = _plain(line)
        ends = not plain or plain.casefold() in ours or plain.startswith(TO_BE_WRITTEN)
        if begun and (ends or _BULLET.match(line) or len(begun) > _MAX_JOINED_CHARACTERS):
            yield begun
            begun = ""
        if ends:
            continue
        whole = f"{begun} {plain}" if begun else plain
        begun = "" if whole in known or whole[-1] in _ENDS else whole
        if not begun:
            yield whole
    if begun:
        yield begun


def _plain(line: str) -> str:
    return " ".join(_BULLET.sub("", line).split())
