"""One narrative from two: the composed one, and what the model wrote. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from shared.contracts.draft import Sentence

Policy = Literal["strict", "marked"]


@dataclass(frozen=True, slots=True)
class Written:
    """The narrative, and how many sentences of the model are not in it."""

    sentences: tuple[Sentence, ...]
    used: int  # sentences of the model that stand
    dropped: int


def joined(rules: Sequence[Sentence], model: Sequence[Sentence], policy: Policy) -> Written:
    """`strict`: the composed sentences, in which one of the model takes the place of those that it says in other words;
    `marked`: the model's, where it wrote any, with their marks. Instructions are composed alone in both: a model that
    leaves a medicine out of them harms.
    """
    course = [item for item in rules if item.narrative == "hospital-course"]
    rest = [item for item in rules if item.narrative != "hospital-course"]
    own = [item for item in model if item.narrative == "hospital-course"]
    if policy == "marked":
        kept = own or course
        return Written((*kept, *rest), len(own), 0)
    told = [item for item in own if item.supported and item.evidence]
    used = 0
    for index, sentence in enumerate(course):
        same = next((item for item in told if _facts(item) == _facts(sentence)), None)
        if same is not None:
            told.remove(same)
            course[index] = same
            used += 1
    return Written((*course, *rest), used, len(own) - used)


def _facts(sentence: Sentence) -> frozenset[str]:
    """The resources that a sentence is made of."""
    return frozenset(item.source for item in sentence.evidence)
