"""Match discharge destinations and admission sources, as `places.toml` names them, from codes and texts. Pure.

A code of a standard table counts by itself. Of a local table only the words count, as its numbers may mean anything.
Two places that exclude each other give none: a reader of the record has to decide.
"""

import re
import tomllib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

AGAINST_ADVICE = "against-advice"  # a way to leave, beside which there may be a place
SAME_HOSPITAL = "same-hospital"
BORN = "born"
_ANY_FACILITY = "other-facility"
_FACILITIES = frozenset(
    {"acute-hospital", "rehabilitation", "psychiatric-hospital", "long-term-care", "nursing-facility", "hospice"}
)
_NOT_A_PLACE = frozenset({"no-hospital", "other"})
_ARTICLE = r"( to)?( an?| the| this| his| her| dem| der| einem| einer| het| een| de)?\s*"
_NOT = re.compile(rf"(\b(no|not|nicht|kein\w*|geen|niet|without|instead of){_ARTICLE}|\bnon-)$", re.IGNORECASE)
# Of a place that is named and not gone to: `from another hospital`, `left the hospital`.
_FROM = re.compile(rf"\b(from|out of|von|vom|aus|van|uit|left|leaving|leaves?){_ARTICLE}$", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class StatedConcept:
    """A coded element of a record: codings as (system, code, display), and texts."""

    codings: tuple[tuple[str, str, str], ...] = ()
    texts: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class PlaceMatch:
    """Matched places: `found` has at most a place and a way to leave, `unclear` the possible ones, `why` the reason."""

    found: frozenset[str] = frozenset()
    why: str = ""
    unclear: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class _Vocabulary:
    tables: tuple[tuple[re.Pattern[str], dict[str, frozenset[str]]], ...]  # system, code → places
    words: tuple[tuple[str, re.Pattern[str]], ...]


@cache
def _vocabulary() -> _Vocabulary:
    data = tomllib.loads((Path(__file__).parent / "places.toml").read_text())
    tables = []
    for table in data["tables"]:
        codes: dict[str, set[str]] = {}
        for place, listed in table.items():
            for code in listed if place != "system" else ():
                codes.setdefault(code, set()).add(place)
        tables.append(
            (
                re.compile(table["system"], re.IGNORECASE),
                {code: frozenset(meanings) for code, meanings in codes.items()},
            )
        )
    words = tuple((item["place"], re.compile(item["expression"], re.IGNORECASE)) for item in data["words"])
    return _Vocabulary(tuple(tables), words)


def place_names() -> frozenset[str]:
    """Return every place that a rule may ask for."""
    vocabulary = _vocabulary()
    coded = {place for _, codes in vocabulary.tables for meanings in codes.values() for place in meanings}
    return frozenset(coded | {place for place, _ in vocabulary.words}) - _NOT_A_PLACE


def discharge_places(disposition: StatedConcept, destination: StatedConcept, *, own: bool = False) -> PlaceMatch:
    """Return where the patient went.

    `destination` is the name of the place; `own` states that it is the hospital of the stay itself.
    """
    places_named: set[str] = set()
    reasons: list[str] = []
    for places, why, contradicted in (*_places_of_codings(disposition), *_places_of_texts(disposition.texts)):
        if contradicted:
            return PlaceMatch(why=f"{why}, which contradict each other", unclear=frozenset(places))
        places_named |= places
        reasons += [why] if places else []
    there = {SAME_HOSPITAL} if own else {place for text in destination.texts for place in places_in_text(text)}
    reasons += [f"destination {text!r}" for text in destination.texts] if there else []
    return _single_place(places_named | there, "; ".join(dict.fromkeys(reasons)))


def admission_places(admission: StatedConcept) -> frozenset[str]:
    """Return how a stay began, as far as it is recorded."""
    admission_origins = {
        place
        for places, _, _ in (*_places_of_codings(admission), *_places_of_texts(admission.texts))
        for place in places
    }
    return frozenset(admission_origins & {BORN})


def _single_place(places_named: set[str], why: str) -> PlaceMatch:
    """Return at most one place, and the way to leave."""
    left = places_named & {AGAINST_ADVICE}
    places = places_named - left - _NOT_A_PLACE - {BORN}
    if places & _FACILITIES:
        places.discard(_ANY_FACILITY)
    if len(places) > 1:
        reason = f"{why}: {' or '.join(sorted(places))}, which is not clear"
        return PlaceMatch(frozenset(left), reason, frozenset(places))
    # A facility of which nothing says what it is may be any of them.
    return PlaceMatch(frozenset(places | left), why, _FACILITIES if places == {_ANY_FACILITY} else frozenset())


def _places_of_codings(concept: StatedConcept) -> Iterator[tuple[set[str], str, bool]]:
    """Yield places, the reason, and whether a coding's display contradicts its code."""
    for system, code, display in concept.codings:
        coded, named = _by_code(system, code), places_in_text(display)
        if coded is None:
            yield (
                named or (places_in_text(code.replace("_", " ")) if not display else set()),
                _format_code(code, display),
                False,
            )
            continue
        facilities = coded | named
        refined = _ANY_FACILITY in facilities and facilities <= _FACILITIES | {_ANY_FACILITY}
        differs = bool(coded and named) and not (named & coded or refined)
        yield coded | named, _format_code(code, display), differs and not _is_nowhere(named)


def _is_nowhere(places: set[str]) -> bool:
    return places <= _NOT_A_PLACE


def _format_code(code: str, display: str) -> str:
    return f"disposition {code} ({display})" if display else f"disposition {code}"


def _places_of_texts(texts: Iterable[str]) -> Iterator[tuple[set[str], str, bool]]:
    for text in texts:
        yield places_in_text(text), f"disposition {text!r}", False


def _by_code(system: str, code: str) -> set[str] | None:
    """Return the places of a code; None for an unknown system. Without a system, what all tables agree on."""
    padded = code.zfill(2) if code.isdigit() else code
    if system:
        known = [codes for pattern, codes in _vocabulary().tables if pattern.search(system)]
        return {place for codes in known for place in codes.get(padded, codes.get(code, ()))} if known else None
    # A number alone may be of another country's table: the two of the US, which agree but for 05, are the common ones.
    us = [codes for pattern, codes in _vocabulary().tables if pattern.search("nubc") or pattern.search("0112")]
    meanings = {codes[padded] for codes in us if padded in codes}
    return set(next(iter(meanings))) if len(meanings) == 1 and len(padded) == 2 else None


def places_in_text(text: str) -> set[str]:
    """Return the places that a text names; each part of it counts once, for the first matching expression."""
    places: set[str] = set()
    for place, expression in _vocabulary().words:
        for match in expression.finditer(text):
            before = text[: match.start()]
            if not _NOT.search(before) and (place == AGAINST_ADVICE or not _FROM.search(before)):
                places.add(place)
        text = expression.sub(lambda match: "\0" * len(match[0]), text)
    return places
