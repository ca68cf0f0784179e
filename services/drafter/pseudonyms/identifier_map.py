"""Numbers, contact details, addresses and names of places of one text, and what is sent for each as a whole."""

import re
from collections.abc import Callable, Iterable, Iterator
from functools import partial

from services.drafter.pseudonyms.errors import NotReplaceableError
from services.drafter.pseudonyms.known_names import IN_WORD
from services.drafter.pseudonyms.numbers import number_pattern, phrase_pattern, plain
from services.drafter.pseudonyms.spans import Spans
from services.drafter.pseudonyms.surrogates import FAMILY_NAMES, SurrogateSource


class IdentifierMap:
    """What is sent for texts that are replaced as a whole."""

    def __init__(self, source: SurrogateSource, text: str) -> None:
        """`text` is the original text; no surrogate occurs in it."""
        self._source = source
        self._text = text.casefold()
        self._originals: dict[str, str] = {}  # by what is sent
        self._sent: dict[str, str] = {}
        self._numbers: set[str] = set()  # what is sent for numbers

    def add_numbers(self, text: str, places: Iterable[tuple[int, int]], spans: Spans) -> None:
        for start, end in places:
            if spans.free(start, end):
                sent = self._send(text[start:end], partial(self._source.digits, text[start:end]))
                self._numbers.add(sent)
                spans.add(start, end, sent)

    def add_contacts(self, text: str, places: Iterable[tuple[int, int]], spans: Spans) -> None:
        for start, end in places:
            if spans.free(start, end):
                mail = "@" in text[start:end]
                form = "person{}@example.org" if mail else "https://example.org/{}"
                spans.add(start, end, self._send(text[start:end], form.format))

    def add_addresses(self, text: str, places: Iterable[tuple[int, int]], spans: Spans) -> None:
        for start, end in places:
            if spans.free(start, end):
                word = text[start:end]
                spans.add(start, end, self._send(word, partial(self._address, word)))

    def _address(self, text: str, step: int) -> str:
        number = self._source.number("address", text, str(step))
        name = FAMILY_NAMES[number % len(FAMILY_NAMES)]
        return f"{1 + number % 97} {name} Road" if any(char.isdigit() for char in text) else f"{name} Vale"

    def _send(self, text: str, write: Callable[[int], str]) -> str:
        if text in self._sent:
            return self._sent[text]
        for step in range(200):
            sent = write(step)
            if sent not in self._originals and sent.casefold() not in self._text:
                self._originals[sent], self._sent[text] = text, sent
                return sent
        raise NotReplaceableError("an identifier has no surrogate")

    def add_restorations(self, text: str, spans: Spans) -> None:
        """Add a span for each surrogate, in whatever case or with whatever separators it is written."""
        for sent in sorted(self._originals, key=len, reverse=True):
            for found in re.finditer(rf"(?<!{IN_WORD}){re.escape(sent)}(?!{IN_WORD})", text):
                spans.add(*found.span(), self._originals[sent])
        by_plain = {plain(sent): sent for sent in self._originals}
        patterns = (number_pattern([*self._numbers]), phrase_pattern([*self._originals.keys() - self._numbers]))
        for pattern in filter(None, patterns):
            for found in pattern.finditer(text):
                key = by_plain.get(plain(found[0]))
                if key is not None:
                    original = self._originals[key]
                    spans.add(*found.span(), plain(original) if key in self._numbers else original)

    @property
    def sent(self) -> Iterator[str]:
        """Yield what is sent."""
        yield from self._originals
