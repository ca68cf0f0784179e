"""Events of a discharge case: one class each, in the past tense, named as in its subject's last token.

Bodies carry ids, codes, digests and figures. Text (the context, the draft, a physician's words) is in the artifact
store under its SHA-256. An event carries what later steps need, so that the common path reads nothing.
"""

from typing import Annotated, Literal, get_args

from pydantic import AwareDatetime, ConfigDict, Field, TypeAdapter

from shared.contracts.authorship import NarrativeAuthor
from shared.contracts.case_values import Actor as Actor
from shared.contracts.case_values import Channel as Channel
from shared.contracts.case_values import ConfirmedSentence as ConfirmedSentence
from shared.contracts.case_values import DocumentKind as DocumentKind
from shared.contracts.case_values import DraftRef as DraftRef
from shared.contracts.case_values import EditCount as EditCount
from shared.contracts.case_values import Edits as Edits
from shared.contracts.case_values import Resolution as Resolution
from shared.contracts.case_values import ResolutionKind as ResolutionKind
from shared.contracts.case_values import StayReferences as StayReferences
from shared.contracts.case_values import WriteBackProfile as WriteBackProfile
from shared.contracts.corrections import Addended, Amended, Retracted, RetractionFiled, RetractionRequested
from shared.contracts.draft import AnswerFigures
from shared.contracts.model import Model
from shared.contracts.preparation import PreparationEnded, PreparationRequested, Prepared
from shared.contracts.ratings import Rated
from shared.contracts.retention import Erased, ErasureOrdered, HoldPlaced, HoldReleased

StepName = Literal["extract", "draft", "request-review", "settle-rejection", "file", "erase", "prepare"]
# Draft again; the physician writes it; no document.
RejectionAction = Literal["redraft", "close", "withdraw"]


MIN_READING_SECONDS = 10  # seconds; a draft has some 550 words, of which 40 are read in that time


class ReadingFigures(Model):
    """How a draft was read before its signature, measured by our page."""

    model_config = ConfigDict(validate_by_name=True, serialize_by_alias=True)

    seconds: int  # while the page was in front
    parts_viewed: int = Field(validation_alias="seen", serialization_alias="seen")  # parts that came into view
    parts: int

    @property
    def looked_at(self) -> bool:
        """Return whether the draft can have been read, in part at least."""
        return self.seconds >= MIN_READING_SECONDS and self.parts_viewed > 0


class Discharged(Model):
    """The EHR reported the discharge, which opens the case."""

    event: Literal["discharged"] = "discharged"
    version: Literal[1] = 1
    encounter_id: str
    attending: str | None = None
    occurred_at: AwareDatetime | None = None
    died: bool | None = None  # true: the report says so; None: the record says whether
    prepared: str | None = None  # digest of the draft that was prepared before the discharge


class ContextExtracted(Model):
    """The encounter's record up to the discharge was read and stored by digest."""

    event: Literal["context-extracted"] = "context-extracted"
    version: Literal[1] = 1
    stay: StayReferences
    kind: DocumentKind
    context: str
    encounter_status: str
    left_out: int  # entries of the record that could not be used
    prepared: str | None = None  # digest of the draft that was prepared before the discharge


class Drafted(Model):
    """A draft was composed."""

    event: Literal["drafted"] = "drafted"
    version: Literal[1] = 1
    stay: StayReferences
    draft: DraftRef
    sentences: int
    unsupported: int
    encounter_status: str
    # Sentences of the model's answer by what the record says; None where the model was not asked, and in older events.
    answer: AnswerFigures | None = None


class ReviewRequested(Model):
    """A Task was created in the EHR and the escalation timers were set."""

    event: Literal["review-requested"] = "review-requested"
    version: Literal[1] = 1
    stay: StayReferences
    draft: DraftRef
    task: str | None = None  # id of the Task in the EHR; None where the EHR takes none
    owner: str | None = None
    deadlines: tuple[AwareDatetime, ...]
    encounter_status: str


class Escalated(Model):
    """Nobody decided in time and the supervisor was notified. With `owner`, the review is now the supervisor's."""

    event: Literal["escalated"] = "escalated"
    version: Literal[1] = 1
    level: int
    due: AwareDatetime
    owner: str | None = None
    deputies: tuple[str, ...] = ()  # FHIR references of people notified besides the supervisor


class Reassigned(Model):
    """A person reassigned the review. With `deadlines`, the escalation starts again."""

    event: Literal["reassigned"] = "reassigned"
    version: Literal[1] = 1
    owner: str
    by: Actor
    reason: str  # digest of the words
    deadlines: tuple[AwareDatetime, ...] | None = None  # from the reassignment on; None: those of the review continue


class Approved(Model):
    """A physician countersigned exactly the text with digest `signed`."""

    event: Literal["approved"] = "approved"
    version: Literal[1] = 1
    stay: StayReferences
    draft: DraftRef
    task: str | None = None  # id of the Task in the EHR; None where the EHR takes none
    signed: str  # SHA-256 of the final text
    edited: bool
    by: Actor
    signer: str | None = None  # FHIR reference of the physician; None when only the token's subject is known
    edits: Edits | None = None
    resolutions: tuple[Resolution, ...] = ()
    acknowledged: tuple[int, ...] = ()  # open points of the draft, from 0, that the physician has seen
    written: tuple[ConfirmedSentence, ...] = ()
    narrative: NarrativeAuthor | None = None  # author of the signed narrative; None: signed as drafted
    reading: ReadingFigures | None = None  # None: not signed on our page, or a browser without its script
    channel: Channel | None = None


class Filed(Model):
    """The text that was signed last (a document, its correction, an addendum) is in the EHR."""

    event: Literal["filed"] = "filed"
    version: Literal[1] = 1
    document_reference: str  # id of the DocumentReference; mdm: TXA-12; none: the key that we gave it
    provenance: str  # empty where the EHR takes none
    renditions: dict[str, str] = Field(
        default_factory=dict
    )  # content type → SHA-256 of the document's content; empty in older events
    profile: WriteBackProfile | None = None  # None in older events: fhir
    message: str | None = None  # mdm: SHA-256 of the message that was acknowledged
    acknowledgment: str | None = None  # mdm: MSH-10 of the receiver's answer
    by: Actor | None = None  # none: who transferred it


class Rejected(Model):
    """A physician rejected the draft. `reason` is the digest of the physician's text."""

    event: Literal["rejected"] = "rejected"
    version: Literal[1] = 1
    stay: StayReferences
    draft: DraftRef
    task: str | None = None  # id of the Task in the EHR; None where the EHR takes none
    action: RejectionAction
    reason: str
    by: Actor
    encounter_status: str
    channel: Channel | None = None


class RedraftRequested(Model):
    """The drafter is to write draft `number` with the physician's requested changes."""

    event: Literal["redraft-requested"] = "redraft-requested"
    version: Literal[1] = 1
    stay: StayReferences
    context: str
    kind: DocumentKind
    number: int
    words: str
    encounter_status: str


class Closed(Model):
    """The case ended without a document of ours: the physician writes it in the EHR, or there is none."""

    event: Literal["closed"] = "closed"
    version: Literal[1] = 1


class Withdrawn(Model):
    """The case ended before a signature: its discharge was cancelled, or an operator withdrew it."""

    event: Literal["withdrawn"] = "withdrawn"
    version: Literal[1] = 1
    reason: Literal["discharge-cancelled", "encounter-not-finished", "operator"]
    by: Actor | None = None  # the operator
    words: str | None = None  # digest of the operator's words


class Failed(Model):
    """A step gave up. The case waits for an operator: `retried` resumes it."""

    event: Literal["failed"] = "failed"
    version: Literal[1] = 1
    step: StepName
    reason: str
    attempts: int


class Retried(Model):
    """An operator resumed the failed step."""

    event: Literal["retried"] = "retried"
    version: Literal[1] = 1
    step: StepName
    by: Actor
    reason: str | None = None  # digest of the words; None: not given, or recorded beside the dead letter


class Reimported(Model):
    """A signature that was lost with a restore was taken over from the chart, at a person's request.

    Nobody signs by it: the signature was made at `signed_at`, in the lost event. `signature` holds what the chart and
    this stream state of that event; the rest is empty. A draft that is not in this stream has the number 0.
    """

    event: Literal["reimported"] = "reimported"
    version: Literal[1] = 1
    signature: Annotated[Approved | Amended | Addended | Retracted, Field(discriminator="event")]
    signed_at: AwareDatetime
    chain_head: str  # digest of the lost event, as the Provenance carries it; empty where the EHR takes none
    filed: Annotated[Filed | RetractionFiled, Field(discriminator="event")]  # from where it was taken
    document_version: str | None = None  # meta.versionId of the DocumentReference
    provenance_version: str | None = None
    by: Actor  # who requested the reimport
    reason: str  # digest of their words


CaseEvent = (
    Discharged
    | ContextExtracted
    | Drafted
    | ReviewRequested
    | Escalated
    | Reassigned
    | Approved
    | Filed
    | Amended
    | Addended
    | RetractionRequested
    | Retracted
    | RetractionFiled
    | Rejected
    | RedraftRequested
    | Closed
    | Withdrawn
    | Failed
    | Retried
    | HoldPlaced
    | HoldReleased
    | ErasureOrdered
    | Erased
    | Reimported
    | PreparationRequested
    | Prepared
    | PreparationEnded
    | Rated
)
Signature = Approved | Amended | Addended  # events by which a person signs a text for the chart
EVENT_TYPES: tuple[type[CaseEvent], ...] = get_args(CaseEvent)


def name_of(kind: type[Model]) -> str:
    """Return the name of an event's type in subjects and headers, e.g. `context-extracted`."""
    name: str = kind.model_fields["event"].default
    return name


CASE_EVENT_ADAPTER: TypeAdapter[CaseEvent] = TypeAdapter(Annotated[CaseEvent, Field(discriminator="event")])
