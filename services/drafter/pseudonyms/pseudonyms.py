"""Replace what identifies people in one prompt, and restore it in the answer."""

import re
import unicodedata
from collections.abc import Iterable
from datetime import date

from rapidfuzz import fuzz, process

from services.drafter.pseudonyms.dates import DateMap
from services.drafter.pseudonyms.errors import NotReplaceableError, NotRestorableError
from services.drafter.pseudonyms.free_names import find_free_names
from services.drafter.pseudonyms.identifier_map import IdentifierMap
from services.drafter.pseudonyms.known_names import IN_WORD, NameWord, name_words
from services.drafter.pseudonyms.name_map import NameMap, is_distinctive
from services.drafter.pseudonyms.numbers import (
    MIN_KNOWN,
    find_addresses,
    find_contacts,
    find_numbers,
    number_pattern,
    phrase_pattern,
    plain,
)
from services.drafter.pseudonyms.spans import Span, Spans, outside, replaced
from services.drafter.pseudonyms.surrogates import SurrogateSource
from shared.contracts.context import Identifier

SIMILARITY_PERCENT = 80  # a word of an answer that is this similar to a surrogate may be one that the model changed
_WORD = re.compile(r"[^\W\d_]{4,}")
_MIN_PHRASE = 4  # characters of a city or the line of an address


class KnownIdentifiers:
    """The identifiers of a record, sorted by how they are looked for."""

    def __init__(self, identifiers: Iterable[Identifier]) -> None:
        self.names: list[NameWord] = []
        self.numbers: list[str] = []
        self.contacts: list[str] = []
        self.phrases: list[str] = []
        for item in identifiers:
            self._sort(item)

    def _sort(self, item: Identifier) -> None:
        text = " ".join(item.text.split())
        digits = sum(char.isdigit() for char in text)
        match item.kind:
            case "person":
                self.names += name_words(text)
                self.numbers += [word for word in text.split() if sum(map(str.isdigit, word)) >= MIN_KNOWN]
            case "organization":
                words = re.findall(r"[^\W\d_]+", text)
                self.names += [NameWord(word, place=True) for word in words if is_distinctive(word)]
            case "contact" if "@" in text or "://" in text or text.startswith("www."):
                self.contacts.append(text)
            case "address" if len(text) >= _MIN_PHRASE and text.isalpha():
                self.names.append(NameWord(text, place=True))
            case "address" if len(text) >= _MIN_PHRASE and not text.isdecimal():
                self.phrases.append(text)
            case _ if digits >= 3 and len(plain(text)) >= MIN_KNOWN:
                self.numbers.append(text)


class Pseudonyms:
    """The surrogates of one request. Nothing of it is stored, logged or shown."""

    __slots__ = ("_dates", "_exact", "_known", "_names", "_original", "_sent", "_source")

    def __init__(self, key: bytes, case: str, end: date, identifiers: Iterable[Identifier]) -> None:
        """`key` is the installation's secret, `end` the end of the stay, `identifiers` are those of its record."""
        self._source = SurrogateSource(key, case)
        self._dates = DateMap(self._source.shift_days, end)
        self._known = KnownIdentifiers(identifiers)
        self._original: str | None = None
        self._sent = ""

    def replace(self, text: str) -> str:
        """Return `text` without the identifiers that are found, in Unicode's form NFC. It is asked for one text only.

        Raises NotReplaceableError where the text could not be restored word for word, or an identifier of the record
        is left.
        """
        text = unicodedata.normalize("NFC", text)
        if self._original == text:
            return self._sent
        if self._original is not None:
            raise NotReplaceableError("pseudonyms are of one text")
        self._exact, self._names = IdentifierMap(self._source, text), NameMap(self._source, text, self._known.names)
        spans = Spans()
        self._add_known(text, spans)
        self._exact.add_contacts(text, find_contacts(text), spans)
        self._exact.add_addresses(text, find_addresses(text), spans)
        self._dates.add_replacements(text, spans)
        self._exact.add_numbers(text, find_numbers(text), spans)
        self._names.add_replacements(text, spans, find_free_names(text))
        found = spans.all()
        self._dates.note_numbers(outside(text, found))
        self._sent = replaced(text, found)
        self._check(text, found)
        self._original = text
        return self._sent

    def _add_known(self, text: str, spans: Spans) -> None:
        for phrases, add in (
            (self._known.contacts, self._exact.add_contacts),
            (self._known.phrases, self._exact.add_addresses),
        ):
            if pattern := phrase_pattern(phrases):
                add(text, [item.span() for item in pattern.finditer(text)], spans)
        if pattern := number_pattern(self._known.numbers):
            self._exact.add_numbers(text, [item.span() for item in pattern.finditer(text)], spans)

    def _check(self, text: str, found: list[Span]) -> None:
        """Raise NotReplaceableError where the text is not restored as it was, or a known identifier is left."""
        try:
            same = self.restore(self._sent) == text
        except NotRestorableError:
            same = False
        if not same:
            raise NotReplaceableError("the text could not be restored after it was pseudonymised")
        rest = outside(text, found)
        patterns = (number_pattern(self._known.numbers), phrase_pattern([*self._known.contacts, *self._known.phrases]))
        if any(pattern.search(rest) for pattern in patterns if pattern):
            raise NotReplaceableError("an identifier could not be replaced")

    def restore(self, text: str) -> str:
        """Return an answer with what was replaced. Raises NotRestorableError where that is not certain."""
        text = unicodedata.normalize("NFC", text)
        found = self.restorations(text)
        rest = outside(text, found)
        if self._is_left(rest):
            raise NotRestorableError("a pseudonym of the answer could not be restored")
        return replaced(text, found)

    def restorations(self, text: str) -> list[Span]:
        """Return what is to be restored in `text`. Raises NotRestorableError for a date that is not of the prompt."""
        spans = Spans()
        self._exact.add_restorations(text, spans)
        self._dates.add_restorations(text, spans)
        self._names.add_restorations(text, spans)
        return spans.all()

    def _is_left(self, rest: str) -> bool:
        """Return whether the rest of an answer has a surrogate, or a word or number that may be a changed one."""
        folded = rest.casefold()
        whole = (*self._exact.sent, *self._dates.sent)
        if any(re.search(rf"(?<!{IN_WORD}){re.escape(item.casefold())}(?!{IN_WORD})", folded) for item in whole):
            return True
        surrogates = {item.casefold() for item in self._names.sent}
        words = set(_WORD.findall(folded))
        unknown = words - set(_WORD.findall(self._sent.casefold())) | words & surrogates
        if any(
            process.extractOne(word, surrogates, scorer=fuzz.ratio, score_cutoff=SIMILARITY_PERCENT) for word in unknown
        ):
            return True
        sent = {self._sent[start:end] for start, end in (*find_contacts(self._sent), *find_numbers(self._sent))}
        new = {rest[start:end] for start, end in (*find_contacts(rest), *find_numbers(rest))}
        return bool(new - sent) or self._dates.has_age_left(rest)
