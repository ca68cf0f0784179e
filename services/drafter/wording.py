"""Wording that a department prefers in its documents: `<department>.toml` in a folder of the hospital, read at start.

    [[wording]]
    kinds = ["discharge-summary", "transfer-summary"]   # left out: every kind
    instructions = "Name the ejection fraction first."
    examples = ["She was admitted with ….", "He was admitted with …."]
    length = [{ days = 2, words = 80 }, { days = 7, words = 150 }, { words = 250 }]

It is passed to the model next to the facts, each item on one line and without markers of any template. It is not a
source of facts: a sentence of an example gets into a document only if the record supports it.
"""

import re
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Self

from pydantic import Field, StringConstraints, model_validator

from services.drafter.kinds.declaration import Name
from services.drafter.prompts import one_line
from shared.contracts.draft import Sentence
from shared.contracts.envelope import sha256_hex
from shared.contracts.errors import PermanentError
from shared.contracts.model import Model
from shared.contracts.subjects import DEPARTMENT
from shared.declarations import read_toml, validate
from shared.grounding import split_sentences

MAX_INSTRUCTIONS_CHARACTERS, MAX_EXAMPLE_CHARACTERS, MAX_WORDS = 1000, 800, 600
TOKENS_PER_WORD = 2  # with a small vocabulary and clinical words; spare tokens cost nothing
DEFAULT_DEPARTMENT = "default"  # the file for departments without their own
_Text = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1)]
_Instructions = Annotated[_Text, Field(max_length=MAX_INSTRUCTIONS_CHARACTERS)]
_Example = Annotated[_Text, Field(max_length=MAX_EXAMPLE_CHARACTERS)]


class Length(Model):
    """The number of words for stays of up to `days` days; without `days`, for all longer ones."""

    days: int | None = Field(default=None, ge=1)
    words: int = Field(ge=20, le=MAX_WORDS)


class Wording(Model):
    """Wording for some kinds of documents of a department."""

    kinds: tuple[Name, ...] = ()
    instructions: _Instructions | None = None
    examples: tuple[_Example, ...] = Field(default=(), max_length=3)
    length: tuple[Length, ...] = ()

    @model_validator(mode="after")
    def _check_lengths(self) -> Self:
        days = [item.days or float("inf") for item in self.length]
        if days != sorted(set(days)):
            raise ValueError("length must go from the shortest stay to the longest, each once")
        return self

    @property
    def digest(self) -> str:
        return sha256_hex(self.model_dump_json(exclude={"kinds"}).encode())

    def max_words(self, days: int | None) -> int | None:
        """Return the number of words of a hospital course for a stay of `days` days; None without one."""
        return next((item.words for item in self.length if days is not None and days <= (item.days or days)), None)

    def lines(self, days: int | None) -> str:
        """Return the lines for the model. No text in them can end its line or turn, or fill a placeholder."""
        lines = (
            [f"The department asks: {one_line(self.instructions, MAX_INSTRUCTIONS_CHARACTERS)}"]
            if self.instructions
            else []
        )
        lines += [
            f"An example of its wording, about somebody else: {one_line(text, MAX_EXAMPLE_CHARACTERS)}"
            for text in self.examples
        ]
        if words := self.max_words(days):
            lines.append(f"Write about {words} words.")
        return "".join(f"\n{line}" for line in lines)

    def without_copies(self, sentences: Iterable[Sentence]) -> tuple[tuple[Sentence, ...], int]:
        """Return the sentences without unsupported ones that copy an example, and the number of those."""
        theirs = {_comparable(text) for example in self.examples for text in split_sentences(example)}
        found = tuple(sentences)
        kept = tuple(item for item in found if item.supported or _comparable(item.text) not in theirs)
        return kept, len(found) - len(kept)


def _comparable(text: str) -> str:
    return " ".join(re.findall(r"\w+", text.casefold()))


class _WordingFile(Model):
    wording: tuple[Wording, ...] = Field(min_length=1)


@dataclass(frozen=True, slots=True)
class Departments:
    """Wording by department."""

    files: dict[str, tuple[Wording, ...]] = field(default_factory=dict)

    def of(self, department: str, kind: str) -> Wording | None:
        """Return the first wording for the kind: the department's own, else the default one."""
        listed = (*self.files.get(department, ()), *self.files.get(DEFAULT_DEPARTMENT, ()))
        return next((item for item in listed if not item.kinds or kind in item.kinds), None)


def read_departments(folder: Path | None, kinds: Collection[str]) -> Departments:
    """Read the files of `folder`.

    Raises PermanentError whose reason names the invalid file and the error.
    """
    if folder is None:
        return Departments()
    if not folder.is_dir():
        raise PermanentError(f"{folder} is not a folder of departments' wording")
    return Departments({path.stem: _read_file(path, kinds) for path in sorted(folder.glob("*.toml"))})


def _read_file(path: Path, kinds: Collection[str]) -> tuple[Wording, ...]:
    if not re.match(DEPARTMENT, path.stem):
        raise PermanentError(f"{path}: the file name is not a department such as internal-medicine.toml")
    found = validate(_WordingFile, read_toml(path), path)
    unknown = sorted({name for item in found.wording for name in item.kinds} - {*kinds})
    if unknown:
        raise PermanentError(f"{path}: there is no kind {', '.join(unknown)}")
    return found.wording
