"""A draft, as the drafter stores it and the physician reviews it. Kept in the artifact store under its digest."""

from typing import Literal

from shared.contracts.model import Model

# The six parts the Joint Commission requires (RC.02.04.01 EP 3), in document order.
PartCode = Literal[
    "reason-for-hospitalization",
    "significant-findings",
    "procedures-and-treatment",
    "condition-at-discharge",
    "patient-and-family-instructions",
    "attending-signature",
]
# Stands where a model should have written; a text that still has it is not complete.
TO_BE_WRITTEN = "[To be written by the physician"
Narrative = Literal["hospital-course", "patient-instructions"]
Label = Literal["supported", "contradicted", "not-in-record"]
ClaimKind = Literal[
    "number", "unit", "dose", "route", "frequency", "duration", "date", "order-of-time", "drug", "status", "diagnosis",
    "polarity", "certainty", "family", "finding", "procedure", "side", "person", "age", "outcome", "disposition",
    "follow-up", "allergy", "cause", "advice", "statement",
]  # fmt: skip


class Evidence(Model):
    """A line of the record that supports a sentence."""

    source: str  # FHIR reference of the resource, e.g. "MedicationRequest/mr-1"
    text: str  # the fact as it is rendered in the document


class Claim(Model):
    """Something a sentence says, and what the record says about it."""

    kind: ClaimKind
    text: str  # as the sentence words it, with its shorthand written out
    label: Label = "not-in-record"
    source: str = ""  # FHIR reference of the resource that supports or contradicts it
    detail: str = ""  # what the record says, such as "record: rivaroxaban 15 mg by mouth"


class Sentence(Model):
    """One sentence of the narrative with what the record says about it."""

    narrative: Narrative
    text: str
    evidence: tuple[Evidence, ...] = ()
    unsupported: tuple[Claim, ...] = ()  # the claims that are not supported
    label: Label | None = None  # None in drafts from before there were labels
    origin: Literal["model", "rules"] = "model"  # rules: composed from the record without a model

    @property
    def supported(self) -> bool:
        return self.label == "supported" if self.label else not self.unsupported


class Fact(Model):
    """One line rendered from the record, never by the model."""

    text: str
    source: str  # FHIR reference; empty for a line that states an absence ("None recorded")
    cells: tuple[str, ...] = ()  # the same as a row of a table, one cell for each of the group's columns


class Group(Model):
    """Facts under one heading of a part, e.g. "Allergies". With `columns`, the facts are rows of a table."""

    title: str
    facts: tuple[Fact, ...]
    columns: tuple[str, ...] = ()


class OpenPoint(Model):
    """Something that a physician has to look at before signing: an important entry that was left out, a source that
    could not be read, an order that does not say what is meant. It stands beside the document, never in it.
    """

    text: str
    source: str = ""  # FHIR reference, where it is about one resource


class Part(Model):
    """One of the six required parts: facts from the record, then the narrative that belongs to it."""

    code: PartCode
    title: str
    groups: tuple[Group, ...] = ()
    narrative: tuple[Sentence, ...] = ()


class Passage(Model):
    """A passage of the knowledge base that the model was given."""

    id: str  # of the chunk
    source: str
    document: str
    title: str
    path: tuple[str, ...] = ()
    text: str
    url: str | None = None


class Knowledge(Model):
    """What the knowledge base said, and in which version: with it the same passages can be found again."""

    version: int
    passages: tuple[Passage, ...]


class Prompt(Model):
    """The prompt that was used: file name, its version, SHA-256 of its text."""

    name: str
    version: int
    digest: str


class Draft(Model):
    """A whole draft. `text` is the document in plain text, exactly what an approval without edits signs."""

    version: Literal[1] = 1
    kind: Literal["discharge-summary", "death-summary"]
    initials: str = ""  # of the patient: what a list may show
    attending: str = ""  # name of the attending physician
    number: int  # 1 for the first draft of a case, +1 for each redraft
    parts: tuple[Part, ...]
    text: str
    by_hand: str | None = None  # why the narrative is to be written by hand: of drafts from before it was composed
    composed: int = 0  # sentences composed from the record by rules
    replaced: int = 0  # sentences of the model that were dropped for composed ones
    model_silent: str | None = None  # why the model wrote nothing that could be used
    left_out: tuple[str, ...] = ()  # what of the record the document does not say, and why, the important first
    open_points: tuple[OpenPoint, ...] = ()  # what asks for a physician's word before the signature
    model: str  # name and version as the model server reports them; empty when no model was reached
    prompt: Prompt
    context_digest: str
    knowledge: Knowledge | None = None  # None where no version of the knowledge base was live

    @property
    def sentences(self) -> tuple[Sentence, ...]:
        return tuple(sentence for part in self.parts for sentence in part.narrative)
