"""Events after filing: a correction, an addendum, a retraction by two people.

`seen` is the digest of the document that the person saw (`current_digest` in case.py), `reason` the digest of the
person's text, `signer` a FHIR reference (None when only the token's subject is known).
"""

from typing import Literal

from shared.contracts.authorship import NarrativeAuthor
from shared.contracts.case_values import (
    Actor,
    Channel,
    ConfirmedSentence,
    DraftRef,
    Edits,
    Resolution,
    StayReferences,
    WriteBackProfile,
)
from shared.contracts.model import Model


class Amended(Model):
    """A physician signed a corrected text, which replaces the document in the chart."""

    event: Literal["amended"] = "amended"
    version: Literal[1] = 1
    stay: StayReferences
    draft: DraftRef  # of the first signed text
    number: int  # of the case's documents; the first that replaces another is 2
    replaces: str  # id of the DocumentReference
    seen: str
    signed: str  # SHA-256 of the corrected text
    reason: str
    by: Actor
    signer: str | None = None
    edits: Edits | None = None  # against the draft
    resolutions: tuple[Resolution, ...] = ()
    written: tuple[ConfirmedSentence, ...] = ()
    narrative: NarrativeAuthor | None = None  # author of the signed narrative; None in older events
    channel: Channel | None = None


class Addended(Model):
    """A physician signed an addendum; the document that it belongs to does not change."""

    event: Literal["addended"] = "addended"
    version: Literal[1] = 1
    stay: StayReferences
    draft: DraftRef  # of the first signed text
    number: int  # of the case's addenda, from 1
    appends: str  # id of the DocumentReference
    seen: str
    signed: str  # SHA-256 of the addendum's text
    reason: str
    by: Actor
    signer: str | None = None
    resolutions: tuple[Resolution, ...] = ()  # sentences of the draft that the addendum has
    written: tuple[ConfirmedSentence, ...] = ()
    channel: Channel | None = None


class RetractionRequested(Model):
    """The first of two people stated that no document of this case belongs in the chart."""

    event: Literal["retraction-requested"] = "retraction-requested"
    version: Literal[1] = 1
    seen: str
    reason: str
    by: Actor
    signer: str | None = None
    channel: Channel | None = None


class Retracted(Model):
    """The second person confirmed the retraction: every document of the case is entered in error."""

    event: Literal["retracted"] = "retracted"
    version: Literal[1] = 1
    stay: StayReferences
    documents: tuple[str, ...]  # ids of the DocumentReferences, oldest first
    seen: str
    reason: str  # of the first
    requested_by: Actor
    requester: str | None = None  # FHIR reference of the first
    by: Actor
    signer: str | None = None  # of the second
    channel: Channel | None = None


class RetractionFiled(Model):
    """Every document of the case is marked as entered in error in the EHR."""

    event: Literal["retraction-filed"] = "retraction-filed"
    version: Literal[1] = 1
    provenance: str  # empty where the EHR takes none
    profile: WriteBackProfile | None = None  # None in older events: fhir
    by: Actor | None = None  # none: who marked it in the EHR
