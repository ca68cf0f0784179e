"""What a physician changes in a draft that is prepared. Pure."""

from random import Random
from typing import Any

CHANGED = 2  # lines


def edited(draft: dict[str, Any], mark: str, chance: Random) -> str:
    """The text with words added to some lines of facts, and with a line more. The narrative stays the model's."""
    lines = str(draft["text"]).rstrip().split("\n")
    sentences = [str(item["text"]) for item in draft["sentences"]]
    facts = [number for number, line in enumerate(lines) if _is_fact(line, sentences)]
    chosen = chance.sample(facts, min(CHANGED, len(facts)))
    typed = [f"{line} Checked on the ward, {mark}." if number in chosen else line for number, line in enumerate(lines)]
    return "\n".join([*typed, f"Seen by the dietician, {mark}.", ""])


def _is_fact(line: str, sentences: list[str]) -> bool:
    """Whether it is a line below a heading, and of no sentence of the narrative."""
    words = line.strip(" -")
    if not line.startswith("  ") or not words or words.endswith(":"):
        return False
    return not any(words in sentence or sentence in line for sentence in sentences)


def added_lines(before: str, after: str) -> list[str]:
    known = lines_of(before)
    return [line for line in lines_of(after) if line not in known]


def lines_of(text: str) -> list[str]:
    """Its lines without what stands at their ends, and without empty ones."""
    return [line.rstrip() for line in text.splitlines() if line.strip()]
