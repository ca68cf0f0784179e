"""What the set consists of: facts with their slots, plants that change slots, sentences with labels, checks."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Literal, Protocol

from shared.contracts.context import EncounterContext

Label = Literal["supported", "contradicted", "not-in-record"]
Split = Literal["dev", "held"]


@dataclass(frozen=True, slots=True)
class Finding:
    """One claim that a check judged. `source`: FHIR reference, or empty."""

    kind: str
    text: str
    label: Label
    source: str = ""


@dataclass(frozen=True, slots=True)
class Result:
    """What a check says of a sentence."""

    label: Label
    findings: tuple[Finding, ...] = ()


Checker = Callable[[str], Result]


class Adapter(Protocol):
    """Binds a check to the record of one stay."""

    def __call__(self, context: EncounterContext) -> Checker: ...


@dataclass(frozen=True, slots=True)
class Plant:
    """An error: slots with other text, in the template of the fact or, with `type`, in templates of its own."""

    kind: str
    label: Label
    changes: Mapping[str, str] = field(default_factory=dict)
    type: str = ""


@dataclass(frozen=True, slots=True)
class Fact:
    """Something that the record says, as text for the slots of the templates of its type."""

    type: str
    slots: Mapping[str, str]
    plants: tuple[Plant, ...] = ()


@dataclass(frozen=True, slots=True)
class Wording:
    """How one split words things. The keys of `frequency` and `route` are those of `values.py`."""

    templates: Mapping[str, tuple[str, ...]]
    frequency: Mapping[str, tuple[str, ...]]
    route: Mapping[str, tuple[str, ...]]
    tests: Mapping[str, tuple[str, ...]]
    findings: Mapping[str, tuple[str, ...]]
    # Kind -> sentences that no record of these stays supports, each with words that the record must not have.
    whole: Mapping[str, tuple[tuple[str, ...], ...]]
    number: int  # 0 for dev, 1 for held: which half of a list of synonyms or decoys is its own
    author: str = ""  # of a split with several ways of writing
    # "high", "low", "normal" -> how a value is called that is so; where it is empty, the usual words.
    ways: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


def joined(one: Mapping[str, tuple[str, ...]], more: Mapping[str, tuple[str, ...]]) -> dict[str, tuple[str, ...]]:
    """The templates of both, by type."""
    return {name: (*templates, *more.get(name, ())) for name, templates in one.items()}


@dataclass(frozen=True, slots=True)
class Sentence:
    """One sentence of the set. Without `kind` it is true; `true` is the sentence that a false one was made from."""

    split: Split
    stay: str
    type: str
    text: str
    label: Label = "supported"
    kind: str = ""
    wrong: str = ""  # the planted words; the whole text where all of it is the error
    true: str = ""
    author: str = ""
