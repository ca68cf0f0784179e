"""Names of medicines and diagnoses, independent of any record. Loaded on first use; see build_vocabulary.py."""

import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path

FOLDER = Path(__file__).parent
Words = list[tuple[str, int, int]]  # a word, where it begins, where it ends

WORD = re.compile(r"[^\W_]+(?:['-][^\W_]+)*")


@dataclass(frozen=True, slots=True)
class Mention:
    """A name in a text: its place, its wording, and its canonical name."""

    start: int
    end: int
    text: str
    canonical: str


class Vocabulary:
    """Find the longest known names in a text."""

    def __init__(self, names: dict[str, str]) -> None:
        self._names = names
        self._longest: dict[str, int] = {}  # first word of a name → words of the longest name that begins with it
        for name in names:
            words = name.split()
            self._longest[words[0]] = max(len(words), self._longest.get(words[0], 0))

    def find(self, text: str, words: Words) -> list[Mention]:
        """Return mentions in order; a word belongs to at most one of them. `words` are those of `text`."""
        found: list[Mention] = []
        index = 0
        while index < len(words):
            longest = self._longest.get(words[index][0])
            size = self._size_at(words, index, longest) if longest else 0
            if size:
                start, end = words[index][1], words[index + size - 1][2]
                found.append(Mention(start, end, text[start:end], self._names[_join_words(words, index, size)]))
            index += max(size, 1)
        return found

    def _size_at(self, words: Words, index: int, longest: int) -> int:
        """Return the number of words of the longest name that begins here; 0 without one."""
        sizes = range(min(longest, len(words) - index), 0, -1)
        return next((size for size in sizes if _join_words(words, index, size) in self._names), 0)


def find_words(text: str) -> Words:
    """Return the words of `text`, in lower case, with their places."""
    return [(match.group(), match.start(), match.end()) for match in WORD.finditer(text.lower())]


def normalized_name(text: str) -> str:
    """Return a name as the vocabularies have it: lower-case words separated by spaces."""
    return " ".join(word for word, _, _ in find_words(text))


def _join_words(words: Words, index: int, size: int) -> str:
    return " ".join(word for word, _, _ in words[index : index + size])


def read_vocabulary(name: str) -> dict[str, str]:
    """Read a table of names and their canonical names."""
    lines = (FOLDER / f"{name}.tsv").read_text().splitlines()
    return dict(line.split("\t") for line in lines)


@cache
def drug_names() -> Vocabulary:
    """Return the generic name for each brand and generic name."""
    return Vocabulary(read_vocabulary("drugs"))
