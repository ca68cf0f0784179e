"""Words of a text, their stems, and the neutral words that state nothing about a patient."""

import re
from functools import lru_cache
from pathlib import Path

WORD = re.compile(r"[^\W_]+(?:['’-][^\W_]+)*")
_SUFFIXES = tuple(
    """
    alities ality atively ative
    izations ization ational ations ation ements ement ments ment ingly edly ities ings ing ions ion ical ally ness ies
    ied ous ive ity als al ic ed es ly er y e s
    """.split()  # noqa: SIM905 - a list of words
)
# Words that say nothing about a patient: articles, auxiliaries, verbs of reporting, of giving, of time. Our own list.
_NEUTRAL_WORDS = frozenset((Path(__file__).parent / "neutral.txt").read_text().split())
_IRREGULAR = {
    "children": "child",
    "women": "woman",
    "men": "man",
    "feet": "foot",
    "pelves": "pelvis",
    "vertebrae": "vertebra",
    "sacral": "sacrum",
    "anaphylactic": "anaphylaxis",
    "renal": "kidney",
    "abdominal": "abdomen",
    "pelvic": "pelvis",
    "femoral": "femur",
    "spinal": "spine",
    "hepatic": "liver",
    "gastric": "stomach",
}


@lru_cache(maxsize=65536)
def stem(word: str) -> str:
    """Return the common part of a word's forms: `dilated`, `dilation` → `dilat`. Rough; for comparison only."""
    text = word.lower().replace("’", "'").removesuffix("'s").strip("'-")
    text = _IRREGULAR.get(text, text).replace("haem", "hem").replace("oedema", "edema").replace("paed", "ped")
    for suffix in _SUFFIXES:
        if text.endswith(suffix) and len(text) - len(suffix) >= 4:
            text = text[: -len(suffix)]
            break
    if len(text) > 4 and text[-1] == text[-2] and text[-1] not in "lsz":
        text = text[:-1]
    return text


_NEUTRAL_STEMS = frozenset(stem(word) for word in _NEUTRAL_WORDS)


@lru_cache(maxsize=65536)
def is_neutral(word: str) -> bool:
    """Return whether a word states nothing that could be right or wrong about a patient."""
    low = word.lower()
    return low in _NEUTRAL_WORDS or len(low) < 2 or (len(low) > 4 and stem(low) in _NEUTRAL_STEMS)


def find_words(text: str) -> list[tuple[str, int, int]]:
    """Return the words of `text` in lower case with their places; parts of a hyphenated compound count as words."""
    found = []
    for match in WORD.finditer(text):
        start = match.start()
        for part in match.group().split("-"):
            if part:
                found.append((part.lower(), start, start + len(part)))
            start += len(part) + 1
    return found


def stems(text: str) -> frozenset[str]:
    """Return the stems of the words of `text` that are not neutral; numbers are left out."""
    return frozenset(stem(word) for word, _, _ in find_words(text) if not is_neutral(word) and not word[0].isdigit())
