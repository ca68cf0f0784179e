"""Find the names of a record's people in text, in any spelling. Pure."""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache

from services.drafter.pseudonyms.word_lists import CREDENTIALS, PARTICLES, TITLES, fold, words_of

MAX_SHORT = 2  # characters: `Li`, `Ng`, `He` are names only beside another name or a title
# A name that a line's end divides: `Gonza-\nlez`.
_DIVISION = r"(?:\u00ad|-[ \t]*\n[ \t]*|- (?=[a-zß-ÿ]))?"
# What continues a word. Chinese, Japanese and Korean have no blanks between words.
IN_WORD = r"[^\W_\u2e80-\u9fff\uac00-\ud7af]"
WORD = re.compile(r"[^\W\d_]+(?:['’][^\W\d_]+)*")
TITLE_BEFORE = re.compile(
    r"(?:\b(?i:dr|drs|doctor|prof|professor|mr|mrs|ms|miss|mx|herr|herrn|frau|fr|mevrouw|mevr|dhr|nurse|sister|signed)\b"
    r"\.?,?[ \t]+)$"
)
_PLACE_BEFORE = re.compile(r"\b(?i:in|from|of|to|at|near)[ \t]+$")
_SPELLINGS = {
    "ä": "(?:ä|ae?)", "ö": "(?:ö|oe?)", "ü": "(?:ü|ue?)", "ae": "(?:ae|ä)", "oe": "(?:oe|ö)", "ue": "(?:ue|ü)",
    "ss": "(?:ss|ß)", "'": "['’]?", "’": "['’]?", "a": "[aàáâãåāą]", "c": "[cçćč]", "e": "[eèéêëęě]", "i": "[iìíîïı]",
    "n": "[nñńň]", "o": "[oòóôõøő]", "u": "[uùúûůű]", "y": "[yýÿ]", "s": "[sšśş]", "z": "[zžźż]", "l": "[lł]",
    "r": "[rř]", "t": "[tťţ]", "d": "[dďđ]", "g": "[gğ]",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class NameWord:
    """A word of a name. `given`: of a person, and not the last one; `place`: of a place."""

    text: str
    given: bool = False
    place: bool = False

    @property
    def key(self) -> str:
        return name_key(self.text)


def name_words(name: str) -> Iterator[NameWord]:
    """Yield the words of a person's name without titles, degrees, particles and initials: `Lovelace, Ada, MD`."""
    family, comma, given = name.partition(",")
    if comma and (words := _proper_words(given)):
        yield from (NameWord(word) for word in _proper_words(family))
        yield from (NameWord(word, given=True) for word in words)
        return
    found = _proper_words(family)
    for index, word in enumerate(found):
        yield NameWord(word, given=index < len(found) - 1)


def _proper_words(text: str) -> list[str]:
    return [
        word
        for word in WORD.findall(re.sub(r"\b(?:[A-Z]\.){2,}|\bPA-C\b", " ", text))
        if len(word) > 1
        and fold(word) not in TITLES | CREDENTIALS | PARTICLES
        and (fold(word) not in words_of("not_names") or fold(word) in words_of("family") | words_of("common"))
        and (not word.islower() or len(word) > MAX_SHORT)
    ]


def word_pattern(words: Iterable[str]) -> re.Pattern[str] | None:
    """Return a pattern of any of the words, in any case, with and without diacritics, also divided at a line's end."""
    longest_first = sorted(set(words), key=lambda word: (-len(word), word))
    if not longest_first:
        return None
    spelled = "|".join(_spelled(word) for word in longest_first)
    return re.compile(rf"(?<!{IN_WORD})(?:{spelled})(?=(?:s|['’]s)?(?!{IN_WORD}))", re.IGNORECASE)


@lru_cache(maxsize=2048)
def _spelled(word: str) -> str:
    parts = re.findall(r"ae|oe|ue|ss|.", word.casefold().replace("ß", "ss"))
    return _DIVISION.join(_SPELLINGS.get(item) or _SPELLINGS.get(fold(item)) or re.escape(item) for item in parts)


@lru_cache(maxsize=8192)
def name_key(word: str) -> str:
    """Return what the spellings of a name that `word_pattern` finds have in common."""
    plain = re.sub(r"[^\w]|[_\d]", "", fold(word))
    return re.sub(r"(?<=[aou])e", "", plain)


def is_place_here(text: str, start: int, end: int) -> bool:
    """Return whether a word that is the name of a place of the record is one in this place of the text: `Normal`."""
    if not text[start].isupper():
        return False
    if fold(text[start:end]) not in words_of("common"):
        return True
    return bool(_PLACE_BEFORE.search(text[max(0, start - 8) : start]) or re.match(r", [A-Z]{2}\b", text[end : end + 4]))


def is_name_here(text: str, start: int, end: int) -> bool:
    """Return whether a word that is a person's name is one in this place, whatever stands beside it but a title.

    A word that is no other word is a name wherever it stands. Of the others, `white` and `ng` are none, `White` is one,
    and `Foley` in `Foley catheter` is none.
    """
    word = text[start:end]
    key = fold(word)
    if TITLE_BEFORE.search(text[max(0, start - 14) : start]):
        return True
    if word.upper() == word.lower():
        return True  # a script without capitals
    if len(key) <= MAX_SHORT:
        return False
    if key in words_of("eponyms") and is_term(text, end):
        return False
    if len(key) == MAX_SHORT + 1:
        return word[0].isupper() and not word.isupper()
    if key not in words_of("common"):
        return True
    if word.isupper():  # `SMITH`, not `WHITE BLOOD CELLS`
        return not re.match(r"[ -][A-Z]{2}", text[end : end + 3])
    return word[0].isupper() and not re.match(r"-[a-z]", text[end : end + 2])  # not `Long-term`


_TERM = re.compile(r"(?:['’]s?|s)?[\s-]+(?:[a-z]+[\s-]+)?([^\W\d_]+)")


def is_term(text: str, end: int) -> bool:
    """Return whether what follows an eponym makes it a term: `Foley catheter`, `Parkinson's disease`."""
    found = _TERM.match(text, end)
    next_word = re.match(r"(?:['’]s?|s)?[\s-]+([^\W\d_]+)", text[end : end + 40])
    terms = words_of("eponym_terms")
    return any(item is not None and fold(item[1]) in terms for item in (found, next_word))
