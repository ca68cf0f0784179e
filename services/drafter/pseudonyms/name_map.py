"""The names of one text, and what is sent for them: word by word, so that parts of a name stay parts of one."""

import re
from collections.abc import Iterable, Iterator

from services.drafter.pseudonyms.errors import NotReplaceableError
from services.drafter.pseudonyms.known_names import NameWord, is_name_here, is_place_here, name_key, word_pattern
from services.drafter.pseudonyms.spans import Spans
from services.drafter.pseudonyms.surrogates import SurrogateSource
from services.drafter.pseudonyms.word_lists import fold, words_of

_GAP = re.compile(r"[\s,._/-]{0,3}(?:[A-Z]\.?[\s,]{1,2}){0,2}")  # between two words of one name
_INITIALS_BEFORE = re.compile(r"(?<![^\W_])(?:[A-Z]\.[ \t-]?|[B-HJ-Z][ \t]){1,2}$")
_INITIALS_AFTER = re.compile(r",?[ \t](?:[A-Z]\.|[B-HJ-Z](?![\w’'.-])){1,2}")


class NameMap:
    """What is sent for the words and initials of names."""

    def __init__(self, source: SurrogateSource, text: str, known: Iterable[NameWord]) -> None:
        """`text` is the original text; no surrogate occurs in it."""
        self._source = source
        self._text = text.casefold()
        self._given: dict[str, bool] = {}  # by key
        self._words: dict[str, str] = {}  # by key: how the record spells it
        words = tuple(known)
        for word in words:
            self._add(word.text, given=word.given)
        self._places = {word.key for word in words if word.place} - {word.key for word in words if not word.place}
        self._known = frozenset(self._words)
        self._sent: dict[str, str] = {}  # surrogates by key, or by a spelling of its own
        self._originals: dict[str, str] = {}  # spellings by what is sent
        self._initials: dict[
            tuple[str, str], str
        ] = {}  # originals by the surrogate of the name beside, and the initial that is sent

    def _add(self, word: str, *, given: bool) -> None:
        key = name_key(word)
        self._words.setdefault(key, word)
        self._given[key] = given and self._given.get(key, True)

    def add_replacements(self, text: str, spans: Spans, others: Iterable[tuple[int, int]] = ()) -> None:
        """Add a span for each word of a name; `others` are words that are names in one place at least."""
        places = [(start, end) for start, end in others if spans.free(start, end)]
        for start, end in places:
            following = any(start < other - 1 and _GAP.fullmatch(text[end:other]) for other, _ in places if other > end)
            self._add(text[start:end], given=following)
        pattern = word_pattern(word for key, word in self._words.items() if key in self._known or _is_rare(word))
        found = [item.span() for item in pattern.finditer(text)] if pattern else []
        sure = {place for place in (*places, *found) if place in places or self._is_sure(text, *place)}
        for start, end in sorted({*places, *found}):
            if (start, end) in sure or self._is_beside(text, start, end, found, sure):
                spans.add(start, end, self._send(text[start:end]))
                self._add_initials(text, start, end, spans)

    def _is_sure(self, text: str, start: int, end: int) -> bool:
        place = name_key(text[start:end]) in self._places
        return is_place_here(text, start, end) if place else is_name_here(text, start, end)

    def _is_beside(
        self, text: str, start: int, end: int, found: list[tuple[int, int]], sure: set[tuple[int, int]]
    ) -> bool:
        if name_key(text[start:end]) in self._places:
            return False
        for one, other in found:
            near = (end <= one and _GAP.fullmatch(text[end:one])) or (
                other <= start and _GAP.fullmatch(text[other:start])
            )
            if near and ((one, other) in sure or text[start].isupper()):
                return True
        return False

    def _add_initials(self, text: str, start: int, end: int, spans: Spans) -> None:
        """Add the initials beside a name, which were of its given names: `J. Smith`, `Smith, J.`"""
        family = self._originals_key(text[start:end])
        places = []
        if before := _INITIALS_BEFORE.search(text, max(0, start - 8), start):
            places += [before.start() + item.start() for item in re.finditer("[A-Z]", before[0])]
        if after := _INITIALS_AFTER.match(text, end):
            places += [after.start() + item.start() for item in re.finditer("[A-Z]", after[0])]
        for place in places:
            if spans.free(place, place + 1):
                spans.add(place, place + 1, self._initial(family, text[place]))

    def _originals_key(self, word: str) -> str:
        return self._sent.get(f"={word}") or self._sent[name_key(word)]

    def _initial(self, family: str, initial: str) -> str:
        """Return what is sent for an initial: that of the surrogate of a given name that begins so."""
        taken = {sent: original for (name, sent), original in self._initials.items() if name == family}
        for sent, original in taken.items():
            if original == initial:
                return sent
        given = [self._surrogate(key, key)[0] for key in self._words if self._given[key] and key[:1].upper() == initial]
        for sent in (*given, *self._source.initials(family, initial)):
            if sent not in taken:
                self._initials[family, sent] = initial
                return sent
        raise NotReplaceableError("a name has too many initials")

    def _send(self, word: str) -> str:
        """Return what is sent for a word. A spelling that its case alone does not tell has a surrogate of its own."""
        key = name_key(word)
        for name in (key, f"={word}"):
            sent = _in_case_of(word, self._surrogate(name, key))
            if self._originals.setdefault(sent, word) == word:
                return sent
        raise NotReplaceableError("two spellings of a name cannot be told apart")

    def _surrogate(self, name: str, key: str) -> str:
        if name not in self._sent:
            taken = {item.casefold() for item in self._sent.values()}
            kind = "given" if self._given.get(key) else "family"
            for item in self._source.names(kind, name):
                if item.casefold() not in taken and item.casefold() not in self._text:
                    self._sent[name] = item
                    break
            else:
                raise NotReplaceableError("there are more names than surrogates")
        return self._sent[name]

    def add_restorations(self, text: str, spans: Spans) -> None:
        """Add a span for each surrogate of a name, and for the initials beside it."""
        keys = {sent.casefold(): name for name, sent in self._sent.items()}
        pattern = word_pattern(self._sent.values())
        for found in pattern.finditer(text) if pattern else ():
            name = keys.get(found[0].casefold())
            if name is None or not spans.free(*found.span()):
                continue  # written with other marks: it stays, and the answer is not used
            original = self._originals.get(found[0]) or _in_case_of(found[0], self._spelling(name))
            spans.add(*found.span(), original)
            self._restore_initials(text, found, self._sent[name], spans)

    def _spelling(self, name: str) -> str:
        return name[1:] if name.startswith("=") else self._words[name]

    def _restore_initials(self, text: str, found: re.Match[str], family: str, spans: Spans) -> None:
        places = []
        if before := _INITIALS_BEFORE.search(text, max(0, found.start() - 8), found.start()):
            places += [before.start() + item.start() for item in re.finditer("[A-Z]", before[0])]
        if after := _INITIALS_AFTER.match(text, found.end()):
            places += [after.start() + item.start() for item in re.finditer("[A-Z]", after[0])]
        for place in places:
            initial = self._initials.get((family, text[place])) or self._initial_of_given(text[place])
            if initial is not None and spans.free(place, place + 1):
                spans.add(place, place + 1, initial)

    def _initial_of_given(self, initial: str) -> str | None:
        """Return the initial of the one given name whose surrogate begins with `initial`."""
        keys = {name for name, sent in self._sent.items() if sent[0] == initial and self._given.get(name)}
        initials = {self._spelling(name)[0].upper() for name in keys}
        return initials.pop() if len(initials) == 1 else None

    @property
    def sent(self) -> Iterator[str]:
        """Yield the surrogates."""
        yield from self._sent.values()


def _is_rare(word: str) -> bool:
    """Return whether a name that stands in one place of a free text is one wherever the word stands."""
    return len(word) > 3 and fold(word) not in words_of("common") | words_of("eponyms") | words_of("not_names")


def _in_case_of(word: str, other: str) -> str:
    """Return `other` in upper or lower case where `word` is."""
    chars = [char for char in word if char.isalpha()]
    if len(chars) > 1 and all(char.isupper() for char in chars):
        return other.upper()
    return other.lower() if all(char.islower() for char in chars) else other


def is_distinctive(word: str) -> bool:
    """Return whether a word of a place's name stands for that place: `Oakview`, not `General`."""
    lists = words_of("generic_places") | words_of("common") | words_of("not_names")
    return len(word) > 3 and word[0].isupper() and word.casefold() not in lists
