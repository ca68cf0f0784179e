"""What a physician wrote into a document that its draft does not have, and what the record says of it. Pure."""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from shared.contracts.draft import Draft, Label
from shared.contracts.envelope import digest as digest_of
from shared.grounding import Finding, Record, check, split

_BULLET = re.compile(r"^\s*(?:[-*•]|\d{1,2}[.)])\s+")
_MOST = 300  # sentences that are checked; a longer text was not written over a draft


@dataclass(frozen=True, slots=True)
class Statement:
    """A sentence, or a line of a list, that the draft does not have word for word."""

    text: str
    label: Label
    claims: tuple[Finding, ...] = ()  # those that the record does not support

    @property
    def digest(self) -> str:
        """SHA-256 of the text: by it a physician confirms the sentence, and the trail names it."""
        return digest_of(self.text.encode())


def statements(draft: Draft, text: str, record: Record) -> tuple[Statement, ...]:
    """The sentences of `text` that are not in `draft`, in order, each once, with what `record` says of them."""
    return tuple(_checked(sentence, record) for sentence in list(dict.fromkeys(_new(draft, text)))[:_MOST])


def _checked(sentence: str, record: Record) -> Statement:
    verdict = check(sentence, record)
    claims = tuple(item for item in verdict.findings if item.label != "supported")
    return Statement(sentence, verdict.label, claims)


def _new(draft: Draft, text: str) -> Iterator[str]:
    """A line of the draft, or a sentence of one, is not new; neither is a heading."""
    lines = {_plain(line) for line in draft.text.splitlines()}
    known = {sentence for line in lines for sentence in split(line)} | lines
    headings = {part.title.casefold() for part in draft.parts}
    for line in map(_plain, text.splitlines()):
        if line in known or line.endswith(":") or line.casefold() in headings:
            continue
        yield from (sentence for sentence in split(line) if sentence not in known and re.search(r"\w", sentence))


def _plain(line: str) -> str:
    return " ".join(_BULLET.sub("", line).split())
