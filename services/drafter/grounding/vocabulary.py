"""Names of medicines and diagnoses, independent of any record. Read on first use; see build_vocabulary.py."""

import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path

FOLDER = Path(__file__).parent
WORD = re.compile(r"[a-z0-9][a-z0-9'-]*")


@dataclass(frozen=True, slots=True)
class Mention:
    """A name found in a text: where, as worded, and what it stands for."""

    start: int
    end: int
    text: str
    canonical: str


class Vocabulary:
    """Finds the longest known names in a text."""

    def __init__(self, names: dict[str, str]) -> None:
        self._names = names
        self._longest: dict[str, int] = {}  # first word of a name → words of the longest name that begins with it
        for name in names:
            words = name.split()
            self._longest[words[0]] = max(len(words), self._longest.get(words[0], 0))

    def find(self, text: str) -> list[Mention]:
        """Mentions in order; a word belongs to one of them at most."""
        words = list(WORD.finditer(text.lower()))
        found: list[Mention] = []
        index = 0
        while index < len(words):
            mention = self._longest_at(text, words, index)
            if mention is None:
                index += 1
            else:
                found.append(mention)
                index += len(mention.text.split())
        return found

    def _longest_at(self, text: str, words: list[re.Match[str]], index: int) -> Mention | None:
        for size in range(min(self._longest.get(words[index].group(), 0), len(words) - index), 0, -1):
            name = " ".join(word.group() for word in words[index : index + size])
            if (canonical := self._names.get(name)) is not None:
                start, end = words[index].start(), words[index + size - 1].end()
                return Mention(start, end, text[start:end], canonical)
        return None


def _read(name: str) -> Vocabulary:
    lines = (FOLDER / f"{name}.tsv").read_text().splitlines()
    return Vocabulary(dict(line.split("\t") for line in lines))


@cache
def drugs() -> Vocabulary:
    return _read("drugs")


@cache
def diagnoses() -> Vocabulary:
    return _read("diagnoses")
