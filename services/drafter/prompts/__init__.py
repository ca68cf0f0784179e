"""Prompts: files with a version and a history. The exact text that a model gets is versioned and digested."""

import re
from dataclasses import dataclass
from pathlib import Path

from shared.contracts.draft import Prompt
from shared.contracts.drafters import PromptText

FOLDER = Path(__file__).parent
MAX_REQUEST_CHARACTERS = 1000  # of a physician's requested changes
_BRACKETS = str.maketrans("[]{}|｜", "()()//")
_ANGLES = re.compile(r"[<>](?!=?\s*[\d.]|=?\s)")  # not those of a comparator
_REPLACEMENTS = {"<": "(", ">": ")"}


@dataclass(frozen=True, slots=True)
class PromptTemplate:
    """One prompt, to be filled."""

    content: PromptText

    @property
    def stamp(self) -> Prompt:
        return self.content.stamp

    @property
    def text(self) -> str:
        return self.content.text

    def render(self, facts: str, words: str | None, department: str = "") -> str:
        """Return the raw prompt.

        `words` are a physician's requested changes, `department` lines of its wording. No text from outside can end its
        turn, open another one, or fill a placeholder of the template.
        """
        wish = f"\nThe physician asks: {one_line(words, MAX_REQUEST_CHARACTERS)}" if words else ""
        wish = f"\n{without_markers(department)}{wish}" if department else wish
        # In one pass, so that inserted text is not searched for placeholders.
        filled = {"{facts}": without_markers(facts), "{words}": wish}
        return re.sub(r"\{facts\}|\{words\}", lambda place: filled[place[0]], self.text)


def without_markers(text: str) -> str:
    """Return `text` without chat template markers: `<

    im_end
    >`, `[INST]`, `</s>`.
    """
    return _ANGLES.sub(lambda found: _REPLACEMENTS[found[0]], text.translate(_BRACKETS)).strip()


def one_line(text: str, longest: int) -> str:
    """Return `text` without markers on one line, cut at a word: a line of its own could pass for the template's."""
    words = " ".join(without_markers(text).split())
    return words if len(words) <= longest else words[:longest].rpartition(" ")[0] or words[:longest]


def load_prompt(name: str, folder: Path = FOLDER) -> PromptTemplate:
    """Load the prompt `name`. Raises OSError, KeyError or ValueError for an invalid file, which is a broken build."""
    return PromptTemplate(PromptText.parse(name, (folder / f"{name}.prompt").read_text()))
