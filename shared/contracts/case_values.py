"""Values in the events of a case: the stay, the draft, the actor, resolutions of sentences."""

from datetime import datetime
from typing import Literal

from pydantic import Field

from shared.contracts.draft import NAME_PATTERN, DocumentType, DrafterStamp, Label, PartCode, Prompt, document_type
from shared.contracts.draft import DocumentKind as DocumentKind
from shared.contracts.model import Model

CaseState = Literal[
    "preparing", "prepared",  # before the discharge
    "drafting", "awaiting-review", "approved", "filed", "closed", "withdrawn", "failed", "retracted",
]  # fmt: skip
ResolutionKind = Literal["confirmed", "changed", "removed"]
Channel = Literal["inbox", "api", "ehr"]  # where a decision was taken: our pages, our API, the EHR's own inbox
# How documents reach the chart. fhir: with our identifier and conditional create; fhir-basic: without; mdm: HL7v2 over
# MLLP; none: a person transfers them.
WriteBackProfile = Literal["fhir", "fhir-basic", "mdm", "none"]


class StayReferences(Model):
    """FHIR references of the stay that later resources point to, relative to the EHR's base."""

    encounter: str
    patient: str
    attending: str | None = None
    organization: str | None = None
    start: datetime | None = None
    end: datetime
    reported_at: datetime | None = None  # when the discharge was recorded here; `end` is the record's


class DraftRef(Model):
    """The draft under review, by digest. A decision needs no more than this."""

    digest: str  # SHA-256 of the stored draft
    text: str  # SHA-256 of its text, which an unchanged approval signs
    by_hand: bool  # the model failed and the physician writes the narrative
    number: int
    context: str  # digest of the context it was written from
    kind: DocumentKind
    model: str
    prompt: Prompt
    knowledge: int | None = None  # version of the knowledge base that was queried
    passages: tuple[str, ...] = ()  # ids of the chunks that the model was given
    # Unsupported sentences and open points to settle before a signature; None in older events.
    to_settle: int | None = None
    document: DocumentType | None = None  # None in older events
    prepared: str | None = None  # digest of the draft that was prepared before the discharge and that this one follows
    drafter: DrafterStamp | None = None  # None in older events

    @property
    def type(self) -> DocumentType:
        return document_type(self.kind, self.document)


def is_known_from_chart_only(draft: DraftRef) -> bool:
    """Return whether only the chart has the draft: the stream was restored to a state before it was written."""
    return draft.number == 0


class Actor(Model):
    """Who acted: the token's subject and role, the FHIR identity if there is one, and how they signed in."""

    subject: str
    role: str
    practitioner: str | None = None
    name: str | None = None
    npi: str | None = None  # https://www.cms.gov/medicare/regulations-guidance/administrative-simplification/npi
    method: str | None = None  # token, jwt, oidc, demo, smart
    signed_in_at: datetime | None = None


class EditCount(Model):
    """How many differences of one kind a part of the signed text has."""

    part: PartCode
    kind: str = Field(pattern=NAME_PATTERN, max_length=64)  # a name: one of a newer version must not stop a reader
    count: int = Field(ge=1)


class Edits(Model):
    """The physician's changes as figures, without text, so that drafts can be measured by them."""

    distance: int  # Levenshtein distance in characters between the draft and the signed text
    changed: tuple[int, ...] = ()  # indexes of draft sentences that the signed text does not have unchanged
    confirmed: tuple[int, ...] = ()  # unsupported sentences that the physician kept
    counts: tuple[EditCount, ...] | None = None  # None in older events


class Resolution(Model):
    """A physician's decision about a sentence that the record does not support."""

    sentence: int = Field(description="number of the sentence in the draft, from 0")
    how: ResolutionKind = Field(description="what was done about it")


class ConfirmedSentence(Model):
    """A sentence that the physician added and confirmed, though the record does not support it."""

    digest: str  # SHA-256 of the sentence
    label: Label
