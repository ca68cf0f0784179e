"""What the events of a case are made of: the stay, the draft, who acted, what was done about a text."""

from datetime import datetime
from typing import Literal

from shared.contracts.draft import DocumentKind as DocumentKind
from shared.contracts.draft import DocumentType, Label, Prompt, document_type
from shared.contracts.model import Model

State = Literal["drafting", "awaiting-review", "approved", "filed", "closed", "withdrawn", "failed", "retracted"]
How = Literal["confirmed", "changed", "removed"]
Channel = Literal["inbox", "api", "ehr"]  # where a decision was taken: our pages, our API, the EHR's own inbox


class Stay(Model):
    """The references that every later resource points to. FHIR references, relative to the EHR's base."""

    encounter: str
    patient: str
    attending: str | None = None
    organization: str | None = None
    start: datetime | None = None
    end: datetime
    reported_at: datetime | None = None  # when the discharge was put on the trail; the end above is the record's


class DraftRef(Model):
    """The draft that is being reviewed, by digest. With it a decision can be taken without reading the draft."""

    digest: str  # SHA-256 of the stored draft
    text: str  # SHA-256 of its text: what is signed when it is approved as it is
    by_hand: bool  # the model failed: the physician is asked to write the narrative
    number: int
    context: str  # digest of the context it was written from
    kind: DocumentKind
    model: str
    prompt: Prompt
    knowledge: int | None = None  # version of the knowledge base that was asked
    passages: tuple[str, ...] = ()  # ids of the chunks that the model was given
    # Sentences without support and open points: what has to be settled before a signature; None on older trails.
    to_settle: int | None = None
    document: DocumentType | None = None  # None on older trails

    @property
    def type(self) -> DocumentType:
        return document_type(self.kind, self.document)


def is_lost(draft: DraftRef) -> bool:
    """Whether nothing but what the chart says is known of it: the trail came back from before it was written."""
    return draft.number == 0


class Actor(Model):
    """Who acted: the subject of its token, its role, its FHIR identity if it has one, and how it had signed in."""

    subject: str
    role: str
    practitioner: str | None = None
    name: str | None = None
    npi: str | None = None  # https://www.cms.gov/medicare/regulations-guidance/administrative-simplification/npi
    method: str | None = None  # token, jwt, oidc, demo
    signed_in_at: datetime | None = None


class Edits(Model):
    """What the physician changed, as figures: no text, so that drafts can be judged by it."""

    distance: int  # Levenshtein, in characters, between the draft's text and what was signed
    changed: tuple[int, ...] = ()  # sentences of the draft, from 0, that the signed text does not have as they were
    confirmed: tuple[int, ...] = ()  # sentences that the record does not support and the physician let stand


class Resolution(Model):
    """What a physician did about a sentence that the record does not support."""

    sentence: int  # of the draft, from 0
    how: How


class Confirmed(Model):
    """A sentence of the physician's own that the record does not support, and that they confirmed."""

    digest: str  # SHA-256 of the sentence
    label: Label
