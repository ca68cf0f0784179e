"""Word lists: names, words that can also be names, and words that are never names. Read when they are first used."""

import unicodedata
from functools import lru_cache
from pathlib import Path

FOLDER = Path(__file__).parent / "lists"


def split(text: str) -> frozenset[str]:
    return frozenset(text.split())


# Before a family name, or between two: `van der Berg`.
PARTICLES = split("al bin da das de del della den der des di do dos du el het la las le los van vom von zu zum")
# Stand beside a name but are no part of it.
TITLES = split("dr drs prof professor doctor mr mrs ms miss mx herr frau mevrouw dhr mevr sir dame rev fr")
CREDENTIALS = split(
    "md do rn np pa pac pharmd lcsw msw lpn lvn cna crna aprn arnp dnp phd mph facs facc mbbs frcp bsn dpt otr slp jr"
    " sr ii iii iv med phil"
)


@lru_cache(maxsize=16)
def words_of(name: str) -> frozenset[str]:
    """Return the words of a list, folded."""
    lines = (FOLDER / f"{name}.txt").read_text().splitlines()
    return frozenset(word for line in lines if not line.startswith("#") for word in line.split())


@lru_cache(maxsize=8192)
def fold(word: str) -> str:
    """Return a word without case and diacritics, by which spellings of one name are the same: `Müller`, `MULLER`."""
    spread = unicodedata.normalize("NFKD", word.casefold())
    return "".join(char for char in spread if not unicodedata.combining(char))
