"""Evaluations of drafter configurations: stays are drafted again by a candidate and by the live configuration.

EVALUATIONS stream: evaluations.<evaluation>.<event>[.<n>]. Stays are named by case and digests; their texts stay in the
artifact store. What is recorded of a draft are figures.
"""

import re
from typing import Literal

from pydantic import Field

from shared.contracts.case_values import Actor
from shared.contracts.drafters import Digest, Reason
from shared.contracts.errors import PermanentError
from shared.contracts.model import Model
from shared.contracts.subjects import evaluation_subject

MAX_ITEMS = 500


class EvaluationItem(Model):
    """A stay whose document was signed."""

    case: str
    department: str
    context: Digest  # of the record that its draft was made from
    signed: Digest  # of the signed text


class EvaluationRequested(Model):
    """A person requested an evaluation. For a shadow `items` is empty: stays come in as they are signed."""

    event: Literal["requested"] = "requested"
    version: Literal[1] = 1
    document: str
    candidate: Digest
    live: Digest
    items: tuple[EvaluationItem, ...] = Field(max_length=MAX_ITEMS)
    by: Actor
    reason: Reason


class ItemReady(Model):
    """A stay is to be drafted by both configurations."""

    event: Literal["item-ready"] = "item-ready"
    version: Literal[1] = 1
    number: int = Field(ge=1)  # 1 for the first; of a shadow, the sequence of the approval
    candidate: Digest
    live: Digest
    item: EvaluationItem


class DraftFigures(Model):
    """What is measured of a draft."""

    supported: int = 0  # sentences of the model's answer, by what the record says about them
    contradicted: int = 0
    not_in_record: int = 0
    silent: bool = False  # the model wrote nothing that could be used
    sentences: int = 0  # of the draft's narrative, whoever wrote them
    kept: int = 0  # of those, sentences that the signed text has word for word
    rouge_l: float = 0.0  # F1 of the longest common subsequence of words, narrative of the draft and the signed one
    similarity: float = 0.0  # of the whole texts: 1 - Levenshtein distance / length of the longer one
    open_points: int = 0
    words: int = 0  # of the narrative
    seconds: float = 0.0


class ItemJudged(Model):
    """A stay was drafted by both configurations, or could not be."""

    event: Literal["item-judged"] = "item-judged"
    version: Literal[1] = 1
    number: int = Field(ge=1)
    case: str = ""
    candidate: DraftFigures | None = None
    live: DraftFigures | None = None
    left_out: str = ""  # why there are no figures


EvaluationEvent = EvaluationRequested | ItemReady | ItemJudged
EVALUATION_EVENT_TYPES: tuple[type[EvaluationEvent], ...] = (EvaluationRequested, ItemReady, ItemJudged)
EVALUATION_ITEM_EVENTS = (ItemReady, ItemJudged)  # one of each for every stay, identified by its number


def subject_of(evaluation: str, event: EvaluationEvent) -> str:
    number = None if isinstance(event, EvaluationRequested) else event.number
    return evaluation_subject(evaluation, event.event, number)


def parse_evaluation_subject(subject: str) -> tuple[str, str]:
    """Return evaluation and event. Raises PermanentError when the subject is not of that form."""
    tokens = subject.split(".")
    if len(tokens) not in (3, 4) or tokens[0] != "evaluations" or not re.fullmatch(r"[0-9a-f-]{36}", tokens[1]):
        raise PermanentError("the subject is not evaluations.<evaluation>.<event>[.<n>]")
    return tokens[1], tokens[2]
