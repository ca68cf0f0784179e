"""Find names in a text: medicines and their classes, diagnoses, tests, procedures, body parts."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache

from shared.grounding import analytes, synonyms
from shared.grounding.vocabulary import Mention, Vocabulary, Words, find_words, normalized_name, read_vocabulary

_ENDING = re.compile(rf"\b[a-z-]{{3,}}(?:{'|'.join(synonyms.PROCEDURE_ENDINGS)})(?:s|ies)?\b", re.IGNORECASE)
# Words of everyday that the list of diagnoses has, too (plurals of abbreviations, people).
_EVERYDAY = frozenset(
    [
        "parents",
        "cues",
        "fears",
        "goals",
        "gifts",
        "hards",
        "hates",
        "hopes",
        "loves",
        "moods",
        "egos",
        "aids",
        "bends",
        "dreams",
        "aura",
        "auras",
        "maids",
        "drome",
    ]
)
_NO_PROCEDURE = frozenset({"microscopy"})


@dataclass(frozen=True, slots=True)
class NamedEntities:
    """The names in a text, without overlaps: of two names at one place the longer one counts."""

    drugs: tuple[Mention, ...] = ()
    classes: tuple[Mention, ...] = ()
    tests: tuple[Mention, ...] = ()
    illnesses: tuple[Mention, ...] = ()
    procedures: tuple[Mention, ...] = ()
    body: tuple[Mention, ...] = ()


@cache
def _illness_names() -> dict[str, str]:
    table = read_vocabulary("diagnoses")
    found = dict(table)
    for name, full in synonyms.by_synonym("diagnosis").items():
        found[name] = table.get(full, full)
        found.setdefault(full, table.get(full, full))
    for name in _EVERYDAY:
        found.pop(name, None)
    return found


@cache
def _illness_vocabulary() -> Vocabulary:
    return Vocabulary(_illness_names())


@cache
def _static_vocabulary(kind: str) -> Vocabulary:
    """Return the vocabularies that are the same for every record."""
    if kind == "tests":
        return Vocabulary({normalized_name(name): id for name, id in analytes.analyte_names().items()})
    if kind == "classes":
        return Vocabulary(
            {form: name for name in synonyms.synonyms("class") for form in (name, f"{name}s", name.replace(" ", "-"))}
        )
    return Vocabulary(synonyms.by_synonym("procedure" if kind == "procedures" else "body"))


@cache
def _drug_names() -> Vocabulary:
    return Vocabulary(
        read_vocabulary("drugs") | synonyms.by_synonym("drug") | {name: name for name in synonyms.synonyms("drug")}
    )


def find_drugs(text: str) -> list[Mention]:
    """Return the medicines that `text` names, by brand or generic name."""
    return _drug_names().find(text, find_words(text))


class EntityFinder:
    """Find common names, and this record's own names of tests and medicines."""

    def __init__(
        self,
        own_tests: dict[str, str],
        own_drugs: dict[str, str],
        own_illnesses: dict[str, str],
        measured: frozenset[str] = frozenset(),
    ) -> None:
        """Build the finder. `measured` are tests of this record that share the name of a medicine (lithium)."""
        self._measured = measured
        self._own_tests = Vocabulary(own_tests)
        self._own_drugs = Vocabulary(own_drugs)
        self._own_illnesses = Vocabulary(own_illnesses)

    def find(self, text: str) -> NamedEntities:
        """Return all names in `text`."""
        tokens = find_words(text)
        medicines = _merge_mentions(find_drugs(text), self._own_drugs.find(text, tokens))
        classes = _static_vocabulary("classes").find(text, tokens)
        medicines = [item for item in medicines if item.text.lower() not in self._measured]
        tests = _merge_mentions(_static_vocabulary("tests").find(text, tokens), self._own_tests.find(text, tokens))
        illnesses = _merge_mentions(_illness_vocabulary().find(text, tokens), self._own_illnesses.find(text, tokens))
        kept = _keep_longest(text, [medicines, tests, illnesses, classes, _find_procedures(text, tokens)])
        return NamedEntities(
            drugs=kept[0], tests=kept[1], illnesses=kept[2], classes=kept[3], procedures=kept[4],
            body=tuple(_static_vocabulary("body").find(text, tokens)),
        )  # fmt: skip


def _find_procedures(text: str, tokens: Words) -> list[Mention]:
    found = _static_vocabulary("procedures").find(text, tokens)
    for match in _ENDING.finditer(text):
        word = match.group().lower()
        if word not in _NO_PROCEDURE and not any(item.start <= match.start() < item.end for item in found):
            found.append(Mention(match.start(), match.end(), match.group(), word.removesuffix("s")))
    return found


def _merge_mentions(one: Iterable[Mention], other: Iterable[Mention]) -> list[Mention]:
    """Merge the mentions of two vocabularies; at one place the longer one, the first at a tie."""
    kept: list[Mention] = []
    for item in sorted((*one, *other), key=lambda item: item.start - item.end):
        if not any(item.start < other.end and other.start < item.end for other in kept):
            kept.append(item)
    return sorted(kept, key=lambda item: item.start)


def _keep_longest(text: str, kinds: list[list[Mention]]) -> list[tuple[Mention, ...]]:
    everything = [(item, kind) for kind, items in enumerate(kinds) for item in items if _is_name(text, item)]
    everything.sort(key=lambda pair: (pair[0].start - pair[0].end, pair[1]))
    kept: list[tuple[Mention, int]] = []
    for item, kind in everything:
        if not any(item.start < other.end and other.start < item.end for other, _ in kept):
            kept.append((item, kind))
    kept.sort(key=lambda pair: pair[0].start)
    return [tuple(item for item, kind in kept if kind == number) for number in range(len(kinds))]


def _is_name(text: str, mention: Mention) -> bool:
    """Return whether a mention is one: short abbreviations count in capitals only (`mi`, `cap`, `Mr.`)."""
    word = text[mention.start : mention.end]
    if len(word) <= 2 or word.lower() in synonyms.CAPITALS_ONLY:
        return any(letter.isupper() for letter in word) and not (word == "Mr" or word == "Ms")
    return True
