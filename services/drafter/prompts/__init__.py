"""Prompts are files with a version and a history. What is versioned and digested is the exact text a model gets."""

import re
from dataclasses import dataclass
from pathlib import Path

from shared.contracts.draft import Prompt
from shared.contracts.envelope import digest

FOLDER = Path(__file__).parent
DIVIDER = "\n=====\n"


@dataclass(frozen=True, slots=True)
class PromptFile:
    """One prompt. `text` has the places `{facts}` and `{words}`."""

    stamp: Prompt
    text: str
    stop: tuple[str, ...]
    max_tokens: int

    def render(self, facts: str, words: str | None) -> str:
        """The raw prompt. `words` are what a physician wants changed; text from outside cannot end its turn."""
        wish = f"\nThe physician asks: {_tame(words)}" if words else ""
        return self.text.replace("{facts}", _tame(facts)).replace("{words}", wish)


def _tame(text: str) -> str:
    """Without chat markers: nothing in a record may speak as the system."""
    return re.sub(r"<\|[^|>]*\|>", "", text).strip()


def load(name: str, folder: Path = FOLDER) -> PromptFile:
    """The prompt `name`: a header (`key: value` lines, history), a divider, the text.

    Raises OSError, KeyError or ValueError when the file is not as it must be: that is a broken build.
    """
    header, text = (folder / f"{name}.prompt").read_text().split(DIVIDER, 1)
    fields = dict(line.split(": ", 1) for line in header.splitlines() if re.match(r"[a-z_]+: ", line))
    text = text.rstrip("\n") + "\n"
    return PromptFile(
        stamp=Prompt(name=name, version=int(fields["version"]), digest=digest(text.encode())),
        text=text,
        stop=tuple(fields["stop"].split()),
        max_tokens=int(fields["max_tokens"]),
    )
