"""Evaluations of drafter configurations: stays are drafted again by a candidate and by the live configuration.

EVALUATIONS stream: evaluations.<evaluation>.<event>[.<n>]. Stays are named by case and digests; their texts stay in the
artifact store. What is recorded of a draft are figures. An evaluation set has an id as an evaluation has, and the event
`set-made` for each version of it. A case has one too, and the event `drafts-kept` for each trial whose drafts are kept.
"""

import re
from typing import Annotated, Literal

from pydantic import Field

from shared.contracts.case_values import Actor
from shared.contracts.drafters import Digest, Reason
from shared.contracts.errors import PermanentError
from shared.contracts.model import Model
from shared.contracts.subjects import evaluation_subject

MAX_ITEMS = 500
SetName = Annotated[str, Field(pattern=r"^[a-z0-9](?:[a-z0-9-]{0,62}[a-z0-9])?$")]


class EvaluationItem(Model):
    """A stay whose document was signed, or a synthetic one that ships with Countersign."""

    case: str  # of a synthetic stay, its name
    department: str
    context: Digest  # of the record that its draft was made from
    signed: Digest | None = None  # of the signed text; None for a synthetic stay

    @property
    def synthetic(self) -> bool:
        return self.signed is None


class EvaluationSetMade(Model):
    """A person has made a version of an evaluation set. It never changes; a change is the next version."""

    event: Literal["set-made"] = "set-made"
    version: Literal[1] = 1  # of the event
    name: SetName
    number: int = Field(ge=1)  # version of the set
    document: str
    items: tuple[EvaluationItem, ...] = Field(min_length=1, max_length=MAX_ITEMS)
    by: Actor
    reason: Reason

    @property
    def stamp(self) -> str:
        """Name and version, as an evaluation names the set that it was made on."""
        return f"{self.name}@{self.number}"


class EvaluationRequested(Model):
    """A person requested an evaluation. For a shadow `items` is empty: stays come in as they are signed."""

    event: Literal["requested"] = "requested"
    version: Literal[1] = 1
    document: str
    candidate: Digest
    live: Digest
    items: tuple[EvaluationItem, ...] = Field(max_length=MAX_ITEMS)
    set: str | None = None  # name and version of the evaluation set that the stays are from
    keep_drafts: bool = False  # a trial: both drafts of each stay are kept, for a person to read
    by: Actor
    reason: Reason

    @property
    def synthetic(self) -> bool:
        """Whether its stays are synthetic: nothing was signed for them."""
        return bool(self.items) and all(item.synthetic for item in self.items)


class ItemReady(Model):
    """A stay is to be drafted by both configurations."""

    event: Literal["item-ready"] = "item-ready"
    version: Literal[1] = 1
    number: int = Field(ge=1)  # 1 for the first; of a shadow, the sequence of the approval
    candidate: Digest
    live: Digest
    item: EvaluationItem
    keep_drafts: bool = False


class DraftFigures(Model):
    """What is measured of a draft."""

    supported: int = Field(default=0, description="sentences of the model's answer that the record supports")
    contradicted: int = 0
    not_in_record: int = Field(default=0, description="sentences of the model's answer that are not in the record")
    silent: bool = Field(default=False, description="whether the model wrote nothing that could be used")
    model_silent: str | None = Field(default=None, description="why, as the draft states it")
    sentences: int = Field(default=0, description="of the draft's narrative, whoever wrote them")
    # The next three are None where nothing was signed for the stay.
    kept: int | None = Field(
        default=None, description="of those, sentences that the signed text has word for word; null: nothing was signed"
    )
    rouge_l: float | None = Field(
        default=None,
        description="F1 of the longest common subsequence of words, narrative of the draft and the signed one; "
        "null: nothing was signed",
    )
    similarity: float | None = Field(
        default=None,
        description="of the whole texts: 1 - Levenshtein distance / length of the longer one; null: nothing was signed",
    )
    similarity_by_part: dict[str, float] = Field(
        default={}, description="the same of each part, by its code; document-header is above the first part"
    )
    open_points: int = Field(default=0, description="open points of the draft")
    words: int = Field(default=0, description="words of the narrative")
    seconds: float = 0.0
    sentence_similarity: float | None = Field(
        default=None, description="F1 of the sentences' embeddings, narrative of the draft and the signed one"
    )
    facts_signed: int = Field(default=0, description="entries of the record that the signed narrative states")
    facts_omitted: int = Field(default=0, description="of those, entries that the draft's narrative does not state")
    elements_required: int = Field(
        default=0,
        description="parts, narratives and other elements that the kind of document requires; 0 in older results",
    )
    elements_missing: tuple[str, ...] = Field(default=(), description="of those, names of what the draft does not have")
    reading_grade: float | None = Field(
        default=None, description="of the instructions to the patient, as a US school grade; null: too short"
    )
    input_tokens: int | None = None  # of the prompt, as the model's server counted them; None: it did not say
    output_tokens: int | None = None  # of the answer
    cost: float | None = Field(default=None, description="of prompt and answer, by the endpoint's declared price")


class ItemJudged(Model):
    """A stay was drafted by both configurations, or could not be."""

    event: Literal["item-judged"] = "item-judged"
    version: Literal[1] = 1
    number: int = Field(ge=1)
    case: str = ""
    department: str = ""  # empty in results that were recorded before departments were
    candidate: DraftFigures | None = None
    live: DraftFigures | None = None
    left_out: str = ""  # why there are no figures


class DraftsKept(Model):
    """Both drafts of a stay are kept among the texts of its case. Appended before they are stored, so that an erasure
    finds them.
    """

    event: Literal["drafts-kept"] = "drafts-kept"
    version: Literal[1] = 1
    number: int = Field(ge=1)  # 1 for the first of the case
    evaluation: str
    case: str
    department: str
    candidate: Digest  # configuration
    live: Digest
    candidate_draft: Digest  # text in the artifact store
    live_draft: Digest
    signed: Digest


EvaluationEvent = EvaluationSetMade | EvaluationRequested | ItemReady | ItemJudged | DraftsKept
EVALUATION_EVENT_TYPES: tuple[type[EvaluationEvent], ...] = (
    EvaluationSetMade,
    EvaluationRequested,
    ItemReady,
    ItemJudged,
    DraftsKept,
)
# Identified by a number: that of the stay of an evaluation, of the version of a set, or of a trial of a case.
NUMBERED_EVALUATION_EVENTS = (EvaluationSetMade, ItemReady, ItemJudged, DraftsKept)


def subject_of(evaluation: str, event: EvaluationEvent) -> str:
    number = None if isinstance(event, EvaluationRequested) else event.number
    return evaluation_subject(evaluation, event.event, number)


def parse_evaluation_subject(subject: str) -> tuple[str, str]:
    """Return evaluation and event. Raises PermanentError when the subject is not of that form."""
    tokens = subject.split(".")
    if len(tokens) not in (3, 4) or tokens[0] != "evaluations" or not re.fullmatch(r"[0-9a-f-]{36}", tokens[1]):
        raise PermanentError("the subject is not evaluations.<evaluation>.<event>[.<n>]")
    return tokens[1], tokens[2]
