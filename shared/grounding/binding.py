"""What each number of a sentence belongs to: a test, a medicine, an age, a length of time."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from shared.grounding import abnormal, dosage
from shared.grounding.figures import Figure
from shared.grounding.orders import DOSES
from shared.grounding.parsed import Parsed
from shared.grounding.vocabulary import Mention

Kind = Literal["age", "frequency", "time", "dose", "value", "other"]
NEAR_AFTER = 28  # characters from a number to the test or medicine that follows it
FAR = 90  # characters from a test to its number
_IMPLIED = {
    "celsius": "temperature",
    "fahrenheit": "temperature",
    "bmi": "bmi",
    "clearance": "egfr",
    "hba1c": "hba1c",
    "flow": "oxygen flow",
}


@dataclass(frozen=True, slots=True)
class Bound:
    """A number and its owner; `test` is the id of a test that the unit implies where none is named."""

    figure: Figure
    kind: Kind
    owner: Mention | None = None
    test: str = ""


def bind(parsed: Parsed) -> tuple[Bound, ...]:
    """Each number of the sentence with its owner."""
    return tuple(_bound(parsed))


def _bound(parsed: Parsed) -> Iterator[Bound]:
    rates = dosage.frequencies(parsed.text)
    for figure in parsed.figures:
        if figure.age:
            yield Bound(figure, "age")
        elif figure.dimension == "times" or any(part.start <= figure.start < part.end for part in rates):
            yield Bound(figure, "frequency")
        elif any(item.start <= figure.start < item.end for item in (*parsed.named.illnesses, *parsed.named.tests)):
            continue  # the 2 of "type 2 diabetes" belongs to the name
        elif figure.dimension == "time":
            yield Bound(figure, "time", _nearest(figure, parsed.named.drugs, parsed))
        else:
            yield _measured(figure, parsed)


def _measured(figure: Figure, parsed: Parsed) -> Bound:
    """A dose or the value of a test: by the nearest name before it, else the one right behind it."""
    dose = figure.dimension.partition("/")[0] in DOSES and not figure.dimension.endswith("/volume")
    test = _nearest(figure, (*parsed.named.tests, *abnormal.as_tests(parsed)), parsed)
    medicine = _nearest(figure, (*parsed.named.drugs, *parsed.named.classes), parsed)
    if dose and medicine is not None and (test is None or _distance(figure, medicine) <= _distance(figure, test)):
        return Bound(figure, "dose", medicine)
    if figure.second is not None and test is None:
        return Bound(figure, "value", None, "blood pressure")
    if test is not None and not (
        not figure.dimension and medicine and _distance(figure, medicine) < _distance(figure, test)
    ):
        return Bound(figure, "value", test, test.canonical)
    if figure.dimension in _IMPLIED:
        return Bound(figure, "value", None, _IMPLIED[figure.dimension])
    if figure.dimension == "rate" and ("beat" in figure.text or "breath" in figure.text):
        return Bound(figure, "value", None, "heart rate" if "beat" in figure.text else "respiratory rate")
    only = parsed.named.tests[0] if len({item.canonical for item in parsed.named.tests}) == 1 else None
    if only is not None and not dose and not parsed.named.drugs and figure.end < only.start:
        return Bound(figure, "value", only, only.canonical)  # "from 7.6 on arrival the CRP climbed to 27.6"
    if medicine is not None and not figure.dimension and figure.start - medicine.end in range(3):
        return Bound(figure, "dose", medicine)
    return Bound(figure, "other")


def _nearest(figure: Figure, mentions: Sequence[Mention], parsed: Parsed) -> Mention | None:
    before = [item for item in mentions if 0 <= figure.start - item.end <= FAR]
    after = [item for item in mentions if 0 <= item.start - figure.end <= NEAR_AFTER]
    following = min(after, key=lambda item: item.start, default=None)
    if (
        following is not None
        and not any(sign in parsed.text[figure.end : following.start] for sign in ",;")
        and _joined(parsed.low[figure.end : following.start])
    ):
        return following
    same = parsed.clause(figure.start)
    near = [item for item in before if item.start >= same[0]] or before
    found = max(near, key=lambda item: item.end, default=None)
    return found or (following if following is not None and _joined(parsed.low[figure.end : following.start]) else None)


def _joined(between: str) -> bool:
    """Whether a number belongs to the name behind it: `5 mg of amlodipine`, `40 mg oral prednisone`."""
    words = between.split()
    return len(words) <= 2 and not {"and", "or", "with", "to", "then", "while", "but", "on", "for"} & set(words)


def _distance(figure: Figure, mention: Mention) -> int:
    return max(mention.start - figure.end, figure.start - mention.end)
