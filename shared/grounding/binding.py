"""Bind each number of a sentence to what it belongs to: a test, a medicine, an age, a duration."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from shared.grounding import abnormal, dosage_terms
from shared.grounding.orders import DOSE_DIMENSIONS
from shared.grounding.parsed_sentence import ParsedSentence
from shared.grounding.quantities import Quantity
from shared.grounding.vocabulary import Mention

NumberKind = Literal["age", "frequency", "time", "dose", "value", "other"]
MAX_DISTANCE_AFTER = 28  # characters from a number to the test or medicine that follows it
MAX_DISTANCE_BEFORE = 90  # characters from a test to its number
_IMPLIED = {
    "celsius": "temperature",
    "fahrenheit": "temperature",
    "bmi": "bmi",
    "clearance": "egfr",
    "hba1c": "hba1c",
    "flow": "oxygen flow",
}


@dataclass(frozen=True, slots=True)
class BoundNumber:
    """A number and its owner.

    `test` is the id of the test that the unit implies where none is named.
    """

    quantity: Quantity
    kind: NumberKind
    owner: Mention | None = None
    test: str = ""


def bind_numbers(parsed: ParsedSentence) -> tuple[BoundNumber, ...]:
    """Return each number of the sentence with its owner."""
    return tuple(_bind_quantities(parsed))


def _bind_quantities(parsed: ParsedSentence) -> Iterator[BoundNumber]:
    rates = dosage_terms.find_frequencies(parsed.text)
    for quantity in parsed.quantities:
        if quantity.age:
            yield BoundNumber(quantity, "age")
        elif quantity.dimension == "times" or any(part.start <= quantity.start < part.end for part in rates):
            yield BoundNumber(quantity, "frequency")
        elif any(item.start <= quantity.start < item.end for item in (*parsed.named.illnesses, *parsed.named.tests)):
            continue  # the 2 of "type 2 diabetes" belongs to the name
        elif quantity.dimension == "time":
            yield BoundNumber(quantity, "time", _nearest_mention(quantity, parsed.named.drugs, parsed))
        else:
            yield _bind_dose_or_value(quantity, parsed)


def _bind_dose_or_value(quantity: Quantity, parsed: ParsedSentence) -> BoundNumber:
    """Bind a dose or a test's value to the nearest name before it, else to the one right after it."""
    dose = quantity.dimension.partition("/")[0] in DOSE_DIMENSIONS and not quantity.dimension.endswith("/volume")
    test = _nearest_mention(quantity, (*parsed.named.tests, *abnormal.as_tests(parsed)), parsed)
    medicine = _nearest_mention(quantity, (*parsed.named.drugs, *parsed.named.classes), parsed)
    if dose and medicine is not None and (test is None or _distance(quantity, medicine) <= _distance(quantity, test)):
        return BoundNumber(quantity, "dose", medicine)
    if quantity.second_value is not None and test is None:
        return BoundNumber(quantity, "value", None, "blood pressure")
    if test is not None and not (
        not quantity.dimension and medicine and _distance(quantity, medicine) < _distance(quantity, test)
    ):
        return BoundNumber(quantity, "value", test, test.canonical)
    if quantity.dimension in _IMPLIED:
        return BoundNumber(quantity, "value", None, _IMPLIED[quantity.dimension])
    if quantity.dimension == "rate" and ("beat" in quantity.text or "breath" in quantity.text):
        return BoundNumber(quantity, "value", None, "heart rate" if "beat" in quantity.text else "respiratory rate")
    only = parsed.named.tests[0] if len({item.canonical for item in parsed.named.tests}) == 1 else None
    if only is not None and not dose and not parsed.named.drugs and quantity.end < only.start:
        return BoundNumber(quantity, "value", only, only.canonical)  # "from 7.6 on arrival the CRP climbed to 27.6"
    if medicine is not None and not quantity.dimension and quantity.start - medicine.end in range(3):
        return BoundNumber(quantity, "dose", medicine)
    return BoundNumber(quantity, "other")


def _nearest_mention(quantity: Quantity, mentions: Sequence[Mention], parsed: ParsedSentence) -> Mention | None:
    before = [item for item in mentions if 0 <= quantity.start - item.end <= MAX_DISTANCE_BEFORE]
    after = [item for item in mentions if 0 <= item.start - quantity.end <= MAX_DISTANCE_AFTER]
    following = min(after, key=lambda item: item.start, default=None)
    if (
        following is not None
        and not any(sign in parsed.text[quantity.end : following.start] for sign in ",;")
        and _belongs_to_next(parsed.lower_text[quantity.end : following.start])
    ):
        return following
    same = parsed.clause_at(quantity.start)
    near = [item for item in before if item.start >= same[0]] or before
    found = max(near, key=lambda item: item.end, default=None)
    return found or (
        following
        if following is not None and _belongs_to_next(parsed.lower_text[quantity.end : following.start])
        else None
    )


def _belongs_to_next(between: str) -> bool:
    """Return whether a number belongs to the name after it: `5 mg of amlodipine`, `40 mg oral prednisone`."""
    words = between.split()
    return len(words) <= 2 and not {"and", "or", "with", "to", "then", "while", "but", "on", "for"} & set(words)


def _distance(quantity: Quantity, mention: Mention) -> int:
    return max(mention.start - quantity.end, quantity.start - mention.end)
