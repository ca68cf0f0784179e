"""A draft, as the drafter stores it and the physician reviews it, under its digest in the artifact store."""

from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from shared.contracts.model import Model

NAME_PATTERN = r"^[a-z][a-z0-9]*(-[a-z0-9]+)*$"
# Kinds and parts are declared in files (services/drafter/kinds): here they are names, so that any of them is read.
DocumentKind = Annotated[str, StringConstraints(pattern=NAME_PATTERN, max_length=64)]
PartCode = Annotated[str, StringConstraints(pattern=NAME_PATTERN, max_length=64)]
LoincCode = Annotated[str, StringConstraints(pattern=r"^\d{1,7}-\d$")]
# The six parts the Joint Commission requires (RC.02.04.01 EP 3), in document order.
REQUIRED_PARTS: tuple[PartCode, ...] = (
    "reason-for-hospitalization",
    "significant-findings",
    "procedures-and-treatment",
    "condition-at-discharge",
    "patient-and-family-instructions",
    "attending-signature",
)
# Placeholder where the model failed; a text that still has it is not complete.
TO_BE_WRITTEN = "[To be written by the physician"
Narrative = Literal["hospital-course", "patient-instructions"]
# Which part a narrative belongs to, and the heading that it has there.
DEFAULT_PARTS: dict[Narrative, PartCode] = {
    "hospital-course": "procedures-and-treatment",
    "patient-instructions": "patient-and-family-instructions",
}
HEADINGS: dict[Narrative, str] = {"hospital-course": "Hospital course", "patient-instructions": "In plain words"}
Label = Literal["supported", "contradicted", "not-in-record"]
ClaimKind = Literal[
    "number", "unit", "dose", "route", "frequency", "duration", "date", "order-of-time", "drug", "status", "diagnosis",
    "polarity", "certainty", "family", "finding", "procedure", "side", "person", "age", "outcome", "disposition",
    "follow-up", "allergy", "cause", "advice", "statement",
]  # fmt: skip


class DocumentType(Model):
    """The title and the LOINC code of a kind of document, which is all that review and filing need of it."""

    title: str  # "Transfer summary"
    code: LoincCode = "18842-5"
    display: str = "Discharge summary"  # of the code, as LOINC words it


def document_type(kind: str, stamped: DocumentType | None) -> DocumentType:
    """Return the type stated by a draft; for a draft without one, the type of its kind."""
    return stamped or DocumentType(title=kind.replace("-", " ").capitalize())


class Routing(Model):
    """Why a draft has its kind, and by which configuration it was written."""

    why: str = ""  # which facts of the stay decided
    also: tuple[DocumentKind, ...] = ()  # other matching kinds, whose required elements apply too
    declaration: str = ""  # SHA-256 of what declares the kind
    policy: Literal["strict", "marked"] = "strict"
    wording: str | None = None  # SHA-256 of the department's wording; None where it has none
    words: int | None = None  # length of the hospital course that the department aims at


_NOTE_PREFIXES = ("Composition/", "DocumentReference/", "ClinicalImpression/")


def is_note(source: str) -> bool:
    """Return whether a FHIR reference is that of a note or another document, not of a structured resource."""
    return source.startswith(_NOTE_PREFIXES)


class Evidence(Model):
    """An entry of the record that supports a sentence."""

    source: str  # FHIR reference of the resource, e.g. "MedicationRequest/mr-1"
    text: str  # the fact as it is rendered in the document
    kind: Literal["record", "note"] = "record"  # note: words of a note or another document
    said_by: str = ""  # of a note: its title, author and time


class Claim(Model):
    """A claim of a sentence, with what the record says about it."""

    kind: ClaimKind
    text: str  # as the sentence words it, with shorthand expanded
    label: Label = "not-in-record"
    source: str = ""  # FHIR reference of the resource that supports or contradicts it
    detail: str = ""  # what the record says, such as "record: rivaroxaban 15 mg by mouth"


class Sentence(Model):
    """A sentence of the narrative, with what the record says about it."""

    narrative: Narrative
    text: str
    evidence: tuple[Evidence, ...] = ()
    unsupported: tuple[Claim, ...] = ()  # the claims that are not supported
    label: Label | None = None  # None in drafts written before labels existed
    # rules: composed from the record without a model; note: quoted from a note
    origin: Literal["model", "rules", "note"] = "model"
    by_note: bool = False  # supported, wholly or partly, by a note only
    passage: str = ""  # id of the passage it is taken from: general advice, no fact of this patient

    @property
    def supported(self) -> bool:
        return self.label == "supported" if self.label else not self.unsupported

    @property
    def support(self) -> Literal["record", "note", "record-and-note"] | None:
        """Return what supports the sentence; None where neither its label nor evidence states support."""
        if not self.supported or not (self.evidence or self.label):
            return None
        if not self.by_note:
            return "record"
        return "note" if all(item.kind == "note" for item in self.evidence) else "record-and-note"


class Fact(Model):
    """A line rendered from the record, never by the model."""

    text: str
    source: str  # FHIR reference; empty for a line that states an absence ("None recorded")
    cells: tuple[str, ...] = ()  # the same as a row of a table, one cell for each of the group's columns


class FactGroup(Model):
    """Facts under one heading of a part, such as "Allergies". With `columns`, the facts are table rows."""

    title: str
    facts: tuple[Fact, ...]
    columns: tuple[str, ...] = ()
    stands_for: str = ""  # the group's default title, where this kind renames it


class OpenPoint(Model):
    """A point that a physician has to check before signing.

    For example an important entry that was left out, a source that could not be read, an incomplete order. It is shown
    beside the document, never in it.
    """

    text: str
    source: str = ""  # FHIR reference, where it is about one resource


class DocumentPart(Model):
    """A part of the document: facts from the record, then the narrative that belongs to it."""

    code: PartCode
    title: str
    required: bool = True  # no text is signed without it
    section: LoincCode | None = None  # LOINC code of its section, for a part other than the six
    groups: tuple[FactGroup, ...] = ()
    narrative: tuple[Sentence, ...] = ()


class CitedPassage(Model):
    """A passage of the knowledge base: general advice about a problem, not a fact about this patient."""

    id: str  # of the chunk
    source: str
    document: str
    title: str
    path: tuple[str, ...] = ()
    text: str
    url: str | None = None
    about: tuple[str, ...] = ()  # problems of the stay; empty in older drafts
    similarity: float | None = None  # cosine of its vector and the nearest problem's; None in older drafts


class CitedKnowledge(Model):
    """Passages of the knowledge base, and the version that they can be found in again."""

    version: int
    passages: tuple[CitedPassage, ...]
    threshold: float | None = None  # similarity that a passage needed; None in older drafts
    calibrated: bool = False  # whether it was chosen for this version, not the default
    uncovered: tuple[str, ...] = ()  # problems that no passage is about
    not_asked: tuple[str, ...] = ()  # problems beyond those that are asked about


class Prompt(Model):
    """The prompt that was used: file name, its version, SHA-256 of its text."""

    name: str = Field(description="name of the prompt")
    version: int = Field(description="its version")
    digest: str


class AnswerFigures(Model):
    """Sentences of the model's answer by what the record says about them, whether the draft has them or not."""

    supported: int = 0
    contradicted: int = 0
    not_in_record: int = 0
    input_tokens: int | None = None  # of the prompt, as the model's server counted them; None: it did not say
    output_tokens: int | None = None  # of the answer


DrafterRole = Literal["live", "canary"]


class DrafterStamp(Model):
    """The drafter configuration that a draft was made by, and whether that was live or a canary then."""

    configuration: str  # digest; the bucket `drafters` has its content
    role: DrafterRole


class PreparedFrom(Model):
    """The draft that was prepared before this one, and what became of its narratives."""

    digest: str  # of the prepared draft
    kept: tuple[Narrative, ...] = ()  # written from the same facts: not drafted anew
    anew: tuple[Narrative, ...] = ()  # drafted anew, as their facts have changed


class Draft(Model):
    """A whole draft. `text` is the document in plain text, exactly what an approval without edits signs."""

    version: Literal[1] = 1
    kind: DocumentKind
    document: DocumentType | None = None  # None in drafts written before kinds were declared
    routing: Routing | None = None  # as above
    initials: str = ""  # the patient's initials, which lists may show
    attending: str = ""  # name of the attending physician
    number: int  # 1 for the first draft of a case, +1 for each redraft
    parts: tuple[DocumentPart, ...]
    text: str
    by_hand: str | None = None  # why the narrative must be written by hand, in older drafts
    composed: int = 0  # sentences composed from the record by rules, or quoted from its notes
    replaced: int = 0  # sentences of the model that were dropped for composed ones
    model_silent: str | None = None  # why the model wrote nothing that could be used
    left_out: tuple[str, ...] = ()  # what the document leaves out and why, important entries first
    open_points: tuple[OpenPoint, ...] = ()  # points to check before the signature
    model: str  # name and version as the model server reports them; empty when no model was reached
    prompt: Prompt
    context_digest: str
    knowledge: CitedKnowledge | None = None  # None where no version of the knowledge base was live
    # Of a prepared draft: SHA-256 of the facts that each narrative was written from.
    written_from: dict[Narrative, str] | None = None
    prepared: PreparedFrom | None = None  # of a draft that follows a prepared one
    drafter: DrafterStamp | None = None  # None in drafts written before configurations were recorded
    answer: AnswerFigures | None = None  # None where the model was not asked, and in older drafts

    @property
    def type(self) -> DocumentType:
        return document_type(self.kind, self.document)

    @property
    def sentences(self) -> tuple[Sentence, ...]:
        return tuple(sentence for part in self.parts for sentence in part.narrative)

    def part_of(self, narrative: Narrative) -> DocumentPart | None:
        """Return the part that a narrative belongs to: the draft's own, else that of most kinds of documents."""
        has = (part for part in self.parts if any(item.narrative == narrative for item in part.narrative))
        usual = (part for part in self.parts if part.code == DEFAULT_PARTS[narrative])
        return next(has, None) or next(usual, None)

    def sentences_in(self, text: str) -> tuple[int, ...]:
        """Return the indexes of the sentences that `text` has word for word, whatever their spacing."""
        words = " ".join(text.split())
        return tuple(index for index, item in enumerate(self.sentences) if " ".join(item.text.split()) in words)
